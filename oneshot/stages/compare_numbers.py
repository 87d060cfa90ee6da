"""The numbers of `oneshot compare`: each arm's value, the paired differences from the control, and averages of tasks.

A claim is one difference of one task, or of an average, from the control; Holm's adjustment is over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from oneshot.measure import gains
from oneshot.measure.decompose import share
from oneshot.measure.differences import LEAST_SEEDS, NOT_TESTED, OverSeeds, over_seeds
from oneshot.measure.gains import Paired
from oneshot.measure.grades import is_right
from oneshot.measure.multiplicity import holm
from oneshot.measure.statistics import Interval, macro_mean
from oneshot.stages.compare_match import Matched
from oneshot.stages.compare_refs import Evaluation, stem
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]
NO_ROOM = "no room to measure"
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One arm against the control, on a task or on an average of tasks."""

    paired: Paired
    """These runs, all together."""
    effects: tuple[float, ...]
    """The paired difference of each pair of runs."""
    seeds: OverSeeds | None
    """New seeds; None where there is one run."""
    holm: float = 1.0
    room: bool = True
    """False where the control cannot be told from chance."""

    @property
    def p_value(self) -> float:
        """Of new seeds where there are several runs, else of this run."""
        return self.seeds.p_value if self.seeds else self.paired.p_value

    @property
    def says(self) -> str:
        """`supported` or `harmed` where interval and adjusted p agree, else what keeps it from being said."""
        if not self.room:
            return NO_ROOM
        word = self.seeds.badge if self.seeds else self.paired.badge
        return word if word == NOT_TESTED or self.holm <= ALPHA else "inconclusive"

    def as_dict(self) -> dict[str, Any]:
        """JSON form: `paired` (this run), `seeds` (new seeds, or None), `p_value`, `p_holm`, `claim`."""
        return {
            "paired": self.paired.as_dict(),
            "seeds": self.seeds.as_dict() if self.seeds else None,
            "p_value": self.p_value,
            "p_holm": self.holm,
            "claim": self.says,
            "scope": scope(len(self.effects)),
        }


def scope(runs: int) -> str:
    """What the claim speaks about."""
    if runs == 1:
        return "this run"
    return "new seeds" if runs >= LEAST_SEEDS else f"these {runs} runs; {LEAST_SEEDS} are needed for new seeds"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One task, or an average of tasks, with every arm's value and every claim."""

    name: str
    values: Mapping[str, Interval]
    """Letter -> accuracy over its runs."""
    claims: Mapping[str, Claim]
    """Letter of each arm but the control's."""
    samples: Mapping[str, int] = field(default_factory=dict)
    """Letter -> responses to a problem; empty for an average."""
    floor: float = 0.0
    room: bool = True
    tasks: tuple[str, ...] = ()
    """What an average is of; empty for a task."""
    problems: frozenset[tuple[str, str]] = frozenset()
    """(id, question) of a task's problems."""

    @property
    def n(self) -> int:
        """Problems."""
        return next(iter(self.values.values())).n

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        own: dict[str, Any] = {"n": self.n, "floor": self.floor, "room": self.room}
        if self.tasks:
            own = {"n": self.n, "tasks": list(self.tasks)}
        arms = {
            letter: {"value": value.estimate, "ci_low": value.low, "ci_high": value.high, "method": value.method}
            | ({"samples": self.samples[letter]} if letter in self.samples else {})
            for letter, value in self.values.items()
        }
        return {**own, "one_problem": 0 if self.tasks else 1 / self.n, "arms": arms}


def pooled(evaluations: Sequence[Evaluation], stride: int) -> list[EvalRow]:
    """The responses of several runs as samples of the same problems; run s has the numbers from s * stride."""
    if len(evaluations) == 1:
        return list(evaluations[0].rows)
    return [replace(row, sample=row.sample + run * stride) for run, one in enumerate(evaluations) for row in one.rows]


