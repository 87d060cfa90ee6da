from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from oneshot.measure.statistics import (
    bonett_price,
    macro_average,
    mcnemar_exact,
    normal_quantile,
    two_sided,
    wilson,
)

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 400))
    b = draw(st.integers(0, n))
    return b, draw(st.integers(0, n - b)), n


def bonett_price_arrays(b: np.ndarray, c: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An independent vectorised form: low, high, SE."""
    q, r = (b + 1) / (n + 2), (c + 1) / (n + 2)
    se = np.sqrt((q + r - (q - r) ** 2) / (n + 2))
    return q - r - 1.959963984540054 * se, q - r + 1.959963984540054 * se, se


def test_normal_quantile_against_table() -> None:
    assert normal_quantile(0.975) == pytest.approx(1.959964, abs=1e-6)
    assert normal_quantile(0.5) == pytest.approx(0, abs=1e-12)
    assert two_sided(0.90) == pytest.approx(1.644854, abs=1e-6)


def test_wilson_by_hand() -> None:
    # 8 of 10, z = 1.96: centre (0.8 + 0.192073)/(1.384146) = 0.716740, half 0.226571
    interval = wilson(8, 10)
    assert (interval.low, interval.high) == pytest.approx((0.490162, 0.943318), abs=1e-6)
    assert interval.estimate == 0.8


@given(COUNTS, st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_scipy(counts: tuple[int, int], level: float) -> None:
    k, n = counts
    expected = binomtest(k, n).proportion_ci(confidence_level=level, method="wilson")
    interval = wilson(k, n, level)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1


def test_wilson_knows_nothing_from_nothing() -> None:
    interval = wilson(0, 0)
    assert (interval.low, interval.high, interval.n) == (0.0, 1.0, 0)
    assert interval.as_dict()["estimate"] is None


def test_wilson_edges_are_exact() -> None:
    assert wilson(0, 7).low == 0.0
    assert wilson(7, 7).high == 1.0


def test_bonett_price_of_identical_outputs_is_not_zero_wide() -> None:
    interval = bonett_price(0, 0, 100)
    assert interval.estimate == 0
    assert (interval.low, interval.high) == pytest.approx((-0.0272, 0.0272), abs=5e-5)


def test_bonett_price_by_hand() -> None:
    # b=20, c=5, n=120: q=21/122, r=6/122, centre .122951, SE sqrt((.221311-.015117)/122) = .041111
    interval = bonett_price(20, 5, 120)
    assert interval.estimate == pytest.approx(0.125)
    assert interval.se == pytest.approx(0.041111, abs=1e-6)
    assert (interval.low, interval.high) == pytest.approx((0.042375, 0.203527), abs=1e-6)


@given(tables())
def test_bonett_price_contains_its_centre_and_the_plain_difference(table: tuple[int, int, int]) -> None:
    b, c, n = table
    interval = bonett_price(b, c, n)
    assert interval.low < (b - c) / (n + 2) < interval.high
    assert interval.low <= interval.estimate <= interval.high
    assert -1 <= interval.low < interval.high <= 1


@given(tables())
def test_swapping_the_models_mirrors_the_interval(table: tuple[int, int, int]) -> None:
    b, c, n = table
    one, other = bonett_price(b, c, n), bonett_price(c, b, n)
    assert (one.estimate, one.low, one.high) == pytest.approx((-other.estimate, -other.high, -other.low), abs=1e-12)
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)


@given(tables())
def test_more_problems_of_the_same_kind_narrow_the_interval(table: tuple[int, int, int]) -> None:
    b, c, n = table
    few, many = bonett_price(b, c, n), bonett_price(4 * b, 4 * c, 4 * n)
    assert many.se < few.se


@pytest.mark.parametrize("n", [120, 225])
@pytest.mark.parametrize(("p12", "p21"), [(0.1, 0.1), (0.3, 0.05), (0.05, 0.2), (0.5, 0.1)])
def test_bonett_price_coverage(n: int, p12: float, p21: float) -> None:
    draws = np.random.default_rng([n, int(1000 * p12)]).multinomial(n, [p12, p21, 1 - p12 - p21], size=4000)
    low, high, _ = bonett_price_arrays(draws[:, 0], draws[:, 1], n)
    for row in (0, 1, 2):  # the array form simulated here is the function under test
        ours = bonett_price(int(draws[row, 0]), int(draws[row, 1]), n)
        assert (ours.low, ours.high) == pytest.approx((low[row], high[row]), abs=1e-12)
    coverage = np.mean((low <= p12 - p21) & (p12 - p21 <= high))
    assert 0.93 <= coverage <= 0.97


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_equals_scipy(b: int, c: int) -> None:
    expected = binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_by_hand_and_with_many_flips() -> None:
    assert mcnemar_exact(5, 0) == 2 / 32
    assert mcnemar_exact(4, 1) == 2 * (1 + 5) / 32
    assert mcnemar_exact(3, 3) == 1.0
    assert 0 < mcnemar_exact(900, 700) < 1e-6  # 2**1600 is no float


def test_macro_average_by_hand() -> None:
    first, second = bonett_price(10, 2, 50), bonett_price(0, 3, 20)
    mean = macro_average([first, second])
    se = math.hypot(first.se, second.se) / 2
    assert mean.estimate == pytest.approx((8 / 50 - 3 / 20) / 2)
    assert mean.se == pytest.approx(se)
    assert (mean.low, mean.high) == pytest.approx((mean.estimate - 1.959964 * se, mean.estimate + 1.959964 * se))
    assert mean.n == 70


def test_macro_average_of_one_is_that_one() -> None:
    assert macro_average([bonett_price(3, 1, 20)]) == bonett_price(3, 1, 20)


@pytest.mark.parametrize(("p12", "p21"), [(0.3, 0.05), (0.5, 0.05), (0.1, 0.1)])
def test_macro_average_covers_with_eight_kinds_of_fifteen(p12: float, p21: float) -> None:
    draws = np.random.default_rng(1).multinomial(15, [p12, p21, 1 - p12 - p21], size=(4000, 8))
    _, _, se = bonett_price_arrays(draws[..., 0], draws[..., 1], 15)
    plain = ((draws[..., 0] - draws[..., 1]) / 15).mean(axis=1)
    half = 1.959964 * np.sqrt((se**2).sum(axis=1)) / 8
    ours = macro_average([bonett_price(int(b), int(c), 15) for b, c, _ in draws[0]])
    assert (ours.low, ours.high) == pytest.approx((plain[0] - half[0], plain[0] + half[0]), abs=1e-6)
    assert 0.94 <= np.mean(np.abs(plain - (p12 - p21)) <= half) <= 0.985
