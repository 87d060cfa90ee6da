"""Several samples a problem: the mean over problems, and the paired difference of two such means.

The problem is the unit. Samples of one problem are alike, so k samples of n problems are not n k observations; here a
problem gives one number, its mean score, and the spread over problems is the error (Miller, arXiv 2411.00640, where it
is called the clustered standard error).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from oneshot.errors import UsageError
from oneshot.measure.exact import whole
from oneshot.measure.statistics import LEVEL, Interval, detectable_mean, score_bounds, wilson
from oneshot.measure.student import t_quantile

FLIPS = 10_000
"""Random sign patterns, where the exact distribution would be too large."""
_GRID = 100_000_000
"""Largest table of the exact sign-flip distribution: problems times the sum of the differences in whole steps."""
_CHUNK = 1_000


def mean_score(
    scores: Sequence[float], samples: float, level: float = LEVEL, clusters: Sequence[Hashable] | None = None
) -> Interval:
    """avg@k: the mean of the problems' scores in [0, 1], each the mean of `samples` graded responses.

    Wilson's interval with n_eff = m(1-m)/SE^2 in place of n and the t quantile with n - 1 degrees of freedom, where
    SE = sd(scores)/sqrt(n). One 0/1 sample a problem is plain Wilson.

    Problems of one cluster are copies of each other. Each still weighs 1/n in the mean, but the clusters are what is
    independent: the SE is that of their sums, there are J - 1 degrees of freedom for J clusters, and the interval's n
    is J. In the limits below, n is then n^2/(sum of the squared sizes of the clusters).

    Limits, where the observed spread says nothing:
        every score 0, or every score 1: n_eff = n, since samples of one problem may all repeat each other;
        hardly any success: the upper bound is at least that of no success, so that the first one does not lower it;
        likewise the lower bound where hardly any fails;
        scores that spread less than independent samples would: n_eff is at most n * samples, so the SE is never 0.

    Args:
        scores: one number a problem.
        samples: graded responses a problem; the harmonic mean where they differ.
        level: of the interval.
        clusters: the cluster of every problem; None: each is its own.

    Raises:
        UsageError: E103 a score outside [0, 1].
    """
    n = len(scores)
    if n == 0:
        return wilson(0, 0, level)
    if not all(0 <= score <= 1 for score in scores):
        raise UsageError("a score is outside [0, 1], so its mean is no share.", code="E103")
    m = math.fsum(scores) / n
    sizes = list(Counter(clusters).values()) if clusters is not None else [1] * n
    units = len(sizes)
    if units == n and samples <= 1 and all(score in (0, 1) for score in scores):
        return replace(wilson(round(m * n), n, level), se=math.sqrt(m * (1 - m) / n))
    method = "wilson, n_eff"
    if units == 1:
        return Interval(estimate=m, low=0.0, high=1.0, n=1, method=method, level=level, se=0.5)
    se = standard_error(scores, clusters)
    alone = n**2 / sum(size**2 for size in sizes)
    most = alone * max(1.0, samples)
    n_eff = alone if m in (0, 1) else min(most, m * (1 - m) / se**2 if se > 0 else most)
    t = t_quantile((1 + level) / 2, units - 1)
    low, high = score_bounds(m, n_eff, t)
    _, none_right = score_bounds(0.0, alone, t)
    low, high = min(low, 1 - none_right), max(high, none_right)
    return Interval(estimate=m, low=low, high=high, n=units, method=method, level=level, se=se)


def standard_error(values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> float:
    """sd/sqrt(n) with the sample's sd (ddof 1); exactly 0 where all values are equal.

    With clusters, sqrt(J/(J-1) sum (S_j - n_j m)^2)/n over the J clusters' sums S_j of n_j values with mean m.
    """
    if len(set(values)) == 1:
        return 0.0
    if clusters is None or len(set(clusters)) == len(values):
        return float(np.std(np.asarray(values, dtype=np.float64), ddof=1)) / math.sqrt(len(values))
    mean = math.fsum(values) / len(values)
    apart = _sums([value - mean for value in values], clusters)
    return math.sqrt(len(apart) / (len(apart) - 1) * math.fsum(part**2 for part in apart)) / len(values)


def _sums(values: Sequence[float], clusters: Sequence[Hashable] | None) -> list[float]:
    """The sum of each cluster's values; without clusters the values."""
    if clusters is None:
        return list(values)
    parts: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        parts.setdefault(cluster, []).append(value)
    return [math.fsum(part) for part in parts.values()]


