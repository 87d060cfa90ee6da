"""New seeds: the interval over pairs of runs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from oneshot.measure.differences import LEAST_SEEDS, NO_ROOM, NOT_TESTED, claimed, over_seeds

EFFECTS = st.lists(st.integers(-40, 40).map(lambda k: k / 100), min_size=2, max_size=6).filter(
    lambda e: len(set(e)) > 1
)


def test_by_hand() -> None:
    # .1, .2, .3: mean .2, sd .1, SE .1/sqrt(3); t(2, .975) = 4.302653.
    found = over_seeds([0.1, 0.2, 0.3], low=0.15, high=0.25, p_value=0.001)
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-6)
    assert found.p_value == pytest.approx(ttest_1samp([0.1, 0.2, 0.3], 0).pvalue)
    assert found.badge == "inconclusive"
    assert found.as_dict()["seeds"] == 3
    assert found.detectable == pytest.approx((4.302653 + 1.060660) * 0.1 / math.sqrt(3), abs=1e-6)


@given(EFFECTS)
def test_t_of_scipy(effects: list[float]) -> None:
    found = over_seeds(effects, low=0.0, high=0.0, p_value=0.0)
    mean, sd = sum(effects) / len(effects), math.sqrt(len(effects))
    assert found.p_value == pytest.approx(ttest_1samp(effects, 0).pvalue, abs=1e-9)
    spread = math.sqrt(sum((e - mean) ** 2 for e in effects) / (len(effects) - 1))
    half = student.ppf(0.975, len(effects) - 1) * spread / sd
    assert found.ci_low == pytest.approx(min(0.0, max(-1.0, mean - half)))
    assert found.ci_high == pytest.approx(max(0.0, min(1.0, mean + half)))


@given(EFFECTS, st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.3), st.floats(0, 1))
def test_never_narrower_or_surer_than_these_runs(
    effects: list[float], down: float, up: float, se: float, p_value: float
) -> None:
    mean = sum(effects) / len(effects)
    found = over_seeds(effects, low=mean - down, high=mean + up, p_value=p_value)
    assert found.ci_low <= mean - down and found.ci_high >= mean + up
    assert found.p_value >= p_value


def test_equal_effects_do_not_make_a_narrow_interval() -> None:
    # Three equal effects say nothing about the spread of seeds: the interval is that of these runs.
    found = over_seeds([0.2, 0.2, 0.2], low=0.1, high=0.3, p_value=0.0001)
    assert (found.ci_low, found.ci_high, found.p_value) == (0.1, 0.3, 0.0001)


def test_the_detectable_size_takes_the_larger_error_and_the_number_of_claims() -> None:
    runs = over_seeds([0.1, 0.2, 0.3], low=-0.4, high=0.8, p_value=0.01)
    one, of_ten = (over_seeds([0.1, 0.2, 0.3], low=0.1, high=0.3, p_value=0.01, claims=k) for k in (1, 10))
    assert runs.detectable > one.detectable and of_ten.detectable > one.detectable


def test_two_seeds_are_not_judged() -> None:
    found = over_seeds([0.2, 0.2], low=0.1, high=0.3, p_value=0.01)
    assert (LEAST_SEEDS, found.badge) == (3, NOT_TESTED)


def test_what_a_badge_comes_to_in_a_table() -> None:
    assert [claimed("supported", p) for p in (0.05, 0.051)] == ["supported", "inconclusive"]
    assert [claimed(word, 0.9) for word in ("harmed", NOT_TESTED)] == ["inconclusive", NOT_TESTED]
    assert claimed("supported", 0.001, room=False) == NO_ROOM
