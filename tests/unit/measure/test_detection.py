"""The detectable difference: power of the rule that a claim rests on, counted by hand and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from scipy.stats import t as student

from oneshot.measure.detection import claim_power, detectable, detectable_apart, detectable_mean, least_flips
from oneshot.measure.repeated import paired_scores
from oneshot.measure.statistics import bonett_price, mcnemar_exact


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 400))
    b = draw(st.integers(0, n))
    return b, draw(st.integers(0, n - b)), n


def claims_of(gained: np.ndarray, lost: np.ndarray, n: int, alpha: float = 0.05) -> float:
    """How often simulated comparisons claim a gain: interval above 0, and p at most alpha."""
    tables, counts = np.unique(np.stack([gained, lost], axis=1), axis=0, return_counts=True)
    claimed = [
        b > c and mcnemar_exact(int(b), int(c)) <= alpha and bonett_price(int(b), int(c), n).low > 0 for b, c in tables
    ]
    return float((counts * np.array(claimed)).sum() / counts.sum())


def test_what_mcnemar_rejects_the_interval_excludes() -> None:
    """So a claim's power is that of the exact test."""
    for n in (6, 10, 30, 100, 500, 5000):
        for flips in range(6, min(n, 300) + 1):
            b = next(b for b in range(flips // 2, flips + 1) if mcnemar_exact(b, flips - b) <= 0.05)
            assert bonett_price(b, flips - b, n).low > 0, (b, flips - b, n)


def test_six_gains_without_a_loss_are_the_least_claim() -> None:
    assert least_flips(0.05) == 6
    assert mcnemar_exact(6, 0) <= 0.05 < mcnemar_exact(5, 0)
    assert least_flips(0.05 / 6) == 8 and mcnemar_exact(8, 0) <= 0.05 / 6 < mcnemar_exact(7, 0)


def test_no_flips_by_the_binomial() -> None:
    """No flips among 98: gains only, and at least 6 of them in 4 of 5 comparisons. A normal power said 3.8 points."""
    d = detectable(0, 0, 98)
    assert binom.sf(5, 98, d) == pytest.approx(0.8, abs=1e-4)
    assert d == pytest.approx(0.07948, abs=1e-5)
    assert detectable(0, 0, 30) == pytest.approx(0.25075, abs=1e-4)
    assert detectable(0, 0, 5) == 1.0, "five problems cannot give a claim"


@pytest.mark.parametrize(("n", "b", "c"), [(30, 3, 5), (100, 1, 1), (100, 10, 16), (200, 30, 30), (500, 25, 25)])
@pytest.mark.parametrize("claims", [1, 6])
def test_a_detectable_difference_is_claimed_with_its_power(n: int, b: int, c: int, claims: int) -> None:
    d, flips = detectable(b, c, n, claims=claims), (b + c + 2) / (n + 2)
    gain, loss = (max(flips, d) + d) / 2, max(0.0, flips - d) / 2
    draws = np.random.default_rng([n, b]).multinomial(n, [gain, loss, max(0.0, 1 - gain - loss)], size=6000)
    assert claims_of(draws[:, 0], draws[:, 1], n, 0.05 / claims) == pytest.approx(0.8, abs=0.02)


def test_many_flips_by_the_normal_approximation() -> None:
    n, gain, loss = 3000, 0.15, 0.12
    draws = np.random.default_rng(0).multinomial(n, [gain, loss, 1 - gain - loss], size=8000)
    assert claim_power(gain, loss, n, 0.05) == pytest.approx(claims_of(draws[:, 0], draws[:, 1], n), abs=0.02)
    below, above = claim_power(0.2, 0.1, 1333, 0.05), claim_power(0.2, 0.1, 1334, 0.05)  # 399.9 and 400.2 flips
    assert below == pytest.approx(above, abs=0.005)


@given(tables())
def test_detectable_is_symmetric_and_needs_the_least_claim(table: tuple[int, int, int]) -> None:
    b, c, n = table
    d = detectable(b, c, n)
    assert d == detectable(c, b, n)
    assert min(1.0, 6 / n) <= d <= 1
    assert detectable(b, c, n, claims=5) >= d


def test_before_the_second_model_is_there() -> None:
    """0 of 30: nothing can be lost, so it is the size of gains alone; independent intervals said 11.5 points."""
    assert detectable_apart(0.0, 30) == detectable(0, 0, 30) == detectable_apart(1.0, 30)
    assert detectable_apart(0.2, 100) == detectable_apart(0.8, 100)
    assert detectable_apart(0.5, 5) == 1.0
    for p, n in ((0.1, 30), (0.25, 100), (0.5, 200)):
        d = detectable_apart(p, n)
        rng = np.random.default_rng([n])
        first, second = rng.random((6000, n)) < p, rng.random((6000, n)) < p + d
        gained, lost = (second & ~first).sum(axis=1), (first & ~second).sum(axis=1)
        assert claims_of(gained, lost, n) == pytest.approx(0.8, abs=0.02)


@given(tables())
def test_a_model_that_agrees_more_needs_no_more(table: tuple[int, int, int]) -> None:
    """Of all second models, as accurate as the comparison says, those that agree by chance flip the most."""
    _, right, n = table
    d = detectable_apart(right / n, n)
    assert d >= detectable(0, 0, n) - 1e-5


def test_detectable_mean_has_its_power() -> None:
    n, sd = 100, 0.3
    d = detectable_mean(sd / 10, n)
    assert d == pytest.approx((student.ppf(0.975, 99) + student.ppf(0.8, 99)) * 0.03)
    draws = np.random.default_rng(5).normal(d, sd, (8000, n))
    low = draws.mean(axis=1) - student.ppf(0.975, 99) * draws.std(axis=1, ddof=1) / 10
    assert np.mean(low > 0) == pytest.approx(0.8, abs=0.02)


def test_detectable_mean_at_the_edges() -> None:
    assert detectable_mean(0.01, 1) == 1.0
    assert detectable_mean(0.9, 20) == 1.0
    assert detectable_mean(0.01, 3) < 1, "three runs have a t interval and no sign flip"
    assert detectable_mean(0.01, 5, samples=8) == 1.0, "five problems that move give p = .0625 at best"
    assert detectable_mean(0.03, 100, claims=6) == pytest.approx(
        (student.ppf(1 - 0.025 / 6, 99) + student.ppf(0.8, 99)) * 0.03
    )


def test_equal_outputs_of_several_samples_need_problems_that_move() -> None:
    """The t interval of 30 x 8 equal outputs excludes 1.6 points; six problems that move by 1/8 are 2.5."""
    found = paired_scores([0.0] * 30, 8)
    assert found.detectable == detectable(0, 0, 30) / 8 > 0.03
    moved = np.random.default_rng(1).binomial(1, 8 * found.detectable, (400, 30)) / 8
    claimed = [(each := paired_scores(row, 8)).low > 0 and each.p_value <= 0.05 for row in moved.tolist()]
    assert np.mean(claimed) == pytest.approx(0.8, abs=0.06)
    assert math.isclose(paired_scores([0.0] * 30, 8, claims=3).detectable, detectable(0, 0, 30, claims=3) / 8)
