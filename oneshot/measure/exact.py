"""Variances and means of accuracies in whole numbers. Loads no torch.

Accuracies are shares k/n of whole numbers and are taken as such: everything is computed in whole numbers and divided
once, so equal histories (and mirrored ones) have exactly equal scores, and a tie is a tie on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

LARGEST = 10_000
"""The largest denominator that an accuracy is read as; anything finer is no share of samples."""


@lru_cache(maxsize=65_536)
def share(accuracy: float) -> Fraction:
    """The k/n behind a float; 0.2 is 1/5, not the binary number next to it."""
    near = Fraction(accuracy).limit_denominator(LARGEST)
    return near if abs(float(near) - accuracy) < 1e-12 else Fraction(accuracy)


def whole(history: Sequence[float]) -> tuple[list[int], int]:
    """Numerators over one common denominator."""
    shares = [share(float(accuracy)) for accuracy in history]
    denominator = math.lcm(*(exact.denominator for exact in shares))
    return [exact.numerator * (denominator // exact.denominator) for exact in shares], denominator


def variance(history: Sequence[float]) -> Fraction:
    """Population variance (ddof 0) of a history that has visits, exactly."""
    numerators, denominator = whole(history)
    visits = len(numerators)
    spread = visits * sum(m * m for m in numerators) - sum(numerators) ** 2
    return Fraction(spread, (visits * denominator) ** 2)


def noise_variance(history: Sequence[float], samples: Sequence[int]) -> Fraction | None:
    """The part of `variance` that sampling alone is expected to add, exactly: (T-1)/T · mean_t a_t(1-a_t)/(n_t-1).

    a(1-a)/(n-1) estimates without bias the binomial variance p(1-p)/n of one visit; the mean that is subtracted in the
    variance takes 1/T of it away. None where a visit has a single sample, which says nothing about its noise.
    """
    assert len(samples) == len(history), (len(samples), len(history))
    if min(samples) < 2:
        return None
    numerators, denominator = whole(history)
    by_size: dict[int, int] = {}
    for m, n in zip(numerators, samples, strict=True):
        by_size[n] = by_size.get(n, 0) + m * (denominator - m)
    total = sum((Fraction(part, n - 1) for n, part in by_size.items()), Fraction(0))
    visits = len(history)
    return total * Fraction(visits - 1, visits**2 * denominator**2)


def mean(history: Sequence[float]) -> Fraction:
    """The mean of a history that has visits, exactly."""
    numerators, denominator = whole(history)
    return Fraction(sum(numerators), denominator * len(numerators))
