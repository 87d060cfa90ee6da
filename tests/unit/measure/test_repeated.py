"""Paired differences of k samples a problem: t interval, sign-flip p."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from oneshot.errors import UsageError
from oneshot.measure.repeated import FLIPS, paired_interval, paired_scores, sign_flip
from oneshot.measure.statistics import bonett_price, macro_average, mcnemar_exact

EIGHTHS = st.integers(-8, 8).map(lambda steps: steps / 8)


def brute_force(differences: list[float]) -> float:
    """Every pattern of signs, one by one."""
    seen = abs(sum(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in patterns(len(differences))]
    return sum(total >= seen - 1e-12 for total in sums) / len(sums)


def patterns(n: int) -> list[tuple[int, ...]]:
    return list(product((-1, 1), repeat=n))


@given(st.lists(EIGHTHS, min_size=3, max_size=40).filter(lambda d: len(set(d)) > 1))
def test_the_interval_is_scipys(differences: list[float]) -> None:
    ours = paired_interval(differences)
    expected = ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((max(-1, expected.low), min(1, expected.high)), rel=1e-9, abs=1e-12)
    assert ours.estimate == pytest.approx(sum(differences) / len(differences))


def test_identical_outputs_are_not_zero_wide() -> None:
    """With one sample a problem the SE is Bonett and Price's; with k samples it is 1/k of that."""
    one, eight = paired_interval([0.0] * 100, 1), paired_interval([0.0] * 100, 8)
    assert one.se == pytest.approx(bonett_price(0, 0, 100).se)
    assert eight.se == pytest.approx(one.se / 8)
    assert -0.0276 < one.low < -0.0272 and one.high == -one.low
    assert paired_interval([0.0] * 100) == one
    assert paired_interval([0.25] * 3).high == 1.0


def test_the_floor_does_not_touch_ordinary_differences() -> None:
    differences = [0.125, -0.25, 0.5, 0.0, 0.25, 0.125] * 5
    assert paired_interval(differences, 8) == paired_interval(differences)
    tiny = [0.0] * 99 + [1 / 64]
    assert paired_interval(tiny, 8).se > paired_interval(tiny).se


def test_paired_scores_by_hand() -> None:
    # 1/4, 1/2, 1/4, 0, -1/4: mean .15, sd^2 = (.375 + .0625 - 5*.0225)/4 = .08125 -> SE sqrt(.01625), t(4) = 2.776445
    found = paired_scores([0.25, 0.5, 0.25, 0.0, -0.25], 4)
    assert (found.estimate, found.se) == (pytest.approx(0.15), pytest.approx(math.sqrt(0.01625)))
    half = 2.776445 * math.sqrt(0.01625)
    assert (found.low, found.high) == pytest.approx((0.15 - half, 0.15 + half), abs=1e-6)
    # Of +-1 +-2 +-1 +-1 (the 0 flips to itself) the 16 sums are 5 3 3 3 1 1 1 1 and their opposites... at least 3: 8
    assert found.p_value == brute_force([0.25, 0.5, 0.25, -0.25]) == 0.5
    assert found.detectable == 1.0  # five problems cannot give a p of .05
    twice = paired_scores([0.25, 0.5, 0.25, 0.0, -0.25] * 2, 4)
    assert twice.detectable == pytest.approx((2.262157 + 0.883404) * twice.se, abs=1e-6)
    assert (found.n, found.method) == (5, "t")


def test_paired_scores_can_be_averaged_over_tasks() -> None:
    task = paired_scores([0.25, 0.5, 0.25, 0.0, -0.25], 4)
    mean = macro_average([task, task])
    assert mean.estimate == pytest.approx(task.estimate)
    assert mean.se == pytest.approx(task.se / math.sqrt(2))


@given(st.lists(EIGHTHS, min_size=1, max_size=9))
def test_sign_flip_equals_every_pattern(differences: list[float]) -> None:
    assert sign_flip(differences) == pytest.approx(brute_force(differences), rel=1e-12)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
def test_sign_flip_of_single_samples_is_mcnemar(gained: int, lost: int, ties: int) -> None:
    differences = [1.0] * gained + [-1.0] * lost + [0.0] * ties
    expected = mcnemar_exact(gained, lost) if differences else 1.0
    assert (sign_flip(differences) if differences else 1.0) == pytest.approx(expected, rel=1e-9)


@given(st.lists(EIGHTHS, min_size=1, max_size=30))
def test_sign_flip_knows_no_direction(differences: list[float]) -> None:
    assert sign_flip(differences) == pytest.approx(sign_flip([-d for d in differences]))
    assert 0 < sign_flip(differences) <= 1


def test_sign_flip_of_unequal_numbers_of_samples() -> None:
    differences = [1 / 3 - 1 / 7, 2 / 3 - 1 / 7, 1 / 3 - 5 / 7, 1.0 - 2 / 7, 2 / 3 - 1 / 7]
    assert sign_flip(differences) == pytest.approx(brute_force(differences))


def test_arbitrary_numbers_are_flipped_at_random_with_a_seed() -> None:
    differences = (np.random.default_rng(2).random(12) - 0.35).tolist()
    exact, drawn = brute_force(differences), sign_flip(differences, seed=1)
    assert drawn == sign_flip(differences, seed=1) != sign_flip(differences, seed=2)
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / FLIPS))
    clear = (np.random.default_rng(2).random(200) + 0.01).tolist()
    assert sign_flip(clear) == 1 / (FLIPS + 1)  # never 0: the observed pattern is one of them


def test_a_p_value_is_never_0() -> None:
    assert 0 < sign_flip([1.0] * 1300) < 1e-300


def test_sign_flip_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    rejected = sum(
        sign_flip(((rng.binomial(4, 0.4, 25) - rng.binomial(4, 0.4, 25)) / 4).tolist()) <= 0.05 for _ in range(600)
    )
    assert rejected / 600 < 0.075


def test_edges() -> None:
    alone = paired_scores([0.5], 2)
    assert (alone.low, alone.high, alone.p_value, alone.detectable) == (-1.0, 1.0, 1.0, 1.0)
    with pytest.raises(UsageError, match="no problem"):
        paired_scores([], 2)
