"""A pool ranked by a fresh probe of the base model (`probing.py`). Loads torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from oneshot.config.environment import plain
from oneshot.config.request import Request
from oneshot.measure.histories import Track
from oneshot.measure.probing import away
from oneshot.measure.selection import ANSWERS
from oneshot.measure.uncertainty import REDRAWS, intervals
from oneshot.stages.display import display
from oneshot.stages.probing.probing import Found, PoolProbe, probe_pool, prober_of, protocol_of, record_beside
from oneshot.stages.select import PROBED, Asked, Selected
from oneshot.stages.selecting.candidates import Candidate, Choice
from oneshot.stages.setup import load_setup, resolve_names

Scored = tuple[float, float, float]
"""A score and its 95 % interval."""
UNKNOWN: Scored = (math.nan, math.nan, math.nan)


def probed(request: Request, asked: Asked, pool: Sequence[Candidate]) -> Selected:
    """Every row of the pool, ranked by samples of the base model; the rates of the picks come from fresh ones.

    Without `--top` the best 50 get fresh samples. Errors as `probe_pool` and `load_setup`.
    """
    assert asked.out is not None, "checked with the flags"
    shown = display(quiet=request.quiet or request.json, plain=plain())
    setup = load_setup(request.config, resolve_names(request.config), offline=request.offline, training=False)
    answers = asked.score in ANSWERS
    found = probe_pool(
        prober_of(setup),
        [candidate.problem for candidate in pool],
        top=asked.top or len(pool),
        samples=int(asked.value),
        record=record_beside(asked.out),
        protocol=protocol_of(setup),
        target=0.5 if answers else PROBED[asked.score],
        by=asked.score if answers else "",
        allow_unsolved=request.config.data.allow_unsolved,
        note=shown.note,
    )
    return selected(asked, pool, found, said=not (request.quiet or request.json), seed=request.config.seed)


def selected(
    asked: Asked, pool: Sequence[Candidate], found: PoolProbe, *, said: bool = False, seed: int = 0
) -> Selected:
    """A probe's ranking in the form of every other; warnings that were `said` already are not repeated.

    Scores and intervals are of fresh samples; a problem without them has none, because the score it was chosen by
    flatters the best (winner's curse).
    """
    fresh = f"{found.fresh:,} fresh samples of the picks, which their scores, rates and intervals are from"
    notes = [
        f"{found.samples:,} samples ({found.reused:,} from an earlier probe) chose, then {fresh}.",
        "a probe's intervals hold the chance of its samples, at this model, prompt and temperature.",
    ]
    if found.decided is False:
        notes.append("the samples ran out before the picks were clear; a larger --probe decides more.")
    told = {"samples": found.samples, "fresh": found.fresh, "reused": found.reused, "decided": found.decided}
    scores = _scores(asked.score, found.ranked, seed)
    return Selected(
        choices=[_choice(pool[one.index], one, scores.get(one.index, UNKNOWN)) for one in found.ranked],
        facts={"history": None, "probe": told},
        notes=[*notes, *([] if said else found.warnings)],
    )


def _scores(name: str, ranked: Sequence[Found], seed: int) -> Mapping[int, Scored]:
    """Place in the pool -> score and interval, of those with fresh samples."""
    rated = [found for found in ranked if found.fresh_samples]
    if name in ANSWERS:
        return _of_answers(name, rated, seed)
    if name == "mean-accuracy":
        return {found.index: (found.rate, *found.interval) for found in rated}
    return {found.index: (abs(found.rate - 0.5), *away(*found.interval)) for found in rated}


def _of_answers(name: str, rated: Sequence[Found], seed: int) -> Mapping[int, Scored]:
    tracks = [
        Track(accuracies=(found.rate,), samples=(found.fresh_samples,), answers=(found.fresh_answers,))
        for found in rated
    ]
    bounds = intervals(name, tracks, count=REDRAWS, seed=seed)
    if bounds is None:  # nothing was rated
        return {}
    return {
        found.index: (
            ANSWERS[name](found.fresh_answers, found.fresh_samples),
            float(bounds.score_low_P[place]),
            float(bounds.score_high_P[place]),
        )
        for place, found in enumerate(rated)
    }


def _choice(candidate: Candidate, found: Found, scored: Scored) -> Choice:
    sampled = bool(found.samples or found.fresh_samples)
    score, low, high = scored
    return Choice(
        candidate=candidate,
        rank=found.rank,
        score=score,
        low=low,
        high=high,
        mean=found.rate if sampled else math.nan,
        visits=int(sampled),
        tie_first=found.tie_first,
        tie_last=found.tie_last,
        accuracies=(found.rate,) if sampled else (),
        fresh=found.fresh_samples,
    )
