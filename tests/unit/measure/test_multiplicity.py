from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.errors import UsageError
from oneshot.measure.multiplicity import holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_by_hand() -> None:
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, made monotone .04 .06 .06 .06
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.01]) == [0.01]
    assert holm([0.5, 0.6, 0.9]) == [1.0, 1.0, 1.0]
    assert holm([]) == []


@given(P_VALUES)
def test_between_the_raw_and_bonferronis(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for raw, value in zip(p_values, adjusted, strict=True):
        assert raw <= value <= min(1.0, len(p_values) * raw)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)


@given(P_VALUES)
def test_rejections_are_those_of_the_step_down_rule(p_values: list[float]) -> None:
    """Holm's own words: go up the sorted p values while p <= .05/(m - i), then stop."""
    rejected = set()
    for i, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[place] * (len(p_values) - i) > 0.05:
            break
        rejected.add(place)
    assert {i for i, value in enumerate(holm(p_values)) if value <= 0.05} == rejected


def test_the_chance_of_any_false_claim_keeps_to_its_level() -> None:
    drawn = np.random.default_rng(0).random((2000, 6))
    assert np.mean([min(holm(row)) <= 0.05 for row in drawn.tolist()]) < 0.06
    assert np.mean(drawn.min(axis=1) <= 0.05) > 0.2


@pytest.mark.parametrize("wrong", [-0.1, 1.2, float("nan")])
def test_what_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(UsageError, match=r"outside \[0, 1\]"):
        holm([0.5, wrong])
