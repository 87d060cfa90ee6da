"""The gain after saturation: thirds by hand, what is not tested, seeds, and a walk without drift."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.measure.dynamics import why_unsaturated
from oneshot.measure.post_saturation import LEAST, PostSaturation, changes, over_runs, post_saturation
from oneshot.measure.statistics import t_quantile

FloatArray = npt.NDArray[np.float64]


def evaluations(*words: str, start: int = 1) -> dict[int, dict[str, float]]:
    """A word an evaluation, a character a problem, ten steps apart."""
    return {10 * (start + i): {str(p): float(c) for p, c in enumerate(word)} for i, word in enumerate(words)}


def test_thirds_by_hand() -> None:
    # Six evaluations: thirds are the first two and the last two. Problem 0 goes from 0 to 1, problem 1 from 1/2 to 1,
    # problem 2 stays, problem 3 loses one half.
    words = ("0011", "0111", "1010", "0101", "1110", "1111")
    found = changes(list(evaluations(*words).values()))
    assert found == {"0": 1.0, "1": 0.5, "2": 0.0, "3": -0.5}
    gain = post_saturation(evaluations(*words), 5)
    assert (gain.estimate, gain.n, gain.evaluations) == (0.25, 4, 6)
    assert (gain.first, gain.last) == ((10, 20), (50, 60))
    # Signs of 1, 1/2, -1/2: sums as far from 0 as 1 are all but those of 0, two of eight.
    assert gain.p_value == 0.75
    json.dumps(gain.as_dict(), allow_nan=False)


def test_a_third_is_rounded_down_and_the_middle_plays_no_part() -> None:
    words = ["00", "00", "11", "10", "01", "11", "01", "11"]
    assert post_saturation(evaluations(*words), 0).estimate == 0.75
    words[2:6] = ["00", "00", "00", "00"]
    assert post_saturation(evaluations(*words), 0).estimate == 0.75


def test_evaluations_up_to_saturation_play_no_part() -> None:
    later = ("00", "00", "01", "01", "11", "11")
    found = post_saturation(evaluations("11", "11", "11", *later), 30)
    assert found == post_saturation(evaluations(*later, start=4), 30)
    assert found.estimate == 1 and found.first == (40, 50)


def test_what_is_not_tested_says_why() -> None:
    five = post_saturation(evaluations(*["01"] * 5), 0)
    assert five.badge == "not tested" and five.estimate is None and five.evaluations == 5
    assert "5 evaluations after saturation at step 0" in five.why and str(LEAST) in five.why
    never = post_saturation(evaluations(*["01"] * 9), None, why_unsaturated="The run has 3 training steps.")
    assert (never.badge, never.why) == ("not tested", "The run has 3 training steps.")
    others = post_saturation({**evaluations(*["01"] * 6), 70: {"9": 1.0}}, 0)
    assert others.badge == "not tested" and "different problems" in others.why


def test_why_a_run_did_not_saturate() -> None:
    assert "4 training steps" in why_unsaturated([16] * 4, [16] * 4)
    assert "70 training samples" in why_unsaturated([7] * 20, [7] * 20)
    # 152 of 160: Wilson's lower bound is .9044
    assert "90.4%" in why_unsaturated([16] * 2 + [8] + [16] * 8, [16] * 11)


def test_a_gain_and_a_null_with_what_it_excludes() -> None:
    rise = post_saturation(evaluations(*["0" * 30] * 2, *["0" * 30] * 2, *["1" * 12 + "0" * 18] * 2), 0)
    assert (rise.badge, rise.scope) == ("supported", "in this run") and rise.estimate == pytest.approx(0.4)
    assert post_saturation(evaluations(*["1" * 30] * 4, *["0" * 30] * 2), 0).badge == "harmed"
    flat = post_saturation(evaluations(*["0101" * 8] * 6), 0)
    assert flat.badge == "inconclusive" and flat.ci_high is not None and flat.ci_high > 0
    assert flat.detectable is not None and f"{100 * flat.detectable:.1f} points" in flat.why
    assert f"Gains above {100 * flat.ci_high:.1f} points are excluded" in flat.why


def test_copies_of_a_problem_are_one() -> None:
    words = ["0" * 12] * 4 + ["1" * 6 + "0" * 6] * 2
    alone = post_saturation(evaluations(*words), 0)
    copied = post_saturation(evaluations(*words), 0, clusters={str(p): p // 6 for p in range(12)})
    assert alone.badge == "supported" and copied.badge == "inconclusive" and copied.estimate == alone.estimate


def test_copies_of_a_problem_are_one_over_seeds_too() -> None:
    words = ["0" * 12] * 4 + ["1" * 6 + "0" * 6] * 2
    copies = {str(p): p // 6 for p in range(12)}
    alone = over_runs([post_saturation(evaluations(*words), 0)] * 3)
    copied = over_runs([post_saturation(evaluations(*words), 0, clusters=copies)] * 3)
    assert alone.badge == "supported" and copied.badge == "inconclusive" and copied.estimate == alone.estimate
    none = over_runs([post_saturation(evaluations(*words), 0, clusters={str(p): p for p in range(12)})] * 3)
    assert none == alone and "clusters" not in copied.as_dict()


def gain_of(change: float, n: int = 40) -> PostSaturation:
    risen = round(change * n)
    return post_saturation(evaluations(*["0" * n] * 4, *["1" * risen + "0" * (n - risen)] * 2), 0)


def test_seeds_by_hand() -> None:
    new = over_runs([gain_of(0.2), gain_of(0.3), gain_of(0.4)])
    # Mean .3, SE .1/sqrt(3) = .05774, t_.975,2 = 4.30265: .3 +- .24842
    assert new.estimate == pytest.approx(0.3) and new.effects == pytest.approx((0.2, 0.3, 0.4))
    assert (new.ci_low, new.ci_high) == pytest.approx((0.05158, 0.54842), abs=1e-4)
    assert (new.badge, new.scope) == ("supported", "over 3 seeds")


def test_seeds_that_agree_are_not_narrower_than_one_run() -> None:
    one, three = gain_of(0.3), over_runs([gain_of(0.3)] * 3)
    assert (three.ci_low, three.ci_high) == (one.ci_low, one.ci_high)


def test_few_seeds_and_runs_without_a_gain() -> None:
    two = over_runs([gain_of(0.3), gain_of(0.4)])
    assert two.badge == "not tested" and two.estimate == pytest.approx(0.35) and "takes 3 runs" in two.why
    lost = post_saturation({}, None, why_unsaturated="The run has 3 training steps.")
    left = over_runs([gain_of(0.2), lost, gain_of(0.3), gain_of(0.4)])
    assert left.badge == "supported" and left.scope == "over 3 seeds" and "1 of 4 runs are left out" in left.why
    assert over_runs([gain_of(0.2), lost]).estimate is None and over_runs([]).badge == "not tested"
    assert "different problems" in over_runs([gain_of(0.2), gain_of(0.2, n=30)]).why


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=4), min_size=6, max_size=9))
def test_reversing_time_turns_the_gain_around(scores: list[list[float]]) -> None:
    made = {i + 1: {str(p): score for p, score in enumerate(row)} for i, row in enumerate(scores)}
    back = {i + 1: row for i, row in enumerate(reversed(made.values()))}
    forth, other = post_saturation(made, 0), post_saturation(back, 0)
    assert forth.estimate == pytest.approx(-(other.estimate or 0.0))
    assert forth.ci_low == pytest.approx(-(other.ci_high or 0.0)) and forth.p_value == other.p_value


def walk(rng: np.random.Generator, base_P: FloatArray, evaluations: int) -> FloatArray:
    """[E, P]: graded checkpoints of a run whose logits wander without drift, all together and each alone.

    `base_P` is symmetric about 0, so that the mean success rate has no drift either.
    """
    shape = (evaluations, len(base_P))
    logits = base_P + rng.normal(0, 0.3, shape[0]).cumsum()[:, None] + rng.normal(0, 0.2, shape).cumsum(axis=0)
    return (rng.random(shape) < 1 / (1 + np.exp(-logits))).astype(np.float64)


def slope_rejects(scores_EP: FloatArray) -> bool:
    """Least squares of the mean score on the checkpoint's number, two-sided t test at 5 %."""
    y, x = scores_EP.mean(axis=1), np.arange(len(scores_EP)) - (len(scores_EP) - 1) / 2
    slope = float(x @ y / (x @ x))
    left = y - y.mean() - slope * x
    return abs(slope) > t_quantile(0.975, len(y) - 2) * float(np.sqrt(left @ left / (len(y) - 2) / (x @ x)))


def test_a_walk_without_drift_over_five_seeds_is_rarely_called_a_gain() -> None:
    rng, studies, seeds = np.random.default_rng(7), 240, 5
    over, single, slopes = list[str](), list[str](), list[bool]()
    for _ in range(studies):
        base_P = rng.normal(0, 1.5, 30)
        scores = [walk(rng, base_P, 24) for _ in range(seeds)]
        slopes += [slope_rejects(each) for each in scores]
        runs = [
            post_saturation({e + 1: dict(zip(map(str, range(30)), row, strict=True)) for e, row in enumerate(s)}, 0)
            for s in (each.tolist() for each in scores)
        ]
        single += [run.badge for run in runs]
        over.append(over_runs(runs).badge)
    assert over.count("supported") <= 0.07 * studies
    assert over.count("supported") + over.count("harmed") <= 0.08 * studies
    # What is not good enough, and why no claim about training rests on it: the slope, and a single run.
    assert np.mean(slopes) > 0.38
    assert single.count("supported") > 0.07 * len(single)