def sides(control: Sequence[Evaluation], arm: Sequence[Evaluation]) -> tuple[list[EvalRow], list[EvalRow]]:
    """Control and arm, each with the responses of all its runs; a single control stands beside every run."""
    several = [*control] * (len(arm) if len(control) == 1 else 1)
    stride = 1 + max((row.sample for one in (*control, *arm) for row in one.rows), default=0)
    return pooled(several, stride), pooled(arm, stride)


def line_of(task: Matched) -> Line:
    """The numbers of one task."""
    (first, control), *others = task.arms.items()
    values = {letter: share(pooled(found, _stride(found)), is_right) for letter, found in task.arms.items()}
    floor = float(control[0].results.get("floor") or 0.0)
    room = not values[first].low <= floor <= values[first].high
    return Line(
        name=task.name,
        values=values,
        claims={letter: replace(_claim(control, arm), room=room) for letter, arm in others},
        samples={letter: found[0].samples for letter, found in task.arms.items()},
        floor=floor,
        room=room,
        problems=frozenset((row.id, row.prompt) for row in control[0].rows),
    )


def _stride(found: Sequence[Evaluation]) -> int:
    return 1 + max((row.sample for one in found for row in one.rows), default=0)


def _claim(control: Sequence[Evaluation], arm: Sequence[Evaluation]) -> Claim:
    paired = gains.paired(*sides(control, arm))
    if len(arm) == 1:
        return Claim(paired=paired, effects=(paired.estimate,), seeds=None)
    several = [*control] * len(arm) if len(control) == 1 else control
    effects = tuple(gains.paired(a.rows, b.rows).estimate for a, b in zip(several, arm, strict=True))
    return Claim(paired=paired, effects=effects, seeds=_over(effects, paired))


def _over(effects: Sequence[float], paired: Paired) -> OverSeeds | None:
    if len(effects) < 2:
        return None
    return over_seeds(effects, low=paired.ci_low, high=paired.ci_high, p_value=paired.p_value)


def average(name: str, lines: Sequence[Line]) -> Line:
    """Tasks with the same weight, whatever their number of problems."""
    letters = list(lines[0].values)
    return Line(
        name=name,
        values={letter: macro_mean([line.values[letter] for line in lines]) for letter in letters},
        claims={letter: _average_claim([line.claims[letter] for line in lines]) for letter in letters[1:]},
        tasks=tuple(line.name for line in lines),
    )


def _average_claim(claims: Sequence[Claim]) -> Claim:
    paired = gains.average([claim.paired for claim in claims])
    by_run = zip(*(claim.effects for claim in claims), strict=True)
    effects = tuple(sum(found) / len(found) for found in by_run)
    return Claim(paired=paired, effects=effects, seeds=_over(effects, paired))


def averages(lines: Sequence[Line], suites: Mapping[str, Sequence[str]]) -> list[Line]:
    """An average of each suite that is there whole, and of all tasks where there are several and no suite is all.

    Tasks that share problems (one task under two protocols) are not averaged: the interval takes them as independent.
    """
    by_name = {stem(line.name): line for line in lines}  # another number of samples still makes the suite's average
    groups = {name: [by_name.get(task) for task in tasks] for name, tasks in suites.items()}
    whole = {name: [line for line in group if line] for name, group in groups.items() if all(group)}
    if not any(len(group) == len(lines) for group in whole.values()):
        whole[f"all {len(lines)} tasks"] = list(lines)
    return [average(name, group) for name, group in whole.items() if len(group) > 1 and _independent(group)]


def _independent(lines: Sequence[Line]) -> bool:
    """No problem occurs twice, and every value has a standard error (of one problem alone there is none)."""
    apart = len(frozenset[tuple[str, str]]().union(*(line.problems for line in lines))) == sum(
        len(line.problems) for line in lines
    )
    return apart and all(math.isfinite(value.se) for line in lines for value in line.values.values())


def adjusted(lines: Sequence[Line]) -> list[Line]:
    """The same lines with Holm's p over all their claims."""
    p_values = iter(holm([claim.p_value for line in lines for claim in line.claims.values()]))
    return [
        replace(line, claims={letter: replace(claim, holm=next(p_values)) for letter, claim in line.claims.items()})
        for line in lines
    ]
