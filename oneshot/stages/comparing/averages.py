"""Averages of tasks in `oneshot compare`: of the suites that are there whole, and of all tasks. Loads no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from oneshot.measure import gains
from oneshot.measure.statistics import macro_mean
from oneshot.stages.comparing.numbers import Claim, Line, claim_of
from oneshot.stages.evals.averages import independent, stem


def averages(lines: Sequence[Line], suites: Mapping[str, Sequence[str]], claims: int = 1) -> list[Line]:
    """An average of each suite that is there whole, and of all tasks where there are several and no suite is all.

    A suite's name stands for its tasks asked as they are published, whole; only the number of samples may be another.
    Tasks that share problems (one task under two protocols) are not averaged: the interval takes them as independent.
    Where some of the tasks have no room, nothing is claimed of the average; that of the others stands beside it.
    `claims`: of the whole table.
    """
    groups = {name: [_named(lines, task) for task in tasks] for name, tasks in suites.items()}
    whole = {name: [line for line in group if line] for name, group in groups.items() if all(group)}
    if not any(len(group) == len(lines) for group in whole.values()):
        whole[f"all {len(lines)} tasks{_limits(lines)}"] = list(lines)
    found = []
    for name, group in whole.items():
        if len(group) < 2 or not _averaged(group):
            continue
        found.append(average(name, group, claims))
        able = [line for line in group if line.room and all(claim.room for claim in line.claims.values())]
        if 1 < len(able) < len(group):
            found.append(average(f"{name}, the {len(able)} with room", able, claims))
    return found


def _named(lines: Sequence[Line], task: str) -> Line | None:
    """The line of a suite's task: the one of its own name, or the only one of another number of samples."""
    found = [line for line in lines if line.published and stem(line.name) == task]
    own = [line for line in found if line.name == task]
    return (own or found)[0] if len(own or found) == 1 else None


def _limits(lines: Sequence[Line]) -> str:
    limits = sorted({line.limit for line in lines})
    if not any(limits):
        return ""
    return f", the first {limits[0]} problems" if len(limits) == 1 else ", some limited"


def _averaged(lines: Sequence[Line]) -> bool:
    """No problem occurs twice, and every value has a standard error (of one problem alone there is none)."""
    apart = independent([line.member for line in lines if line.member])
    return apart and all(math.isfinite(value.se) for line in lines for value in line.values.values())


def average(name: str, lines: Sequence[Line], claims: int) -> Line:
    """Tasks with the same weight, whatever their number of problems. It has no room where one of them has none."""
    letters = list(lines[0].values)
    return Line(
        name=name,
        values={letter: macro_mean([line.values[letter] for line in lines]) for letter in letters},
        claims={letter: _claim([line.claims[letter] for line in lines], claims) for letter in letters[1:]},
        n=sum(line.n for line in lines),
        room=all(line.room for line in lines),
        tasks=tuple(line.name for line in lines),
    )


def _claim(parts: Sequence[Claim], claims: int) -> Claim:
    by_run = zip(*(claim.effects for claim in parts), strict=True)
    effects = [math.fsum(found) / len(found) for found in by_run]
    doubt = next((claim.doubt for claim in parts if claim.doubt), "")
    whole = claim_of(gains.average([claim.paired for claim in parts]), effects, doubt, claims)
    return replace(whole, room=all(claim.room for claim in parts))
