"""Means of scores over problems and over tasks: the interval with an effective number of problems."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from oneshot.errors import UsageError
from oneshot.measure.repeated import mean_score, standard_error
from oneshot.measure.statistics import Interval, macro_mean, score_bounds, wilson

SCORES = st.lists(st.integers(0, 8).map(lambda right: right / 8), min_size=2, max_size=60)


def test_score_bounds_solve_the_equation_of_the_score_test() -> None:
    for share, n, z in ((0.3, 17.5, 2.1), (0.02, 400.25, 1.96), (0.5, 3, 4.3)):
        for bound in score_bounds(share, n, z):
            assert abs(share - bound) == pytest.approx(z * math.sqrt(bound * (1 - bound) / n))


def test_avg_at_k_by_hand() -> None:
    # scores 0, .25, .5, .25: m = .25, sd^2 = .125/3, SE^2 = .0104167, n_eff = .1875/.0104167 = 18, t(3) = 3.182446
    interval = mean_score([0, 0.25, 0.5, 0.25], 8)
    assert interval.estimate == 0.25
    assert interval.se == pytest.approx(math.sqrt(0.125 / 12))
    # t^2 = 10.127964: centre (.25 + .281332)/1.562665 = .340017; half 2.036551 sqrt(.0104167 + .0078148) = .274983
    # The upper bound of no success in 4 problems, t^2/(4 + t^2) = .716874, is above .615.
    assert (interval.low, interval.high) == pytest.approx((0.065034, 0.716874), abs=1e-6)
    three = mean_score([0, 0.25, 0.5, 0.25] * 3, 8)
    # 12 problems: SE^2 = .375/11/12, n_eff = 66, t(11) = 2.200985
    assert (three.low, three.high) == pytest.approx(score_bounds(0.25, 66, 2.200985), abs=1e-6)
    assert interval.n == 4


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=80))
def test_one_sample_a_problem_is_plain_wilson(scores: list[float]) -> None:
    plain, ours = wilson(int(sum(scores)), len(scores)), mean_score(scores, 1)
    assert (ours.estimate, ours.low, ours.high, ours.method) == (plain.estimate, plain.low, plain.high, "wilson")


@given(SCORES)
def test_the_interval_holds_the_mean_and_stays_within_0_and_1(scores: list[float]) -> None:
    interval = mean_score(scores, 8)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    assert interval.low < interval.high
    mirrored = mean_score([1 - score for score in scores], 8)
    assert (interval.low, interval.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-9)


def test_many_problems_give_the_plain_t_interval() -> None:
    rng = np.random.default_rng(0)
    scores = rng.binomial(8, rng.random(20_000)) / 8
    interval, se = mean_score(scores.tolist(), 8), scores.std(ddof=1) / math.sqrt(20_000)
    assert interval.se == pytest.approx(se)
    assert interval.high - interval.low == pytest.approx(2 * 1.960063 * se, rel=1e-3)


def test_no_success_at_all_counts_every_problem_once() -> None:
    """Rule: 8 samples of a problem may all repeat each other, so nothing of 8 x 30 is no more than nothing of 30."""
    t = student.ppf(0.975, 29)
    interval = mean_score([0.0] * 30, 8)
    assert (interval.low, interval.high) == pytest.approx((0.0, t**2 / (30 + t**2)))
    assert interval.high > wilson(0, 30).high
    assert mean_score([1.0] * 30, 8).low == pytest.approx(1 - interval.high)


def test_the_first_success_does_not_lower_the_upper_bound() -> None:
    """0 of 240 gave 12.2 %, 1 of 240 then 2.5 %: what was seen less often was bounded higher."""
    none = mean_score([0.0] * 30, 8)
    for right in range(1, 9):
        one, apart = [right / 8] + [0.0] * 29, [1 / 8] * right + [0.0] * (30 - right)
        for scores in (one, apart):
            found, mirrored = mean_score(scores, 8), mean_score([1 - score for score in scores], 8)
            assert found.high >= none.high and found.low > 0
            assert mirrored.low == pytest.approx(1 - found.high)
    highs = [mean_score([1 / 8] * right + [0.0] * (30 - right), 8).high for right in range(31)]
    assert highs == sorted(highs)


def test_hardly_any_success_covers() -> None:
    rng = np.random.default_rng(30)
    drawn = rng.binomial(8, rng.beta(0.1, 3, (1000, 30))) / 8
    found = [mean_score(row, 8) for row in drawn.tolist()]
    assert sum(each.low <= 0.1 / 3.1 <= each.high for each in found) / 1000 >= 0.95  # it was .89


def test_equal_scores_are_as_good_as_independent_samples_and_no_better() -> None:
    t = student.ppf(0.975, 9)
    interval = mean_score([0.5] * 10, 8)
    assert interval.se == 0
    assert (interval.low, interval.high) == pytest.approx(score_bounds(0.5, 80, t))


def test_one_problem_tells_nothing_and_none_less() -> None:
    alone = mean_score([0.25], 8)
    assert (alone.estimate, alone.low, alone.high) == (0.25, 0.0, 1.0)
    nothing = mean_score([], 8)
    assert (nothing.low, nothing.high, nothing.n) == (0.0, 1.0, 0)
    assert math.isnan(nothing.estimate)


def test_scores_outside_the_unit_interval_are_refused() -> None:
    with pytest.raises(UsageError, match=r"outside \[0, 1\]"):
        mean_score([0.5, 1.5], 2)


def test_standard_error() -> None:
    assert standard_error([0.1] * 7) == 0.0  # numpy's mean of these is not .1 exactly
    assert standard_error([0, 1]) == pytest.approx(0.5)


@pytest.mark.parametrize("n", [200, 500])
def test_avg_at_8_covers(n: int) -> None:
    rng = np.random.default_rng([8, n])
    drawn = rng.binomial(8, rng.beta(0.25, 1.4, (600, n))) / 8
    intervals = [mean_score(row, 8) for row in drawn.tolist()]
    covered = sum(found.low <= 0.25 / 1.65 <= found.high for found in intervals) / 600
    assert 0.92 <= covered <= 0.98
    # The same samples taken as independent would cover far less: that is the mistake this interval avoids.
    naive = [wilson(round(8 * sum(row)), 8 * n) for row in drawn.tolist()]
    assert sum(found.low <= 0.25 / 1.65 <= found.high for found in naive) / 600 < 0.75


def test_macro_mean_by_hand() -> None:
    first, second = mean_score([1.0] * 20 + [0.0] * 30, 1), mean_score([0.0, 0.25, 0.5, 0.25] * 10, 8)
    se2 = 0.4 * 0.6 / 50, (10 * 0.125) / 39 / 40
    found = macro_mean([first, second])
    assert (found.estimate, found.n) == (pytest.approx(0.325), 90)
    assert found.se == pytest.approx(math.sqrt(sum(se2)) / 2)
    df = math.floor(sum(se2) ** 2 / (se2[0] ** 2 / 49 + se2[1] ** 2 / 39))
    expected = score_bounds(0.325, 0.325 * 0.675 / found.se**2, student.ppf(0.975, df))
    assert (found.low, found.high) == pytest.approx(expected)


def test_macro_mean_of_equal_tasks_is_the_mean_of_all_their_problems() -> None:
    scores = [0.0, 0.25, 0.5, 0.25, 1.0, 0.75] * 20
    task, together = mean_score(scores, 8), mean_score(scores * 6, 8)
    found = macro_mean([task] * 6)
    assert found.estimate == pytest.approx(together.estimate)
    assert (found.low, found.high) == pytest.approx((together.low, together.high), rel=2e-3)


def test_macro_mean_at_the_edges() -> None:
    assert macro_mean([wilson_se(3, 10)]) == wilson_se(3, 10)
    nothing = macro_mean([mean_score([0.0] * 30, 8), mean_score([0.0] * 30, 8)])
    assert (nothing.low, nothing.high) == pytest.approx(score_bounds(0, 60, student.ppf(0.975, 58)))
    split = macro_mean([mean_score([0.0] * 30, 8), mean_score([1.0] * 30, 8)])
    assert 0 < split.low < 0.5 < split.high < 1


def test_nothing_of_a_small_task_is_not_known_as_well_as_nothing_of_a_large_one() -> None:
    """0 of 30 and 0 of 1,000: all that was missed may lie in the 30, so 60 problems stand behind the bound."""
    found = macro_mean([wilson_se(0, 30), wilson_se(0, 1000)])
    assert found.high > 0.05 > 2 * wilson(0, 1030).high
    first = macro_mean([wilson_se(1, 30), wilson_se(0, 1000)])
    assert first.high > found.high


def test_macro_mean_is_continuous_in_the_first_success() -> None:
    none = macro_mean([mean_score([0.0] * 30, 8)] * 2)
    one = macro_mean([mean_score([0.0] * 30, 8), mean_score([1 / 8] + [0.0] * 29, 8)])
    assert none.high <= one.high < none.high + 0.01


@pytest.mark.parametrize("scores", [[0.0], [1.0], [0.25]])
@pytest.mark.parametrize("samples", [1, 8])
def test_macro_mean_of_tasks_of_one_problem(scores: list[float], samples: int) -> None:
    """One problem with several samples has SE 1/2; where the mean is 0 or 1 that left n_eff at 0."""
    for tasks in ([scores] * 2, [scores, [0.0] * 30], [scores, [1.0]], [scores, [0.5] * 400]):
        found = macro_mean([mean_score(task, samples) for task in tasks])
        assert 0 <= found.low <= found.estimate <= found.high <= 1
        assert found.low < found.high and math.isfinite(found.se)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40), st.sampled_from([1, 8])), min_size=2, max_size=6))
def test_macro_mean_is_finite_for_every_input(tasks: list[tuple[int, int, int]]) -> None:
    means = [mean_score([i < right for i in range(n)], k) for n, right, k in tasks]
    found = macro_mean(means)
    assert 0 <= found.low <= found.estimate <= found.high <= 1 and found.low < found.high
    without: list[Interval] = [replace(each, se=math.nan) for each in means]
    assert math.isfinite(macro_mean(without).se)


def test_macro_mean_covers_where_a_task_has_nothing_right() -> None:
    """Rates .03 .03 .4 .2 of 30, 30, 500 and 675 problems: with an SE of 0 for 0 of 30 it was 88.3 %."""
    rng = np.random.default_rng(9)
    rates, sizes = (0.03, 0.03, 0.4, 0.2), (30, 30, 500, 675)
    drawn = [[wilson_se(int(rng.binomial(n, p)), n) for n, p in zip(sizes, rates, strict=True)] for _ in range(2000)]
    found = [macro_mean(each) for each in drawn]
    assert 0.93 <= sum(each.low <= sum(rates) / 4 <= each.high for each in found) / 2000 <= 0.995


def wilson_se(k: int, n: int) -> Interval:
    return replace(wilson(k, n), se=math.sqrt(k * (n - k) / n**3))
