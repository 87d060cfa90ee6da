"""Interval, p and detectable size of a paired difference: one sample a problem, several samples, several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from oneshot.measure.repeated import paired_scores, standard_error
from oneshot.measure.statistics import LEVEL, Interval, bonett_price, detectable, mcnemar_exact, t_quantile

LEAST_SEEDS = 3
"""Training seeds that a claim about new seeds needs."""
NOT_TESTED = "not tested"


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
    return "harmed" if high < 0 else "inconclusive"


def single(gained: int, lost: int, n: int, level: float = LEVEL) -> Difference:
    """One sample a problem on both sides: Bonett-Price and exact McNemar."""
    return Difference(
        interval=bonett_price(gained, lost, n, level),
        p_value=mcnemar_exact(gained, lost),
        detectable=detectable(gained, lost, n, level),
    )


def repeated(differences: Sequence[float], samples: float = 0, level: float = LEVEL) -> Difference:
    """Several samples a problem: the t interval and sign-flip p of the problems' differences of means.

    `samples`: a problem's number of them, the smallest where they differ.
    """
    found = paired_scores(differences, samples, level=level)
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
    effects: tuple[float, ...]
    """Paired difference of each pair of runs, in order."""
    badge: str
    """`not tested` below `LEAST_SEEDS` pairs."""

    def as_dict(self) -> dict[str, Any]:
        """JSON form: every field, and `seeds`, how many there are."""
        return {**self.__dict__, "effects": list(self.effects), "seeds": len(self.effects)}


def over_seeds(effects: Sequence[float], *, low: float, high: float, p_value: float, level: float = LEVEL) -> OverSeeds:
    """The mean of S >= 2 paired differences of runs with different seeds.

    `low`, `high` and `p_value` are those of all these runs together, by problem. With S = 2 there is one degree of
    freedom, and the interval is wide; it is given, not judged.
    """
    count = len(effects)
    assert count >= 2, count
    estimate, se = fsum(effects) / count, standard_error(effects)
    half = t_quantile((1 + level) / 2, count - 1) * se
    low, high = min(low, max(-1.0, estimate - half)), max(high, min(1.0, estimate + half))
    return OverSeeds(
        estimate=estimate,
        ci_low=low,
        ci_high=high,
        p_value=max(p_value, _t_test(estimate / se, count - 1)) if se else p_value,
        effects=tuple(effects),
        badge=badge(low, high) if count >= LEAST_SEEDS else NOT_TESTED,
    )


def _t_test(t: float, df: int) -> float:
    """Two-sided p under Student's t: the regularised incomplete beta function at df/(df + t^2)."""
    from mpmath import betainc

    return float(betainc(df / 2, 0.5, 0, df / (df + t * t), regularized=True))
