"""Equal drift: the common one, what was scored at it, and the paired difference there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.measure.dose import Dose, Reading, at_drift, common_drift, paired_doses


def reading(step: int, drift: float, *scores: float) -> Reading:
    return Reading(step=step, drift=drift, scores={f"p{i}": score for i, score in enumerate(scores)})


def dose(*scores: float) -> Dose:
    return Dose(scores={f"p{i}": score for i, score in enumerate(scores)}, between=(0, 1), weight=1.0)


def test_the_common_drift_is_the_smallest_final_one_of_those_that_moved() -> None:
    assert common_drift({"a": [0.3, 0.2], "b": [0.5, 0.6]}) == (0.2, {})
    assert common_drift({"a": [0.3], "b": [0.5], "noop": [0.0, 0.0]}) == (0.3, {"noop": 0.0})
    # 5 % of the median arm's .3 is .015
    assert common_drift({"a": [0.3], "b": [0.5], "c": [0.016]}) == (0.016, {})
    assert common_drift({"a": [0.3], "b": [0.5], "c": [0.014]}) == (0.3, {"c": 0.014})
    # one that explodes does not make the others still
    assert common_drift({"a": [0.3], "b": [0.5], "c": [90.0]}) == (0.3, {})
    assert common_drift({"a": [0.3], "b": [0.0]}) == (0.0, {"b": 0.0})
    assert common_drift({"a": [1e-9], "b": [2e-9]}) == (0.0, {"a": 1e-9, "b": 2e-9})
    assert common_drift({}) == (0.0, {})


def test_between_two_readings_a_problem_is_linear_in_the_root_of_drift() -> None:
    read = [reading(0, 0.0, 0, 1), reading(4, 0.04, 1, 1), reading(8, 0.36, 1, 0)]  # roots .2 and .6
    found = at_drift(read, 0.09)  # root .3
    assert found is not None
    assert found.between == (4, 8)
    assert found.weight == pytest.approx(0.25)
    assert found.scores == pytest.approx({"p0": 1.0, "p1": 0.75})
    assert found.value == pytest.approx(0.875)
    early = at_drift(read, 0.01)
    assert early is not None
    assert early.scores == pytest.approx({"p0": 0.5, "p1": 1.0})
    assert at_drift(read, 0.5) is None


@pytest.mark.parametrize("speed", [1.0, 1.7, 4.0])
def test_arms_that_gain_alike_with_distance_score_alike_however_fast_they_went(speed: float) -> None:
    # After s steps an arm is speed * s away, its KL is the square of that, and its score a tenth of it.
    def at(step: int) -> Reading:
        return reading(step, (speed * step) ** 2, 0.1 * speed * step)

    found = at_drift([at(step) for step in (0, 4, 8)], 64 / 4)  # the slowest is there after 4 steps, at a reading
    assert found is not None
    assert found.value == pytest.approx(0.4)


def test_exactly_at_a_reading_it_is_that_reading() -> None:
    found = at_drift([reading(0, 0.0, 0), reading(4, 0.2, 1), reading(8, 0.4, 0)], 0.2)
    assert found is not None
    assert (found.between, found.weight, found.value) == ((0, 4), 1.0, 1.0)


def test_of_a_drift_that_goes_back_the_first_time_counts() -> None:
    read = [reading(0, 0.0, 0), reading(4, 0.4, 1), reading(8, 0.1, 0), reading(12, 0.5, 0)]
    found = at_drift(read, 0.2)
    assert found is not None
    assert found.between == (0, 4)


@given(
    drifts=st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=6),
    share=st.floats(0.01, 1.0),
    scores=st.lists(st.sampled_from([0.0, 1.0]), min_size=7, max_size=7),
)
def test_it_lies_between_the_readings(drifts: list[float], share: float, scores: list[float]) -> None:
    read = [reading(step, drift, scores[step]) for step, drift in enumerate([0.0, *drifts])]
    found = at_drift(read, share * drifts[-1])
    assert found is not None
    before, after = (read[step] for step in found.between)
    assert before.drift < share * drifts[-1] <= after.drift
    low, high = sorted((before.scores["p0"], after.scores["p0"]))
    assert low <= found.value <= high
    assert 0 < found.weight <= 1


def test_a_paired_difference_of_two_runs_each() -> None:
    control = [dose(0.0, 0.5, 1.0, 0.0), dose(0.0, 0.5, 0.0, 0.0)]
    arm = [dose(1.0, 0.5, 1.0, 0.0), dose(1.0, 0.5, 1.0, 1.0)]
    found = paired_doses(control, arm, {f"p{i}": i for i in range(4)})
    assert found.estimate == pytest.approx((1 + 0 + 0.5 + 0.5) / 4)
    assert (found.base, found.trained) == pytest.approx((1 / 4, 3 / 4))
    assert (found.gained, found.lost, found.n) == (3, 0, 4)
    assert found.ci_low < found.estimate < found.ci_high
    # Equal responses are no interval of width 0.
    same = paired_doses(control, control, {f"p{i}": i for i in range(4)})
    assert (same.estimate, same.p_value) == (0.0, 1.0)
    assert same.ci_low < 0 < same.ci_high


def test_copies_of_a_problem_are_one() -> None:
    control, arm = dose(0.0, 0.0, 0.0, 1.0), dose(1.0, 1.0, 0.0, 1.0)
    apart = paired_doses([control], [arm], {f"p{i}": i for i in range(4)})
    copies = paired_doses([control], [arm], {"p0": 0, "p1": 0, "p2": 2, "p3": 3})
    assert apart.estimate == copies.estimate
    assert copies.ci_high - copies.ci_low > apart.ci_high - apart.ci_low
