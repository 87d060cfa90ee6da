"""Interval, p and detectable size of a paired difference: one sample a problem, several samples, several seeds."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from oneshot.measure.repeated import paired_scores, standard_error
from oneshot.measure.statistics import (
    LEVEL,
    Interval,
    bonett_price,
    detectable,
    detectable_mean,
    mcnemar_exact,
    t_quantile,
)

LEAST_SEEDS = 3
"""Training seeds that a claim about new seeds needs."""
NOT_TESTED = "not tested"
INCONCLUSIVE = "inconclusive"
JUDGED = ("supported", "harmed")
NO_ROOM = "no room to measure"
ALPHA = 0.05
"""Largest adjusted p of a claim."""


_METHODS = {
    "bonett-price": "Bonett and Price's interval, McNemar's exact test",
    "t": "paired t interval, sign-flip test",
}


def method_words(method: str) -> str:
    """An interval's method with the test beside it, in words: `macro average of 3` is `the mean of 3 intervals`."""
    count = method.removeprefix("macro average of ")
    mean = f"the mean of {count} categories' differences, normal interval and p"
    return mean if count != method else _METHODS.get(method, method)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A paired difference as it was tested."""

    interval: Interval
    p_value: float
    """Two-sided."""
    detectable: float
    """The smallest true |difference| that a comparison like this finds with 80 % power."""


def badge(low: float, high: float) -> str:
    """`supported` when the whole interval is above 0, `harmed` when it is below, else `inconclusive`."""
    if low > 0:
        return "supported"
    return "harmed" if high < 0 else INCONCLUSIVE


def claimed(word: str, holm: float, *, room: bool = True) -> str:
    """What a badge comes to in a table: nothing without room, and nothing that does not survive Holm's adjustment."""
    if not room:
        return NO_ROOM
    return INCONCLUSIVE if word in JUDGED and holm > ALPHA else word


def single(gained: int, lost: int, n: int, level: float = LEVEL, *, claims: int = 1) -> Difference:
    """One sample a problem on both sides: Bonett-Price and exact McNemar; one of so many claims."""
    return Difference(
        interval=bonett_price(gained, lost, n, level),
        p_value=mcnemar_exact(gained, lost),
        detectable=detectable(gained, lost, n, level, claims=claims),
    )


def repeated(
    differences: Sequence[float],
    samples: float = 0,
    level: float = LEVEL,
    clusters: Sequence[Hashable] | None = None,
    *,
    claims: int = 1,
) -> Difference:
    """Several samples a problem, or copies among the problems: t interval and sign-flip p of the differences of means.

    `samples`: a problem's number of them, the smallest where they differ; `clusters`: see `mean_score`; `claims`: how
    many this is one of, for the detectable difference.
    """
    found = paired_scores(differences, samples, level=level, clusters=clusters, claims=claims)
    return Difference(interval=found, p_value=found.p_value, detectable=found.detectable)


@dataclass(frozen=True, kw_only=True)
class OverSeeds:
    """The difference that training with new seeds would make, from S pairs of runs."""

    estimate: float
    """The mean of `effects`."""
    ci_low: float
    """t with S-1 degrees of freedom, never narrower than the interval of these runs."""
    ci_high: float
    p_value: float
    """Of that t, and never below the p of these runs."""
    detectable: float
    """The smallest true |difference| that as many runs find with 80 % power."""
    effects: tuple[float, ...]
    """Paired difference of each pair of runs, in order."""
    badge: str
    """`not tested` below `LEAST_SEEDS` pairs."""

    def as_dict(self) -> dict[str, Any]:
        """JSON form: every field, and `seeds`, how many there are."""
        return {**self.__dict__, "effects": list(self.effects), "seeds": len(self.effects)}


def over_seeds(
    effects: Sequence[float],
    *,
    low: float,
    high: float,
    p_value: float,
    level: float = LEVEL,
    claims: int = 1,
) -> OverSeeds:
    """The mean of S >= 2 paired differences of runs with different seeds.

    Student's t on the effects, S-1 degrees of freedom, and never narrower than the interval of these runs: effects that
    happen to be equal, of which few seeds say little, do not make a narrow one. p is the larger of the two.

    Args:
        effects: one paired difference a pair of runs.
        low: of the interval of all these runs together, by problem.
        high: the same.
        p_value: their p.
        level: of the interval.
        claims: how many this is one of, for the detectable difference.

    With S = 2 there is one degree of freedom, and the interval is wide; it is given, not judged.
    """
    count = len(effects)
    assert count >= 2, count
    estimate, own = fsum(effects) / count, standard_error(effects)
    quantile = t_quantile((1 + level) / 2, count - 1)
    low, high = min(low, max(-1.0, estimate - quantile * own)), max(high, min(1.0, estimate + quantile * own))
    widest = max(own, (high - low) / 2 / quantile)  # what makes an interval as wide as this one
    return OverSeeds(
        estimate=estimate,
        ci_low=low,
        ci_high=high,
        p_value=max(p_value, _t_test(estimate / own, count - 1)) if own else p_value,
        detectable=detectable_mean(widest, count, level, claims=claims),
        effects=tuple(effects),
        badge=badge(low, high) if count >= LEAST_SEEDS else NOT_TESTED,
    )


def _t_test(t: float, df: int) -> float:
    """Two-sided p under Student's t: the regularised incomplete beta function at df/(df + t^2)."""
    from mpmath import betainc

    return float(betainc(df / 2, 0.5, 0, df / (df + t * t), regularized=True))
