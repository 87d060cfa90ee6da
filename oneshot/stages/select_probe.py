"""A pool ranked by a fresh probe of the base model (`probing.py`). Loads torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oneshot.config.environment import plain
from oneshot.config.request import Request
from oneshot.stages.candidates import Candidate, Choice
from oneshot.stages.display import display
from oneshot.stages.probing import Found, PoolProbe, probe_pool, prober_of, protocol_of, record_beside
from oneshot.stages.select import PROBED, Asked, Selected
from oneshot.stages.setup import load_setup, resolve_names


def probed(request: Request, asked: Asked, pool: Sequence[Candidate]) -> Selected:
    """Every row of the pool, ranked by samples of the base model; the rates of the picks come from fresh ones.

    Without `--top` the best 50 get fresh samples. Errors as `probe_pool` and `load_setup`.
    """
    assert asked.out is not None, "checked with the flags"
    shown = display(quiet=request.quiet or request.json, plain=plain())
    setup = load_setup(request.config, resolve_names(request.config), offline=request.offline, training=False)
    found = probe_pool(
        prober_of(setup),
        [candidate.problem for candidate in pool],
        top=asked.top or len(pool),
        samples=int(asked.value),
        record=record_beside(asked.out),
        protocol=protocol_of(setup),
        target=PROBED[asked.score],
        allow_unsolved=request.config.data.allow_unsolved,
        note=shown.note,
    )
    return selected(asked, pool, found, said=not (request.quiet or request.json))


def selected(asked: Asked, pool: Sequence[Candidate], found: PoolProbe, *, said: bool = False) -> Selected:
    """A probe's ranking in the form of every other; warnings that were `said` already are not repeated."""
    score, spread = _SCORED[asked.score]
    fresh = f"{found.fresh:,} fresh samples of the picks, which their rates and intervals are from"
    notes = [
        f"{found.samples:,} samples ({found.reused:,} from an earlier probe) chose, then {fresh}.",
        "a probe's intervals hold the chance of its samples, at this model, prompt and temperature.",
    ]
    if not found.decided:
        notes.append("the samples ran out before the picks were clear; a larger --probe decides more.")
    told = {"samples": found.samples, "fresh": found.fresh, "reused": found.reused, "decided": found.decided}
    return Selected(
        choices=[_choice(pool[one.index], one, score, spread) for one in found.ranked],
        facts={"history": None, "probe": told},
        notes=[*notes, *([] if said else found.warnings)],
    )


Spread = Callable[[tuple[float, float]], tuple[float, float]]


def _away(interval: tuple[float, float]) -> tuple[float, float]:
    """|p - 1/2| over an interval of p; 0 where the half is inside."""
    low, high = interval
    ends = sorted((abs(low - 0.5), abs(high - 0.5)))
    return (0.0 if low <= 0.5 <= high else ends[0]), ends[1]


_SCORED: Mapping[str, tuple[Callable[[float], float], Spread]] = {
    "distance-to-half": (lambda rate: abs(rate - 0.5), _away),
    "mean-accuracy": (lambda rate: rate, lambda interval: interval),
}
"""Name -> the score of a rate, and of an interval of rates."""


def _choice(candidate: Candidate, found: Found, score: Callable[[float], float], spread: Spread) -> Choice:
    sampled = bool(found.samples or found.fresh_samples)
    low, high = spread(found.interval) if sampled else (math.nan, math.nan)
    facts: dict[str, Any] = {"accuracies": (found.rate,)} if sampled else {}
    return Choice(
        candidate=candidate,
        rank=found.rank,
        score=score(found.rate) if sampled else math.nan,
        low=low,
        high=high,
        mean=found.rate if sampled else math.nan,
        visits=int(sampled),
        tie_first=found.tie_first,
        tie_last=found.tie_last,
        **facts,
    )
