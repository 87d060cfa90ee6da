"""The best and the worst response of one group of a step: what a person looks at while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from oneshot._store.streams import streamed
from oneshot.measure.findings import number

MOST_ROWS = 256
"""Responses of a step in which a group with unequal rewards is looked for; a step may have thousands."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One training response."""

    text: str
    reward: float | None
    right: bool | None
    cut: bool
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The best and the worst response of the first group whose rewards differ."""

    step: int
    group: int
    answer: str
    best: Sample
    worst: Sample
    equal: bool
    """No group that was looked at has rewards that differ; then these are the first group's first and last."""


def pair_of(path: Path) -> Pair | None:
    """The pair of a file of rollouts, of which only the beginning is read; None where it is empty.

    Raises:
        UsageError: E106 the file is absent or damaged.
    """
    first: Pair | None = None
    for rows in _groups(islice(streamed(path), MOST_ROWS)):
        ranked = sorted(rows, key=lambda row: number(row.get("reward")) or 0.0)  # stable: the first of equals
        pair = Pair(
            step=int(number(rows[0].get("step")) or 0),
            group=int(number(rows[0].get("group")) or 0),
            answer=str(rows[0].get("answer", "")),
            best=_sample(ranked[-1]),
            worst=_sample(ranked[0]),
            equal=number(ranked[0].get("reward")) == number(ranked[-1].get("reward")),
        )
        if not pair.equal:
            return pair
        first = first or pair
    return first


def _groups(rows: Iterator[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The rows are recorded group by group."""
    for _, members in groupby(rows, key=lambda row: row.get("group")):
        yield list(members)


def _sample(row: Mapping[str, Any]) -> Sample:
    tokens = row.get("tokens")
    return Sample(
        text=str(row.get("text", "")),
        reward=number(row.get("reward")),
        right=row["correct"] if isinstance(row.get("correct"), bool) else None,
        cut=row.get("finished") is False,
        tokens=len(tokens) if isinstance(tokens, list) else 0,
    )
