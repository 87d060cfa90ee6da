"""Which responses are shown side by side: of every kind of flip some, chosen by rule, never by how they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oneshot.report.gather import Facts, part
from oneshot.types import EvalRow

FLIPS = ("gained", "lost", "wrong", "right")
"""Wrong then right, right then wrong, wrong both times, right both times."""
MOST_LISTED = 200


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The models' responses to one held-out problem."""

    flip: str
    own: bool
    """The problem is of the example's own kind."""
    base: EvalRow
    trained: EvalRow
    between: EvalRow | None = None
    """Of a checkpoint between the two, where it read the problem."""
    long: bool = False
    """A response was cut, or is among the longest tenth."""

    @property
    def rows(self) -> list[EvalRow]:
        """All responses, in order of training."""
        return [row for row in (self.base, self.between, self.trained) if row is not None]

    @property
    def differs(self) -> bool:
        """Base and trained model gave different answers."""
        return self.base.extracted != self.trained.extracted


def flip_of(before: bool, after: bool) -> str:
    """`gained`, `lost`, `wrong` or `right` (the last two: both times)."""
    return {(False, True): "gained", (True, False): "lost", (False, False): "wrong", (True, True): "right"}[
        before, after
    ]


def pairs(facts: Facts) -> list[Pair]:
    """All problems that both evaluations hold, in the order of the base's; of several samples the first."""
    held = facts.held
    after, between = _first(held.trained), _first(held.between[1])
    own = {row.id for row in facts.own(held.base)}
    lengths = sorted(row.tokens for row in (*held.base, *held.trained))
    limit = lengths[len(lengths) * 9 // 10] if lengths else 0
    return [
        Pair(
            flip=flip_of(row.correct, after[key].correct),
            own=key in own,
            base=row,
            trained=after[key],
            between=between.get(key),
            long=any(r.cut or r.tokens > limit for r in (row, after[key])),
        )
        for key, row in _first(held.base).items()
        if key in after
    ]


def _first(rows: Sequence[EvalRow]) -> dict[str, EvalRow]:
    out: dict[str, EvalRow] = {}
    for row in rows:
        if row.id not in out or row.sample < out[row.id].sample:
            out[row.id] = row
    return out


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


@dataclass(frozen=True, kw_only=True)
class Flipped:
    """The problems of one direction: how many, and the first of them with the place of those shown on the page."""

    name: str
    count: int
    listed: Sequence[tuple[str, int | None]]
    """(problem, its number among the responses shown, or None)."""


def flipped(facts: Facts, shown: Sequence[Pair]) -> list[Flipped]:
    """Gained and lost problems, as the instruments list them."""
    flips = part(facts.measured, "flips")
    place: Mapping[str, int] = {pair.base.id: i for i, pair in enumerate(shown)}
    out = []
    for name in ("gained", "lost"):
        found = flips.get(name)
        ids = [str(key) for key in found] if isinstance(found, list | tuple) else []
        first = sorted(ids, key=lambda key: key not in place)[:MOST_LISTED]
        if isinstance(found, list | tuple):
            out.append(Flipped(name=name, count=len(ids), listed=[(key, place.get(key)) for key in first]))
    return out
