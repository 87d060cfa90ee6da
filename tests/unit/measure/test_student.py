from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from oneshot.measure.statistics import normal_quantile
from oneshot.measure.student import t_quantile


def test_against_the_printed_table() -> None:
    assert t_quantile(0.975, 1) == pytest.approx(12.7062, abs=5e-5)
    assert t_quantile(0.975, 2) == pytest.approx(4.30265, abs=5e-6)
    assert t_quantile(0.975, 9) == pytest.approx(2.262157, abs=5e-7)
    assert t_quantile(0.975, 30) == pytest.approx(2.042272, abs=5e-7)


@pytest.mark.parametrize("p", [0.5, 0.6, 0.8, 0.9, 0.975, 0.995, 0.9995, 0.9999])
def test_equals_scipy_at_every_number_of_problems(p: float) -> None:
    for df in [*range(1, 60), 99, 100, 199, 499, 998, 999, 1000, 1001, 1318, 5000, 10**6]:
        assert t_quantile(p, df) == pytest.approx(student.ppf(p, df), rel=1e-9, abs=1e-12), df


@given(st.floats(0.001, 0.999), st.integers(1, 3000))
def test_the_distribution_function_gives_p_back_and_the_quantile_is_odd(p: float, df: int) -> None:
    assert student.cdf(t_quantile(p, df), df) == pytest.approx(p, abs=1e-10)
    assert t_quantile(1 - p, df) == pytest.approx(-t_quantile(p, df), rel=1e-6, abs=1e-9)


def test_many_problems_give_the_normal_quantile() -> None:
    assert t_quantile(0.975, 10**9) == pytest.approx(normal_quantile(0.975), abs=1e-8)
    quantiles = [t_quantile(0.975, df) for df in range(1, 1200)]
    assert all(math.isfinite(q) for q in quantiles)
    assert quantiles == sorted(quantiles, reverse=True)
