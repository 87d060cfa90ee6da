"""What training changed on the same problems: paired differences by rung, by kind and overall, with their badges.

The problem is the unit, whatever its number of samples: several samples make a problem's mean, never more problems.

Example: `paired(base_rows, trained_rows).as_dict()` is the `paired` entry of `summary.json`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from oneshot.errors import UsageError
from oneshot.measure.decompose import (
    decomposition,
    operation_decomposition,
    operation_table,
    outcome_states,
    share,
    transitions,
)
from oneshot.measure.differences import badge, repeated, single
from oneshot.measure.grades import Grade, at_training_limit, is_right, strict_box
from oneshot.measure.pairing import clusters_of, matched, matched_problems
from oneshot.measure.statistics import LEVEL, Interval, macro_average, normal_quantile, two_sided
from oneshot.types import EvalRow

__all__ = [
    "Paired",
    "at_training_limit",
    "average",
    "badge",
    "by_category",
    "by_rung",
    "decomposition",
    "is_right",
    "ladder",
    "matched",
    "matched_problems",
    "operation_decomposition",
    "operation_table",
    "outcome_states",
    "overall",
    "paired",
    "share",
    "strict_box",
    "transitions",
]


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Trained minus base on the same n problems."""

    estimate: float
    """The plain difference `trained - base`."""
    ci_low: float
    """The interval of `method`. Bonett-Price's centre is the estimate shrunk by n/(n+2)."""
    ci_high: float
    n: int
    """Problems, copies of one counted each."""
    base: float
    """Accuracy before, the mean over problems."""
    trained: float
    """Accuracy after."""
    gained: int
    """Problems wrong before and right after; with several samples, those whose share of right ones rose."""
    lost: int
    p_value: float
    """Two-sided: exact McNemar, the sign flip of several samples, or the normal p of estimate/SE of an average."""
    badge: str
    """`supported`, `harmed` or `inconclusive`, for this run: other training seeds are not in the interval."""
    detectable: float
    """The smallest true |difference| that a comparison like this claims with 80 % power."""
    samples: int = 1
    """The most samples a problem has on either side, in one run."""
    method: str = "bonett-price"
    """`bonett-price`, the t interval of `paired_scores`, or `macro average of K`."""
    se: float = 0.0
    """Standard error behind the interval; Bonett-Price's belongs to its shrunk centre."""

    def as_dict(self) -> dict[str, Any]:
        """The entry of `summary.json`: every field under its own name."""
        return dict(self.__dict__)


def paired(
    base_rows: Sequence[EvalRow],
    trained_rows: Sequence[EvalRow],
    *,
    right: Grade = is_right,
    level: float = LEVEL,
    samples: int = 0,
    claims: int = 1,
) -> Paired:
    """The paired difference over all rows; `right` says what counts. Errors as `matched_problems` (`UsageError` E103).

    One sample a problem on both sides: Bonett-Price and exact McNemar. Any other numbers, also unequal ones: the t
    interval and the sign-flip p of the differences between each problem's two means. So, too, where problems are copies
    of each other (`pairing.cluster_of`): then the clusters are what is independent.

    Args:
        base_rows: before.
        trained_rows: after.
        right: what counts.
        level: of the interval.
        samples: where the rows are those of several runs, the samples a problem has in one of them. Several runs may
            all repeat one another, so they make an interval no narrower than one run's limits allow: with one sample a
            run and every mean 0 or 1 the runs are as one. 0: the rows are one run's.
        claims: how many this is one of, for the detectable difference.
    """
    problems = matched_problems(base_rows, trained_rows)
    clusters = clusters_of(before for before, _ in problems)
    pairs = [([right(row) for row in before], [right(row) for row in after]) for before, after in problems]
    numbers = [len(grades) for pair in pairs for grades in pair]
    most, least = (samples, min(samples, *numbers)) if samples else (max(numbers), min(numbers))
    means = [(sum(before) / len(before), sum(after) / len(after)) for before, after in pairs]
    n = len(means)
    gained, lost = (sum((after > before, before > after)[i] for before, after in means) for i in (0, 1))
    copies = len(set(clusters)) < n
    if most == 1 and not copies and all(mean in (0, 1) for pair in means for mean in pair):
        found = single(gained, lost, n, level, claims=claims)
    else:
        changes = [after - before for before, after in means]
        found = repeated(changes, least, level, clusters if copies else None, claims=claims)
    interval = found.interval
    return Paired(
        estimate=interval.estimate,
        ci_low=interval.low,
        ci_high=interval.high,
        n=n,
        base=math.fsum(before for before, _ in means) / n,
        trained=math.fsum(after for _, after in means) / n,
        gained=gained,
        lost=lost,
        p_value=found.p_value,
        badge=badge(interval.low, interval.high),
        detectable=found.detectable,
        samples=most,
        method=interval.method,
        se=interval.se,
    )


