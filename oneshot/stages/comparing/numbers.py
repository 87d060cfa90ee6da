"""The numbers of `oneshot compare`: each arm's value and its paired differences from the control, task by task.

A claim is one difference of one task, or of an average, from the control; Holm's adjustment is over all of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from oneshot.measure import gains
from oneshot.measure.differences import INCONCLUSIVE, LEAST_SEEDS, NOT_TESTED, OverSeeds, claimed, over_seeds
from oneshot.measure.gains import Paired
from oneshot.measure.multiplicity import holm
from oneshot.measure.pairing import by_problem, clusters_of
from oneshot.measure.repeated import mean_score
from oneshot.measure.statistics import Interval
from oneshot.stages.comparing.match import Matched
from oneshot.stages.comparing.models import Evaluation
from oneshot.stages.evals.averages import Member, as_published
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One arm against the control, on a task or on an average of tasks."""

    paired: Paired
    """These runs, all together."""
    effects: tuple[float, ...]
    """The paired difference of each pair of runs."""
    seeds: OverSeeds | None = None
    """New seeds; None where there is one run, or the runs are no seeds."""
    doubt: str = ""
    """Why several runs are no training seeds."""
    holm: float = 1.0
    room: bool = True
    """False where the control, or what the arm reached from below, cannot be told from chance."""

    @property
    def p_value(self) -> float:
        """Of new seeds where there are several runs, else of this run."""
        return self.seeds.p_value if self.seeds else self.paired.p_value

    @property
    def says(self) -> str:
        """`supported` or `harmed` where interval and adjusted p agree, else what keeps it from being said."""
        badge = NOT_TESTED if self.doubt else self.seeds.badge if self.seeds else self.paired.badge
        return claimed(badge, self.holm, room=self.room)

    @property
    def excluded(self) -> float | None:
        """Of a null: larger gains than this are excluded."""
        return max(0.0, (self.seeds or self.paired).ci_high) if self.says == INCONCLUSIVE else None

    @property
    def scope(self) -> str:
        """What the claim speaks about."""
        runs = len(self.effects)
        if runs == 1:
            return "this run"
        if self.doubt:
            return f"these {runs} runs; they are no training seeds: {self.doubt}"
        return (
            "new seeds" if runs >= LEAST_SEEDS else f"these {runs} runs; {LEAST_SEEDS} seeds are needed for new seeds"
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON form: `paired` (this run), `seeds` (new seeds, or None), `p_value`, `p_holm`, `claim` and its bounds."""
        return {
            "paired": self.paired.as_dict(),
            "seeds": self.seeds.as_dict() if self.seeds else None,
            "p_value": self.p_value,
            "p_holm": self.holm,
            "claim": self.says,
            "gains_excluded_above": self.excluded,
            "scope": self.scope,
            "room": self.room,
        }


@dataclass(frozen=True, kw_only=True)
class Line:
    """One task, or an average of tasks, with every arm's value and every claim."""

    name: str
    values: Mapping[str, Interval]
    """Letter -> accuracy over its runs."""
    claims: Mapping[str, Claim]
    """Letter of each arm but the control's."""
    n: int
    """Problems."""
    samples: Mapping[str, int] = field(default_factory=dict)
    """Letter -> responses to a problem in one run; empty for an average."""
    floor: float = 0.0
    room: bool = True
    """False where the control cannot be told from chance; of an average, in one of its tasks."""
    tasks: tuple[str, ...] = ()
    """What an average is of; empty for a task."""
    member: Member | None = None
    """A task's problems; None for an average."""
    limit: int = 0
    """Of a task: how many of its problems were read, the first ones; 0: all."""
    published: bool = False
    """Whether every arm was asked as the task's own protocol has it, but for the number of samples."""

    @property
    def distinct(self) -> int:
        """Problems, copies of one counted once."""
        return next(iter(self.values.values())).n

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        own: dict[str, Any] = {
            "n": self.n,
            "distinct": self.distinct,
            "floor": self.floor,
            "limit": self.limit,
            "room": self.room,
        }
        if self.tasks:
            own = {"n": self.n, "tasks": list(self.tasks), "room": self.room}
        arms = {
            letter: {"value": value.estimate, "ci_low": value.low, "ci_high": value.high, "method": value.method}
            | ({"samples": self.samples[letter]} if letter in self.samples else {})
            for letter, value in self.values.items()
        }
        return {**own, "one_problem": 0 if self.tasks else 1 / self.n, "arms": arms}


def pooled(evaluations: Sequence[Evaluation], stride: int) -> list[EvalRow]:
    """The responses of several runs as samples of the same problems, every run with the same weight.

    Run s has the sample numbers from s * stride. Where runs have other numbers of responses to a problem, each response
    stands there as often as makes them equal, so that a problem's mean is the mean of the runs' means.
    """
    if len(evaluations) == 1:
        return list(evaluations[0].rows)
    counts = [Counter(row.id for row in one.rows) for one in evaluations]
    whole = {key: math.lcm(*(count[key] for count in counts if count[key])) for key in counts[0]}
    return [
        replace(row, sample=row.sample + (run + copy * len(evaluations)) * stride)
        for run, one in enumerate(evaluations)
        for row in one.rows
        for copy in range(whole[row.id] // counts[run][row.id])
    ]


def sides(control: Sequence[Evaluation], arm: Sequence[Evaluation]) -> tuple[list[EvalRow], list[EvalRow], int]:
    """Control and arm with the responses of all their runs, and the samples of one run (0 where there is one).

    A single control stands beside every run, so that sample i of a run has its partner. Its copies are no samples:
    intervals take the samples of one run (`gains.paired`).
    """
    several = [*control] * (len(arm) if len(control) == 1 else 1)
    stride = 1 + max((row.sample for one in (*control, *arm) for row in one.rows), default=0)
    return pooled(several, stride), pooled(arm, stride), least([*control, *arm]) if len(arm) > 1 else 0


def least(found: Sequence[Evaluation]) -> int:
    """The smallest number of responses that a problem has in one run."""
    return min((len(rows) for one in found for rows in by_problem(one.rows).values()), default=1)


def value_of(found: Sequence[Evaluation]) -> Interval:
    """The accuracy of an arm. Several runs make a problem's mean; the limits of its interval are those of one run."""
    problems = [by_problem(one.rows) for one in found]
    scores = [
        math.fsum(sum(row.correct for row in each[key]) / len(each[key]) for each in problems) / len(problems)
        for key in problems[0]
    ]
    numbers = [len(each) / math.fsum(1 / len(rows) for rows in each.values()) for each in problems if each]
    return mean_score(scores, min(numbers, default=1), clusters=clusters_of(problems[0].values()))


def line_of(task: Matched, doubts: Mapping[str, str], claims: int = 1) -> Line:
    """The numbers of one task.

    Args:
        task: its evaluations.
        doubts: letter -> why its runs are no training seeds.
        claims: of the whole table, for the detectable differences.
    """
    (first, control), *others = task.arms.items()
    values = {letter: value_of(found) for letter, found in task.arms.items()}
    floor = float(control[0].results.get("floor") or 0.0)
    room = not values[first].low <= floor <= values[first].high
    data = dict(control[0].protocol.get("data") or {})
    return Line(
        name=task.name,
        values=values,
        claims={
            letter: replace(
                _claim(control, arm, doubts.get(letter, ""), claims),
                room=room and not guesses(values[first], values[letter], floor),
            )
            for letter, arm in others
        },
        n=len(control[0].ids),
        samples={letter: found[0].samples for letter, found in task.arms.items()},
        floor=floor,
        room=room,
        member=Member(name=control[0].task, ids=control[0].ids, data=data),
        limit=int(data.get("limit") or 0),
        published=not task.different
        and all(as_published(one.task, one.protocol) for found in task.arms.values() for one in found),
    )


def guesses(control: Interval, arm: Interval, floor: float) -> bool:
    """Whether a control below chance was raised to chance at most: that takes no more than stating an answer."""
    return control.high < floor and arm.low <= floor


def _claim(control: Sequence[Evaluation], arm: Sequence[Evaluation], doubt: str, claims: int) -> Claim:
    before, after, samples = sides(control, arm)
    paired = gains.paired(before, after, samples=samples, claims=claims)
    if len(arm) == 1:
        return Claim(paired=paired, effects=(paired.estimate,))
    several = [*control] * len(arm) if len(control) == 1 else control
    effects = tuple(gains.paired(a.rows, b.rows).estimate for a, b in zip(several, arm, strict=True))
    return claim_of(paired, effects, doubt, claims)


def claim_of(paired: Paired, effects: Sequence[float], doubt: str, claims: int) -> Claim:
    """The claim of several runs: about new seeds, as far as they are seeds."""
    seeds = None
    if len(effects) > 1 and not doubt:
        seeds = over_seeds(effects, low=paired.ci_low, high=paired.ci_high, p_value=paired.p_value, claims=claims)
    return Claim(paired=paired, effects=tuple(effects), seeds=seeds, doubt=doubt)


def adjusted(lines: Sequence[Line]) -> list[Line]:
    """The same lines with Holm's p over all their claims."""
    p_values = iter(holm([claim.p_value for line in lines for claim in line.claims.values()]))
    return [
        replace(line, claims={letter: replace(claim, holm=next(p_values)) for letter, claim in line.claims.items()})
        for line in lines
    ]
