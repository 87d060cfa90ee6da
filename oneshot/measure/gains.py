"""What training changed on the same problems: paired differences by rung, by kind and overall, with their badges.

Example: `paired(base_rows, trained_rows).as_dict()` is the `paired` entry of `summary.json`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from oneshot.errors import UsageError
from oneshot.measure.decompose import (
    decomposition,
    matched,
    operation_decomposition,
    operation_table,
    outcome_states,
    share,
    transitions,
)
from oneshot.measure.statistics import LEVEL, Interval, bonett_price, detectable, macro_average, mcnemar_exact
from oneshot.types import EvalRow

__all__ = [
    "Paired",
    "at_training_limit",
    "badge",
    "by_category",
    "by_rung",
    "decomposition",
    "is_right",
    "ladder",
    "matched",
    "operation_decomposition",
    "operation_table",
    "outcome_states",
    "overall",
    "paired",
    "share",
    "strict_box",
    "transitions",
]

Grade = Callable[[EvalRow], bool]


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Trained minus base on the same n problems, one greedy sample each."""

    estimate: float
    """The plain difference `trained - base`."""
    ci_low: float
    """Bonett-Price, whose centre is the estimate shrunk by n/(n+2); for `overall` the macro average's interval."""
    ci_high: float
    n: int
    base: float
    """Accuracy before."""
    trained: float
    """Accuracy after."""
    gained: int
    """Problems wrong before and right after."""
    lost: int
    p_value: float
    """Exact McNemar, two-sided; for `overall` the normal p of estimate/SE."""
    badge: str
    """`supported`, `harmed` or `inconclusive`, for this run: other training seeds are not in the interval."""
    detectable: float
    """The smallest true |difference| that a comparison like this finds with 80 % power."""

    def as_dict(self) -> dict[str, Any]:
        """The entry of `summary.json`: every field under its own name."""
        return dict(self.__dict__)


def badge(low: float, high: float) -> str:
    """`supported` when the whole interval is above 0, `harmed` when it is below, else `inconclusive`."""
    if low > 0:
        return "supported"
    return "harmed" if high < 0 else "inconclusive"


def is_right(row: EvalRow) -> bool:
    """The grade of the evaluation itself."""
    return row.correct


def at_training_limit(row: EvalRow) -> bool:
    """Right when the same output is cut at the training limit."""
    return bool(row.meta["correct_short"])


def strict_box(row: EvalRow) -> bool:
    """Right when only a complete box counts."""
    return bool(row.meta["boxed"])


def paired(
    base_rows: Sequence[EvalRow], trained_rows: Sequence[EvalRow], *, right: Grade = is_right, level: float = LEVEL
) -> Paired:
    """The paired difference over all rows; `right` says what counts. Errors as `matched` (`UsageError` E103)."""
    grades = [(right(before), right(after)) for before, after in matched(base_rows, trained_rows)]
    n = len(grades)
    gained, lost = grades.count((False, True)), grades.count((True, False))
    interval = bonett_price(gained, lost, n, level)
    return Paired(
        estimate=interval.estimate,
        ci_low=interval.low,
        ci_high=interval.high,
        n=n,
        base=sum(before for before, _ in grades) / n,
        trained=sum(after for _, after in grades) / n,
        gained=gained,
        lost=lost,
        p_value=mcnemar_exact(gained, lost),
        badge=badge(interval.low, interval.high),
        detectable=detectable(gained, lost, n, level),
    )


def ladder(
    base: Sequence[EvalRow],
    trained: Sequence[EvalRow],
    rungs: Mapping[str, Grade],
    *,
    right: Grade = is_right,
    level: float = LEVEL,
) -> dict[str, Paired]:
    """`paired` on the rows of each rung, in the order of `rungs`; a rung with no problem was not tested and is absent.

    A rung is a property of the problem: a predicate that tells the two evaluations apart raises E103.
    """
    matched(base, trained)
    table = {}
    for name, belongs in rungs.items():
        before, after = [row for row in base if belongs(row)], [row for row in trained if belongs(row)]
        if before or after:
            table[name] = paired(before, after, right=right, level=level)
    return table


def by_rung(names: Iterable[str]) -> dict[str, Grade]:
    """Predicates for `ladder` that read `meta["rungs"]`."""

    def reads(name: str) -> Grade:
        return lambda row: name in row.meta.get("rungs", ())

    return {name: reads(name) for name in names}


def by_category(
    base: Sequence[EvalRow], trained: Sequence[EvalRow], *, right: Grade = is_right, level: float = LEVEL
) -> dict[str, Paired]:
    """`paired` for each category, by name."""

    def of(category: str) -> Grade:
        return lambda row: row.category == category

    categories = sorted({row.category for row in base})
    return ladder(base, trained, {category: of(category) for category in categories}, right=right, level=level)


def overall(
    base: Sequence[EvalRow], trained: Sequence[EvalRow], *, right: Grade = is_right, level: float = LEVEL
) -> Paired:
    """All categories with equal weight, whatever their sizes: `macro_average` of their paired differences.

    `base`, `trained` and `estimate` are means over categories; `n`, `gained` and `lost` are sums; the smallest
    detectable difference is sqrt(sum of squares)/K of the categories'. With one category this is `paired`.
    """
    kinds = list(by_category(base, trained, right=right, level=level).values())
    if not kinds:
        raise UsageError("there is no problem to compare.", code="E103")
    if len(kinds) == 1:
        return kinds[0]
    intervals: list[Interval] = [bonett_price(kind.gained, kind.lost, kind.n, level) for kind in kinds]
    mean = macro_average(intervals, level)
    return Paired(
        estimate=mean.estimate,
        ci_low=mean.low,
        ci_high=mean.high,
        n=mean.n,
        base=math.fsum(kind.base for kind in kinds) / len(kinds),
        trained=math.fsum(kind.trained for kind in kinds) / len(kinds),
        gained=sum(kind.gained for kind in kinds),
        lost=sum(kind.lost for kind in kinds),
        p_value=2 * NormalDist().cdf(-abs(mean.estimate) / mean.se),
        badge=badge(mean.low, mean.high),
        detectable=math.sqrt(math.fsum(kind.detectable**2 for kind in kinds)) / len(kinds),
    )
