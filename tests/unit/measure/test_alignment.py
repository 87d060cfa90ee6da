"""Cosines of a gradient and its halves from dot products, by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.measure.alignment import Products, as_many_again, cosine

NUMBERS = st.floats(-100, 100).map(lambda x: round(x, 3))
PLANE = st.tuples(NUMBERS, NUMBERS)


def dot(x: tuple[float, float], y: tuple[float, float]) -> float:
    return x[0] * y[0] + x[1] * y[1]


def products(a: tuple[float, float], b: tuple[float, float], e: tuple[float, float]) -> Products:
    return Products(aa=dot(a, a), bb=dot(b, b), ab=dot(a, b), ea=dot(e, a), eb=dot(e, b), halved=True)


def test_by_hand() -> None:
    """a = (3, 4), b = (3, −4), e = (1, 0): the sum is (6, 0), each half at .6, the halves at (9 − 16) / 25."""
    found = products((3, 4), (3, -4), (1, 0))
    assert found.square == 36
    assert found.split_half == pytest.approx(-7 / 25)
    whole, halves = found.cosines(1.0)
    assert whole == 1.0
    assert halves == [pytest.approx(0.6), pytest.approx(0.6)]


def test_without_a_second_half_there_is_no_agreement() -> None:
    found = Products(aa=4.0, ea=-2.0)
    assert found.split_half is None
    assert found.cosines(1.0) == (-1.0, [-1.0, None])


def test_a_gradient_of_0_has_no_cosine() -> None:
    assert cosine(0.0, 0.0, 1.0) is None
    assert cosine(0.0, 1.0, 0.0) is None
    assert products((1, 2), (-1, -2), (1, 0)).cosines(1.0)[0] is None  # the halves cancel
    assert products((1, 2), (0, 0), (1, 0)).split_half is None


@given(PLANE, PLANE, PLANE)
def test_it_is_the_cosine_of_the_sum(a: tuple[float, float], b: tuple[float, float], e: tuple[float, float]) -> None:
    whole, _ = products(a, b, e).cosines(dot(e, e))
    total = (a[0] + b[0], a[1] + b[1])
    if math.hypot(*total) > 0.1 and math.hypot(*e) > 0.1:
        assert whole == pytest.approx(dot(total, e) / (math.hypot(*total) * math.hypot(*e)), abs=1e-6)
        assert -1 <= whole <= 1


def test_twice_the_samples_by_spearman_and_brown() -> None:
    """Halves at .5: signal 1, noise 1 each; of whole sets the noise is half, so 1 / 1.5."""
    assert as_many_again(0.5) == pytest.approx(1 / 1.5)
    assert as_many_again(1.0) == 1.0
    assert as_many_again(0.0) is as_many_again(-0.2) is as_many_again(None) is None
