"""Two independent shares: published intervals, scipy's exact test, limiting cases."""

from __future__ import annotations

from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact as oracle

from oneshot.measure.proportions import fisher_exact, mover, newcombe, normal_p
from oneshot.measure.statistics import Interval, wilson

TABLES = st.tuples(st.integers(0, 40), st.integers(1, 40), st.integers(0, 40), st.integers(1, 40)).map(
    lambda t: (min(t[0], t[1]), t[1], min(t[2], t[3]), t[3])
)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 10), 0.6075, 1.0),
        ((10, 10, 0, 20), 0.6791, 1.0),
    ],
)
def test_newcombes_own_examples(table: tuple[int, int, int, int], low: float, high: float) -> None:
    """Method 10 in table II of Newcombe (1998)."""
    found = newcombe(*table)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)
    assert found.method == "newcombe" and found.n == table[1]


@given(TABLES)
def test_fishers_test_is_scipys(table: tuple[int, int, int, int]) -> None:
    k1, n1, k0, n0 = table
    assert fisher_exact(*table) == pytest.approx(oracle([[k1, n1 - k1], [k0, n0 - k0]]).pvalue, rel=1e-6)


@given(TABLES)
def test_swapping_the_sides_turns_the_sign(table: tuple[int, int, int, int]) -> None:
    k1, n1, k0, n0 = table
    one, other = newcombe(k1, n1, k0, n0), newcombe(k0, n0, k1, n1)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert -1 <= one.low <= one.estimate <= one.high <= 1
    assert fisher_exact(k1, n1, k0, n0) == pytest.approx(fisher_exact(k0, n0, k1, n1))


def test_large_samples() -> None:
    assert fisher_exact(9_900, 10_240, 2, 32) < 1e-30
    assert fisher_exact(10_240, 10_240, 32, 32) == 1


def test_any_two_intervals() -> None:
    after = Interval(estimate=0.8, low=0.7, high=0.86, n=50, method="")
    before = Interval(estimate=0.5, low=0.46, high=0.58, n=20, method="")
    found = mover(after, before)
    assert (found.low, found.high) == pytest.approx((0.3 - (0.01 + 0.0064) ** 0.5, 0.3 + (0.0036 + 0.0016) ** 0.5))
    sd = (0.01 + 0.0064) ** 0.5 / 1.959964
    assert normal_p(found) == pytest.approx(2 * NormalDist().cdf(-0.3 / sd), rel=1e-5)
    assert normal_p(mover(before, before)) == 1
    assert normal_p(mover(before, after)) == pytest.approx(normal_p(found))
    assert mover(wilson(3, 7), wilson(1, 9)).high == newcombe(3, 7, 1, 9).high
