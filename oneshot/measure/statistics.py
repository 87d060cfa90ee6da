"""Intervals and tests for shares and for paired differences of shares. The problem is the unit everywhere.

An interval here speaks about *this run* on other problems of the same kind. It says nothing about other training seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from oneshot.measure.detection import detectable as detectable
from oneshot.measure.detection import detectable_mean as detectable_mean
from oneshot.measure.student import t_quantile as t_quantile

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with its confidence interval. Example: `wilson(8, 10)`."""

    estimate: float
    """NaN where nothing was observed."""
    low: float
    high: float
    n: int
    """Problems (or samples) behind it; copies of one problem count once."""
    method: str
    level: float = LEVEL
    se: float = math.nan
    """Standard error, where the method has one."""

    def as_dict(self) -> dict[str, Any]:
        """JSON form: `estimate` (None where nothing was observed), `ci_low`, `ci_high`, `n`, `method`, `level`."""
        return {
            "estimate": None if math.isnan(self.estimate) else self.estimate,
            "ci_low": self.low,
            "ci_high": self.high,
            "n": self.n,
            "method": self.method,
            "level": self.level,
        }


def normal_quantile(p: float) -> float:
    """The z with P(Z <= z) = p for a standard normal Z; 0 < p < 1. `normal_quantile(.975)` is 1.959964."""
    return NormalDist().inv_cdf(p)


def two_sided(level: float) -> float:
    """The z of a two-sided interval: 1.959964 for .95."""
    assert 0 < level < 1, level
    return normal_quantile((1 + level) / 2)


def wilson(k: int, n: int, level: float = LEVEL) -> Interval:
    """Wilson's score interval (JASA 1927) for the share k/n.

    All p with |k/n - p| <= z sqrt(p(1-p)/n). With n = 0 nothing is known: [0, 1], estimate NaN.
    """
    assert 0 <= k <= n, (k, n)
    if n == 0:
        return Interval(estimate=math.nan, low=0.0, high=1.0, n=0, method="wilson", level=level)
    low, high = score_bounds(k / n, n, two_sided(level))
    return Interval(estimate=k / n, low=low, high=high, n=n, method="wilson", level=level)


def score_bounds(share: float, n: float, z: float) -> tuple[float, float]:
    """All p with |share - p| <= z sqrt(p(1-p)/n), from the lowest to the highest; n > 0 need not be whole."""
    assert 0 <= share <= 1 and n > 0, (share, n)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the edges the bounds are exactly 0 and 1; rounding would miss them by an ulp.
    return (0.0 if share == 0 else centre - half), (1.0 if share == 1 else centre + half)


def bonett_price(b: int, c: int, n: int, level: float = LEVEL) -> Interval:
    """Bonett and Price (2012, J. Educ. Behav. Stat. 37) for the paired difference (b - c)/n of two shares.

    Of n problems b were gained (wrong, then right) and c lost. With q = (b+1)/(n+2), r = (c+1)/(n+2) the interval is
    (q - r) +- z sqrt((q + r - (q - r)^2)/(n + 2)), cut at -1 and 1: equal outputs give +-.0272 at n = 100, not 0.
    `estimate` is the plain (b - c)/n; the interval is centred on q - r, which is shrunk by n/(n+2), so the estimate is
    not in its middle. At 95 % the interval always contains both.
    """
    assert n > 0 and min(b, c) >= 0 and b + c <= n, (b, c, n)
    gained, lost = (b + 1) / (n + 2), (c + 1) / (n + 2)
    centre = gained - lost
    se = math.sqrt((gained + lost - centre**2) / (n + 2))
    half = two_sided(level) * se
    return Interval(
        estimate=(b - c) / n,
        low=max(-1.0, centre - half),
        high=min(1.0, centre + half),
        n=n,
        method="bonett-price",
        level=level,
        se=se,
    )


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided exact p of McNemar's test: under no change each of the b + c flips is a fair coin. 1 without flips."""
    assert b >= 0 and c >= 0, (b, c)
    flips = b + c
    tail = sum(math.comb(flips, i) for i in range(min(b, c) + 1))
    half: float = tail / 2**flips
    return min(1.0, 2 * half)


def macro_average(differences: Sequence[Interval], level: float = LEVEL) -> Interval:
    """The mean of independent paired differences with equal weight, SE = sqrt(sum SE_k^2)/K, cut at -1 and 1.

    Centred on the mean of the plain estimates. The shrunk Bonett-Price centres would all err towards 0, an error that
    averaging does not reduce while it does reduce the SE: with 8 kinds of 15 problems and a true difference of .45
    their 95 % interval covers 89 %, this one 96 %. One difference alone is returned as it is.
    """
    assert differences and all(math.isfinite(item.se) for item in differences), differences
    if len(differences) == 1:
        return differences[0]
    count = len(differences)
    estimate = math.fsum(item.estimate for item in differences) / count
    se = math.sqrt(math.fsum(item.se**2 for item in differences)) / count
    half = two_sided(level) * se
    return Interval(
        estimate=estimate,
        low=max(-1.0, estimate - half),
        high=min(1.0, estimate + half),
        n=sum(item.n for item in differences),
        method=f"macro average of {count}",
        level=level,
        se=se,
    )


def macro_mean(means: Sequence[Interval], level: float = LEVEL) -> Interval:
    """The mean of independent means of tasks with equal weight: SE = sqrt(sum SE_k^2)/K, as a score interval.

    The interval is Wilson's with n_eff = M(1-M)/SE^2 about the mean M, as for one task (`repeated.mean_score`), so it
    keeps to [0, 1] and leans towards 1/2. The t quantile has the degrees of freedom of Welch and Satterthwaite, rounded
    down. One mean is returned as it is; each must have a problem.

    Departures: M +- z SE covers too little where few problems are solved (docs/statistics.md). A task's SE is at least
    that of one right problem among n + 2, since 0 of n is not known to be 0, and 1/2 for one problem. n_eff is at least
    K times the smallest n: no shares of tasks of so many problems can spread the mean more than that allows.
    """
    assert means and all(item.n > 0 for item in means), means
    if len(means) == 1:
        return means[0]
    count = len(means)
    mean = math.fsum(item.estimate for item in means) / count
    squares = [_error(item) ** 2 for item in means]
    se = math.sqrt(math.fsum(squares)) / count
    n_eff = max(count * min(item.n for item in means), mean * (1 - mean) / se**2)
    low, high = score_bounds(mean, n_eff, t_quantile((1 + level) / 2, _welch(squares, [item.n for item in means])))
    return Interval(
        estimate=mean,
        low=low,
        high=high,
        n=sum(item.n for item in means),
        method=f"macro average of {count}",
        level=level,
        se=se,
    )


def _error(mean: Interval) -> float:
    """A task's SE as `macro_mean` takes it; of one response a problem where the interval has none."""
    if mean.n == 1:
        return 0.5
    own = mean.se if math.isfinite(mean.se) else math.sqrt(mean.estimate * (1 - mean.estimate) / mean.n)
    return max(own, math.sqrt((mean.n + 1) / (mean.n + 2) ** 3))


def _welch(squares: Sequence[float], problems: Sequence[int]) -> int:
    """Degrees of freedom of a sum of squared standard errors, each with its problems less one; at least 1."""
    fourths = math.fsum(square**2 / max(n - 1, 1) for square, n in zip(squares, problems, strict=True))
    return max(1, int(math.fsum(squares) ** 2 / fourths + 1e-9))
