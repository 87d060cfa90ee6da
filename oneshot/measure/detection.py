"""How large a true difference has to be so that a comparison claims it: power of the tests that the claims rest on.

A claim needs an interval beside 0 *and* a p value at most alpha; of several claims in one table the strictest step of
Holm asks for alpha over their number. With one response a problem the exact test is McNemar's. Whatever it rejects,
Bonett and Price's interval excludes as well (a test checks it), so power is counted for McNemar's test alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

from oneshot.measure.student import t_quantile

_EXACT = 400
"""Up to so many expected flips the power is summed exactly; above, a normal approximation errs by less than 1 %."""


@lru_cache(maxsize=4096)
def detectable(b: int, c: int, n: int, level: float = 0.95, power: float = 0.8, claims: int = 1) -> float:
    """The smallest true |difference| d that a paired comparison like this one claims with the given power.

    Like this one: on n problems of which as large a share flips, s = (b + c + 2)/(n + 2), as a true difference of d
    allows: d is gained net, (s + d)/2 gained and (s - d)/2 lost; above s there are only gains. Claimed: exact McNemar's
    p at most (1 - level)/claims, in the true direction. At 95 % that takes 6 gains without a loss, so of many
    problems d is never below about 7.9/n; 1 where n problems cannot give a claim. Symmetric in b and c.
    """
    assert n > 0 and min(b, c) >= 0 and b + c <= n and claims > 0, (b, c, n, claims)
    alpha, flips = (1 - level) / claims, (b + c + 2) / (n + 2)
    return _smallest(lambda d: claim_power((max(flips, d) + d) / 2, max(0.0, flips - d) / 2, n, alpha), power)


@lru_cache(maxsize=4096)
def detectable_apart(p: float, n: int, level: float = 0.95, power: float = 0.8) -> float:
    """The same before a second model is measured: two whose right answers agree on n problems by chance alone.

    One solves the share p, the other p + d, or p - d where p is above 1/2; the shares gained and lost are
    (1 - p)(p + d) and p(1 - p - d). Two models that agree more often flip less and need no larger d.
    """
    assert 0 <= p <= 1 and n > 0, (p, n)
    p = min(p, 1 - p)
    alpha = 1 - level
    return _smallest(
        lambda d: claim_power((1 - p) * min(1.0, p + d), p * max(0.0, 1 - p - d), n, alpha), power, most=1 - p
    )


def detectable_mean(
    se: float, n: int, level: float = 0.95, power: float = 0.8, claims: int = 1, samples: float = 0
) -> float:
    """The smallest true |difference| that a t interval with this SE over n problems claims with the given power.

    (t_level + t_power) SE, both quantiles with n - 1 degrees of freedom; 1 for one problem, never above 1. With
    `samples` the p is the sign flip's, which needs as many problems that move as McNemar's test needs flips, and a
    problem of so many responses moves by 1/samples or more: d is at least `detectable(0, 0, n)/samples`, and 1 where n
    problems cannot give a claim. 0: there is no sign flip (means of runs) or the number is not known.
    """
    alpha = (1 - level) / claims
    if n < 2 or (samples and n < least_flips(alpha)):
        return 1.0
    least = detectable(0, 0, n, level, power, claims) / samples if samples else 0.0
    return min(1.0, max(least, (t_quantile(1 - alpha / 2, n - 1) + t_quantile(power, n - 1)) * se))


def claim_power(gained: float, lost: float, n: int, alpha: float) -> float:
    """The chance that exact McNemar's p of n problems is at most alpha and that more were gained than lost.

    Args:
        gained: the chance that a problem is gained; `lost`: that it is lost.
        lost: see `gained`; their sum is at most 1.
        n: problems.
        alpha: two-sided.
    """
    flips = min(1.0, gained + lost)
    if flips <= 0:
        return 0.0
    share, mean = min(1.0, gained / flips), n * flips
    if mean > _EXACT:
        # McNemar rejects about where the gains exceed the losses by 1 (continuity) + z sqrt(flips).
        edge = 1 + NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt(mean)
        net, spread = n * (gained - lost), math.sqrt(max(n * (flips - (gained - lost) ** 2), 1e-9))
        return NormalDist().cdf((net - edge) / spread)
    reach = 6 * math.sqrt(mean * (1 - flips)) + 6
    first, last = max(0, math.floor(mean - reach)), min(n, math.ceil(mean + reach))
    needed = _needed(last, alpha)
    first = max(first, next((f for f in range(last + 1) if needed[f] <= f), last + 1))
    total, tail = 0.0, 0.0
    for f in range(first, last + 1):
        if f == first:
            tail = math.fsum(_binomial(f, i, share) for i in range(needed[f], f + 1))
        else:  # carried on from f - 1: one more coin, then perhaps one more gain needed
            tail += share * _binomial(f - 1, needed[f - 1] - 1, share)
            if needed[f] > needed[f - 1]:
                tail -= _binomial(f, needed[f - 1], share)
        total += _binomial(n, f, flips) * tail
    return min(1.0, max(0.0, total))


@lru_cache(maxsize=64)
def _needed(last: int, alpha: float) -> tuple[int, ...]:
    """For 0 to `last` flips: how many of them must be gains for a two-sided exact p of at most alpha; f + 1 if none."""
    found, tail = [1], 0.0  # tail: P(at least found[-1] of f fair coins)
    for f in range(1, last + 1):
        b = found[-1]
        tail += 0.5 * _binomial(f - 1, b - 1, 0.5)
        if 2 * tail > alpha:
            tail -= _binomial(f, b, 0.5)
            b += 1
        found.append(b)
    return tuple(found)


def least_flips(alpha: float) -> int:
    """How many gains without a loss the exact test needs: 6 at .05."""
    return max(1, math.ceil(math.log2(2 / alpha) - 1e-12))


def _binomial(n: int, k: int, p: float) -> float:
    """P(exactly k of n), 0 outside of 0 to n."""
    if not 0 <= k <= n:
        return 0.0
    if p <= 0 or p >= 1:
        return float(k == (n if p >= 1 else 0))
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))


def _smallest(reached: Callable[[float], float], power: float, most: float = 1.0) -> float:
    """The smallest d in (0, most] that reaches the power, to 1e-6; 1 where none does."""
    if reached(most) < power:
        return 1.0
    low, high = 0.0, most
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) >= power else (middle, high)
    return high
