"""Which responses are shown side by side: of every kind of flip some, chosen by rule, never by how they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneshot.report.gather import Facts
from oneshot.types import EvalRow

FLIPS = ("gained", "lost", "wrong", "right")
"""Wrong then right, right then wrong, wrong both times, right both times."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Both models' responses to one held-out problem."""

    flip: str
    own: bool
    """The problem is of the example's own kind."""
    base: EvalRow
    trained: EvalRow


def flip_of(before: bool, after: bool) -> str:
    """`gained`, `lost`, `wrong` or `right` (the last two: both times)."""
    return {(False, True): "gained", (True, False): "lost", (False, False): "wrong", (True, True): "right"}[
        before, after
    ]


def pairs(facts: Facts) -> list[Pair]:
    """All problems that both evaluations hold, in the order of the base's."""
    after = {row.id: row for row in facts.trained}
    own = {row.id for row in facts.own(facts.base)}
    return [
        Pair(flip=flip_of(row.correct, after[row.id].correct), own=row.id in own, base=row, trained=after[row.id])
        for row in facts.base
        if row.id in after
    ]


def choose(found: Sequence[Pair], count: int = 24) -> list[Pair]:
    """At most `count` pairs: an equal share of each flip (what one lacks goes to the others), categories in turn.

    Losses get the same room as gains. Deterministic.
    """
    queues = {flip: _in_turn([pair for pair in found if pair.flip == flip]) for flip in FLIPS}
    quota = dict.fromkeys(FLIPS, 0)
    while sum(quota.values()) < min(count, len(found)):
        for flip in FLIPS:
            if quota[flip] < len(queues[flip]) and sum(quota.values()) < count:
                quota[flip] += 1
    return [pair for flip in FLIPS for pair in queues[flip][: quota[flip]]]


def _in_turn(found: Sequence[Pair]) -> list[Pair]:
    """One of the own kind, one of another category, and so on round the other categories."""
    own = [pair for pair in found if pair.own]
    by_category: dict[str, list[Pair]] = {}
    for pair in found:
        if not pair.own:
            by_category.setdefault(pair.base.category, []).append(pair)
    depth = max((len(group) for group in by_category.values()), default=0)
    others = [group[i] for i in range(depth) for group in by_category.values() if i < len(group)]
    out: list[Pair] = []
    for i in range(max(len(own), len(others))):
        out += own[i : i + 1] + others[i : i + 1]
    return out


def training_samples(rows: Sequence[Mapping[str, Any]], count: int = 6) -> list[Mapping[str, Any]]:
    """At most `count` training responses of one step, in recorded order, evenly spread over the step's rows."""
    if len(rows) <= count:
        return list(rows)
    return [rows[i * len(rows) // count] for i in range(count)]
