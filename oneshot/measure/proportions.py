"""Two shares of different samples: the interval and the p of their difference. Loads no torch."""

from __future__ import annotations

import math
from statistics import NormalDist

from oneshot.measure.statistics import LEVEL, Interval, two_sided, wilson


def newcombe(k1: int, n1: int, k0: int, n0: int, level: float = LEVEL) -> Interval:
    """Newcombe's hybrid score interval (Stat. Med. 1998, method 10) for k1/n1 - k0/n0 of independent samples."""
    return mover(wilson(k1, n1, level), wilson(k0, n0, level), level, method="newcombe")


def mover(after: Interval, before: Interval, level: float = LEVEL, *, method: str = "mover") -> Interval:
    """The difference of two independent estimates from their own intervals (Zou and Donner, Stat. Med. 2008).

    low = d - sqrt((a - l_a)^2 + (u_b - b)^2), high = d + sqrt((u_a - a)^2 + (b - l_b)^2), cut at -1 and 1. With
    Wilson's intervals it is Newcombe's. n is that of the first.
    """
    assert after.n > 0 and before.n > 0, (after, before)
    difference = after.estimate - before.estimate
    down = math.hypot(after.estimate - after.low, before.high - before.estimate)
    up = math.hypot(after.high - after.estimate, before.estimate - before.low)
    return Interval(
        estimate=difference,
        low=max(-1.0, difference - down),
        high=min(1.0, difference + up),
        n=after.n,
        method=method,
        level=level,
    )


def normal_p(interval: Interval) -> float:
    """Two-sided p of a difference from the half of its interval that lies towards 0, taken for normal."""
    half = interval.estimate - interval.low if interval.estimate > 0 else interval.high - interval.estimate
    if interval.estimate == 0 or half <= 0:
        return float(interval.estimate == 0)
    return 2 * NormalDist().cdf(-abs(interval.estimate) / half * two_sided(interval.level))


def fisher_exact(k1: int, n1: int, k0: int, n0: int) -> float:
    """Fisher's exact test, two-sided: the chance, given all margins, of a table no likelier than this one."""
    assert 0 <= k1 <= n1 and 0 <= k0 <= n0, (k1, n1, k0, n0)
    right, total = k1 + k0, n1 + n0

    def log_ways(x: int) -> float:
        return _log_choose(n0, x) + _log_choose(n1, right - x)

    seen, whole = log_ways(k0), _log_choose(total, right)
    tables = range(max(0, right - n1), min(n0, right) + 1)
    chances = (log_ways(x) for x in tables)
    return min(1.0, math.fsum(math.exp(log - whole) for log in chances if log <= seen + 1e-7))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
