from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.errors import UsageError
from oneshot.measure.pass_at_k import harmonic, ladder, majority_curve, pass_at_k, pass_curve
from oneshot.measure.repeated import mean_score
from oneshot.measure.statistics import wilson


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 40))
    return n, draw(st.integers(0, n)), draw(st.integers(1, n))


def test_hand_counts() -> None:
    assert pass_at_k(4, 1, 2) == pytest.approx(1 - 3 / 6)  # C(3,2)/C(4,2)
    assert pass_at_k(10, 3, 5) == pytest.approx(1 - 21 / 252)  # C(7,5)/C(10,5)
    assert pass_at_k(8, 2, 4) == pytest.approx(1 - 15 / 70)  # C(6,4)/C(8,4)
    assert pass_at_k(200, 1, 100) == pytest.approx(0.5)


@given(counts())
def test_closed_form(given_: tuple[int, int, int]) -> None:
    n, c, k = given_
    assert pass_at_k(n, c, k) == pytest.approx(1 - math.comb(n - c, k) / math.comb(n, k), abs=1e-12)


@pytest.mark.parametrize("n", range(1, 10))
def test_every_subset(n: int) -> None:
    for c in range(n + 1):
        right = [i < c for i in range(n)]
        for k in range(1, n + 1):
            subsets = list(combinations(right, k))
            assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_unbiased_where_the_plug_in_is_not() -> None:
    p, n, k = 0.1, 8, 4
    drawn = np.random.default_rng(0).binomial(n, p, 100_000)
    truth = 1 - (1 - p) ** k
    assert np.mean([pass_at_k(n, int(c), k) for c in drawn]) == pytest.approx(truth, abs=0.003)
    assert np.mean(1 - (1 - drawn / n) ** k) < truth - 0.02


def test_limits() -> None:
    assert pass_at_k(7, 0, 3) == 0.0
    assert pass_at_k(7, 7, 1) == 1.0
    assert pass_at_k(7, 5, 3) == 1.0  # only two are wrong
    assert pass_at_k(7, 3, 1) == pytest.approx(3 / 7)
    assert [pass_at_k(7, c, 7) for c in range(3)] == [0.0, 1.0, 1.0]
    assert pass_at_k(100_000, 1, 1) == pytest.approx(1e-5)


@given(counts())
def test_more_tries_and_more_right_ones_never_hurt(given_: tuple[int, int, int]) -> None:
    n, c, k = given_
    curve = [pass_at_k(n, c, i) for i in range(1, n + 1)]
    assert all(a <= b + 1e-12 for a, b in pairwise(curve))
    assert c == n or pass_at_k(n, c, k) <= pass_at_k(n, c + 1, k) + 1e-12


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 1, 0), (4, 1, 5)])
def test_nonsense_is_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(UsageError, match=f"pass@{k}") as caught:
        pass_at_k(n, c, k)
    assert caught.value.code == "E103"
    assert (caught.value.tries == ("--n 5",)) == (k == 5)


def test_curve_by_hand() -> None:
    # Right 0, 1, 2, 4 of 4: pass@1 (0 + 1 + 2 + 4)/16, pass@2 (0 + 3/6 + 5/6 + 1)/4, pass@4 3/4
    curve = pass_curve([(4, 0), (4, 1), (4, 2), (4, 4)], [1, 2, 4])
    assert [curve[k].estimate for k in (1, 2, 4)] == pytest.approx([7 / 16, 7 / 12, 3 / 4])
    assert {found.n for found in curve.values()} == {4}
    at_four, plain = curve[4], wilson(3, 4)
    assert (at_four.low, at_four.high) == (plain.low, plain.high)
    at_one = mean_score([0, 0.25, 0.5, 1], 4)
    assert (curve[1].low, curve[1].high) == (at_one.low, at_one.high)


def test_one_response_a_problem_is_plain_wilson() -> None:
    curve = pass_curve([(1, 1)] * 8 + [(1, 0)] * 2, [1])
    assert (curve[1].low, curve[1].high) == (wilson(8, 10).low, wilson(8, 10).high)


def test_the_last_k_is_plain_wilson() -> None:
    """By rounding, the harmonic mean of 3, 3, ... was above 3, and the interval another one."""
    for k in range(1, 17):
        for n in (*range(1, 60), 93, 100, 272, 500, 675):
            assert harmonic([k] * n) == k
        for n in (5, 30, 93, 675):
            curve, plain = pass_curve([(k, 1)] * (n // 2) + [(k, 0)] * (n - n // 2), [k])[k], wilson(n // 2, n)
            assert (curve.low, curve.high, curve.method) == (plain.low, plain.high, "wilson")
            votes = [(["4"] * k, [True] * k)] * (n // 2) + [(["5"] * k, [False] * k)] * (n - n // 2)
            assert majority_curve(votes, [k])[k].low == plain.low


def test_a_curve_needs_k_responses_to_every_problem() -> None:
    assert pass_curve([(8, 2), (4, 1)], [4])[4].n == 2
    with pytest.raises(UsageError, match="there are 4"):
        pass_curve([(8, 2), (4, 1)], [5])


def test_curve_covers() -> None:
    """p uniform: pass@4 is E[1 - (1-p)^4] = 1 - 1/5."""
    rng = np.random.default_rng(0)
    drawn = rng.binomial(8, rng.random((600, 200)))
    found = [pass_curve([(8, int(c)) for c in row], [4])[4] for row in drawn]
    assert 0.92 <= sum(i.low <= 0.8 <= i.high for i in found) / 600 <= 0.98


def test_ladder_and_harmonic_mean() -> None:
    assert [ladder(n) for n in (0, 1, 2, 6, 8)] == [[], [1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]
    assert harmonic([2, 6]) == 3.0
    assert harmonic([]) == 0.0