@dataclass(frozen=True, kw_only=True)
class PairedMean(Interval):
    """Second minus first mean over the same problems, k samples each."""

    p_value: float
    """Sign flip, two-sided: how often random signs of the per-problem differences give a sum as far from 0."""
    detectable: float
    """The smallest true |difference| that a comparison like this finds with 80 % power."""


def paired_interval(
    differences: Sequence[float],
    samples: float = 0,
    level: float = LEVEL,
    clusters: Sequence[Hashable] | None = None,
) -> Interval:
    """Student's t interval of the mean of per-problem differences, cut at -1 and 1.

    The SE is at least sqrt(2)/(k (n+2)), k = `samples`: what two opposite flips of one sample each would give. With one
    sample that is Bonett and Price's SE of identical outputs, so here, too, identical outputs do not give an interval
    of width 0. With `samples` 0 (unknown) this floor, with k = 1, is used where all differences are equal, only.

    Args:
        differences: one number in [-1, 1] a problem.
        samples: responses a problem; the smaller number where the two sides differ.
        level: of the interval.
        clusters: the cluster of every problem, as in `mean_score`; the clusters are then what is counted.

    Raises:
        UsageError: E103 no difference.
    """
    if not differences:
        raise UsageError("there is no problem to compare.", code="E103")
    mean = math.fsum(differences) / len(differences)
    n = len(differences if clusters is None else set(clusters))
    if n == 1:
        return Interval(estimate=mean, low=-1.0, high=1.0, n=1, method="t", level=level, se=1.0)
    se = standard_error(differences, clusters)
    if samples or se == 0:
        se = max(se, math.sqrt(2) / (max(1.0, samples) * (n + 2)))
    half = t_quantile((1 + level) / 2, n - 1) * se
    return Interval(
        estimate=mean,
        low=max(-1.0, mean - half),
        high=min(1.0, mean + half),
        n=n,
        method="t",
        level=level,
        se=se,
    )


def paired_scores(
    differences: Sequence[float],
    samples: float = 0,
    *,
    level: float = LEVEL,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
    claims: int = 1,
) -> PairedMean:
    """`paired_interval` with the p value of `sign_flip`; arguments and errors are theirs.

    `claims`: how many this is one of, for the detectable difference.
    """
    interval = paired_interval(differences, samples, level, clusters)
    return PairedMean(
        **interval.__dict__,
        p_value=sign_flip(_sums(differences, clusters), seed=seed),
        detectable=detectable_mean(interval.se, interval.n, level, claims=claims, samples=samples),
    )


def sign_flip(differences: Sequence[float], *, seed: int = 0) -> float:
    """Two-sided p of the sign-flip test: without an effect each problem's difference is as likely to be its opposite.

    Exact, ties counted, where the differences are shares of whole numbers (up to about 10,000 steps in all for 10,000
    problems): the distribution of the sum is built problem by problem. For differences of one sample each this is the
    exact McNemar test. Else `FLIPS` seeded random patterns, p = (hits + 1)/(patterns + 1). 1 without a difference.
    Of problems in clusters give the clusters' sums.
    """
    moved = [abs(difference) for difference in differences if difference]
    if not moved:
        return 1.0
    steps, _ = whole(moved)
    signed = [step if difference > 0 else -step for step, difference in zip(steps, _nonzero(differences), strict=True)]
    if len(steps) * (2 * sum(steps) + 1) > _GRID:
        return _random_flips(np.asarray(_nonzero(differences)), seed)
    width = sum(steps)
    chance = np.zeros(2 * width + 1)  # of every sum from -width to width
    chance[width] = 1.0
    for step in steps:
        further = np.zeros_like(chance)
        further[step:] = chance[:-step]
        further[:-step] += chance[step:]
        chance = further / 2
    seen = abs(sum(signed))
    p = float(chance[: width - seen + 1].sum() + chance[width + seen :].sum()) if seen else 1.0
    return min(1.0, max(p, math.ulp(0.0)))


def _nonzero(differences: Sequence[float]) -> list[float]:
    return [difference for difference in differences if difference]


def _random_flips(moved: np.ndarray[tuple[int], np.dtype[np.float64]], seed: int) -> float:
    """The p of seeded random sign patterns; a sum within rounding of the observed one counts as equal."""
    rng = np.random.default_rng(seed)
    seen = abs(math.fsum(moved)) - 1e-12 * math.fsum(np.abs(moved))
    hits = 0
    for start in range(0, FLIPS, _CHUNK):
        signs = rng.integers(0, 2, size=(min(_CHUNK, FLIPS - start), len(moved)), dtype=np.int8) * 2 - 1
        hits += int((np.abs(signs @ moved) >= seen).sum())
    return (hits + 1) / (FLIPS + 1)
