"""Student's t: the quantile that small samples need in place of the normal one. Standard library only."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_MANY = 1000
"""From so many degrees of freedom on, the expansion is exact to rounding."""


@lru_cache(maxsize=4096)
def t_quantile(p: float, df: int) -> float:
    """The t with P(T <= t) = p for Student's T with `df` >= 1 degrees of freedom; `t_quantile(.975, 9)` is 2.262157.

    Newton's method on the finite sums for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4); from
    1,000 degrees of freedom on, their expansion 26.7.5 in powers of 1/df. Within 1e-9 of the truth, relatively.
    """
    assert 0 < p < 1 and df >= 1, (p, df)
    if p <= 0.5:
        return -t_quantile(1 - p, df) if p < 0.5 else 0.0
    if df == 1:
        return math.tan(math.pi * (p - 0.5))
    if df == 2:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    z = NormalDist().inv_cdf(p)
    if df >= _MANY:
        return _expanded(z, df)
    # The distribution function is concave here, so from a start that is too small every step stays too small.
    scale = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    t = z
    for _ in range(100):
        step = (2 * p - 1 - _within(t, df)) / (2 * scale * (1 + t * t / df) ** (-(df + 1) / 2))
        t += step
        if abs(step) <= 1e-14 * t:
            break
    return t


def _within(t: float, df: int) -> float:
    """P(|T| <= t) for df >= 2: the finite sums in the angle atan(t/sqrt(df))."""
    angle = math.atan(t / math.sqrt(df))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = df % 2
    term, total = (cosine if odd else 1.0), 0.0
    for i in range(1 + odd, df, 2):
        total += term
        term *= i / (i + 1) * cosine * cosine
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _expanded(z: float, df: int) -> float:
    """Student's quantile from the normal one, to the fourth power of 1/df (Abramowitz and Stegun 26.7.5)."""
    square = z * z
    powers = (
        z,
        z * (square + 1) / 4,
        z * ((5 * square + 16) * square + 3) / 96,
        z * (((3 * square + 19) * square + 17) * square - 15) / 384,
        z * ((((79 * square + 776) * square + 1482) * square - 1920) * square - 945) / 92160,
    )
    return math.fsum(part / df**power for power, part in enumerate(powers))