def ladder(
    base: Sequence[EvalRow],
    trained: Sequence[EvalRow],
    rungs: Mapping[str, Grade],
    *,
    right: Grade = is_right,
    level: float = LEVEL,
    samples: int = 0,
) -> dict[str, Paired]:
    """`paired` on the rows of each rung, in the order of `rungs`; a rung with no problem was not tested and is absent.

    A rung is a property of the problem: a predicate that tells the two evaluations apart raises E103.
    """
    matched_problems(base, trained)
    table = {}
    for name, belongs in rungs.items():
        before, after = [row for row in base if belongs(row)], [row for row in trained if belongs(row)]
        if before or after:
            table[name] = paired(before, after, right=right, level=level, samples=samples)
    return table


def by_rung(names: Iterable[str]) -> dict[str, Grade]:
    """Predicates for `ladder` that read `meta["rungs"]`."""

    def reads(name: str) -> Grade:
        return lambda row: name in row.meta.get("rungs", ())

    return {name: reads(name) for name in names}


def by_category(
    base: Sequence[EvalRow],
    trained: Sequence[EvalRow],
    *,
    right: Grade = is_right,
    level: float = LEVEL,
    samples: int = 0,
) -> dict[str, Paired]:
    """`paired` for each category, by name."""

    def of(category: str) -> Grade:
        return lambda row: row.category == category

    categories = sorted({row.category for row in base})
    rungs = {category: of(category) for category in categories}
    return ladder(base, trained, rungs, right=right, level=level, samples=samples)


def overall(
    base: Sequence[EvalRow], trained: Sequence[EvalRow], *, right: Grade = is_right, level: float = LEVEL
) -> Paired:
    """All categories with equal weight, whatever their sizes: the `average` of their paired differences."""
    kinds = list(by_category(base, trained, right=right, level=level).values())
    if not kinds:
        raise UsageError("there is no problem to compare.", code="E103")
    return average(kinds, level)


def average(kinds: Sequence[Paired], level: float = LEVEL) -> Paired:
    """The `macro_average` of paired differences on different problems, each with the same weight.

    `base`, `trained` and `estimate` are means over the kinds; `n`, `gained` and `lost` are sums; the smallest
    detectable difference is (z_level + z_.80) SE, as its p is normal. One kind alone is returned as it is.
    """
    if len(kinds) == 1:
        return kinds[0]
    mean = macro_average([_interval(kind, level) for kind in kinds], level)
    return Paired(
        estimate=mean.estimate,
        ci_low=mean.low,
        ci_high=mean.high,
        n=mean.n,
        base=math.fsum(kind.base for kind in kinds) / len(kinds),
        trained=math.fsum(kind.trained for kind in kinds) / len(kinds),
        gained=sum(kind.gained for kind in kinds),
        lost=sum(kind.lost for kind in kinds),
        p_value=2 * NormalDist().cdf(-abs(mean.estimate) / mean.se) if mean.se else float(mean.estimate == 0),
        badge=badge(mean.low, mean.high),
        detectable=min(1.0, (two_sided(level) + normal_quantile(0.8)) * mean.se),
        samples=max(kind.samples for kind in kinds),
        method=mean.method,
        se=mean.se,
    )


def _interval(kind: Paired, level: float) -> Interval:
    return Interval(
        estimate=kind.estimate,
        low=kind.ci_low,
        high=kind.ci_high,
        n=kind.n,
        method=kind.method,
        level=level,
        se=kind.se,
    )
