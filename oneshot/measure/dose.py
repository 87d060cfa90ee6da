"""Arms at equal drift: what each scored when it had moved equally far from the base (docs/studies.md, "Dose").

Adam is scale-free and terms pull unequally hard, so after equal steps one arm may have moved the model ten times as far
as another. Drift is KL(base || model) averaged over tokens of the base's own answers; the base's is 0.

Between two readings a problem's score is taken to be linear in the square root of drift, which grows as the distance
does: near the base KL is quadratic in how far the weights have moved, and scores are not. Linear in the drift itself,
an arm that passes the common drift between two readings would be put too near the earlier one, by up to a quarter of
what changed between them, and the slowest arm, whose last reading the common drift is, would not. The nearest reading
would be a model that exists, but it may lie at half or twice the drift, and which side it falls on is luck.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from oneshot.measure.differences import badge, repeated
from oneshot.measure.gains import Paired

STILL = 0.05
"""An arm whose final drift is below this share of the median arm's has hardly moved, and sets no common drift."""
NOTHING = 1e-6
"""Nats a token: so small a drift is rounding."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One evaluation of one run."""

    step: int
    drift: float
    """Nats a token; 0 for the base."""
    scores: Mapping[str, float]
    """Problem -> its share of right responses."""


@dataclass(frozen=True, kw_only=True)
class Dose:
    """What a run scored at a drift."""

    scores: Mapping[str, float]
    between: tuple[int, int]
    """Steps of the two readings it lies between."""
    weight: float
    """Of the later one, in (0, 1]: its share of the way, in the square root of drift."""

    @property
    def value(self) -> float:
        """The mean over problems."""
        return math.fsum(self.scores.values()) / len(self.scores)


def common_drift(finals: Mapping[str, Sequence[float]]) -> tuple[float, dict[str, float]]:
    """The smallest final drift among the arms that moved, and the arms that did not with their largest one.

    Args:
        finals: arm -> the final drift of each of its runs; an arm that does not say any is left out by the caller.

    Returns:
        0 where fewer than two arms moved: nothing can be compared then.
    """
    middle = median([math.fsum(found) / len(found) for found in finals.values()]) if finals else 0.0
    still = {arm: max(found) for arm, found in finals.items() if min(found) <= max(NOTHING, STILL * middle)}
    moved = [min(found) for arm, found in finals.items() if arm not in still]
    return (min(moved) if len(moved) > 1 else 0.0), still


def at_drift(readings: Sequence[Reading], target: float) -> Dose | None:
    """The scores when the drift first reached `target` > 0; None where no reading came so far.

    Args:
        readings: of one run, the base (drift 0) among them, at least two.
        target: a drift.
    """
    ordered = sorted(readings, key=lambda reading: reading.step)
    for before, after in pairwise(ordered):
        if after.drift >= target > before.drift:
            passed = math.sqrt(before.drift)
            weight = (math.sqrt(target) - passed) / (math.sqrt(after.drift) - passed)
            scores = {key: (1 - weight) * before.scores[key] + weight * after.scores[key] for key in before.scores}
            return Dose(scores=scores, between=(before.step, after.step), weight=weight)
    return None


def paired_doses(
    control: Sequence[Dose], arm: Sequence[Dose], clusters: Mapping[str, Hashable], *, claims: int = 1
) -> Paired:
    """The paired difference of two arms, each pair of runs by problem: t interval and sign-flip p of the means.

    Several runs make a problem's mean and never more problems, and the interval is no narrower than one response to a
    problem allows, as in `gains.paired`. `clusters`: problem -> what it shares with its copies.
    """
    keys = list(control[0].scores)
    before, after = ([_mean(side, key) for key in keys] for side in (control, arm))
    changes = [b - a for a, b in zip(before, after, strict=True)]
    groups = [clusters[key] for key in keys]
    found = repeated(changes, 1, clusters=groups if len(set(groups)) < len(groups) else None, claims=claims)
    interval = found.interval
    return Paired(
        estimate=interval.estimate,
        ci_low=interval.low,
        ci_high=interval.high,
        n=len(keys),
        base=math.fsum(before) / len(keys),
        trained=math.fsum(after) / len(keys),
        gained=sum(change > 0 for change in changes),
        lost=sum(change < 0 for change in changes),
        p_value=found.p_value,
        badge=badge(interval.low, interval.high),
        detectable=found.detectable,
        method=interval.method,
        se=interval.se,
    )


def _mean(runs: Sequence[Dose], key: str) -> float:
    return math.fsum(run.scores[key] for run in runs) / len(runs)
