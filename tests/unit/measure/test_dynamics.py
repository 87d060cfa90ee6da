from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.measure.dynamics import saturation, series, smooth
from oneshot.measure.statistics import wilson

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40)


def test_series_skips_what_is_not_there() -> None:
    values: list[float | None] = [0.5, None, math.nan, math.inf]
    metrics: list[dict[str, float | None]] = [{"step": step, "kl": value} for step, value in enumerate(values)]
    metrics += [{"step": 4, "kl": 1}, {"step": 5}]
    assert series(metrics, "kl") == ([0, 4], [0.5, 1.0])


def test_smooth_by_hand() -> None:
    assert smooth([0, 3, 6, 0], window=3) == pytest.approx([1.5, 3, 3, 3])


@given(VALUES, st.sampled_from([1, 3, 9]))
def test_smooth_stays_within_the_values_and_keeps_the_length(values: list[float], window: int) -> None:
    smoothed = smooth(values, window)
    assert len(smoothed) == len(values)
    assert min(values) - 1e-9 <= min(smoothed) and max(smoothed) <= max(values) + 1e-9
    assert smooth(values, 1) == pytest.approx(values)


def test_saturation_is_the_first_of_ten_solved_steps() -> None:
    successes = [4, 10, 20] + [32] * 12
    assert saturation(successes, [32] * 15) == 3


def test_saturation_needs_the_whole_window() -> None:
    assert saturation([32] * 9, [32] * 9) is None
    assert saturation([32] * 10, [32] * 10) == 0


def test_a_few_samples_cannot_show_saturation() -> None:
    # All of 70 right: Wilson's lower bound is 70/73.84 = .948; all of 80: .954
    assert wilson(70, 70).low == pytest.approx(0.948, abs=1e-3)
    assert saturation([7] * 20, [7] * 20) is None
    assert saturation([8] * 20, [8] * 20) == 0


def test_an_unsaturated_run_has_no_step() -> None:
    assert saturation([28] * 40, [32] * 40) is None
    assert saturation([0] * 12, [0] * 12) is None
    assert saturation([], []) is None
