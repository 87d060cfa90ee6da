"""What a health rule reads and what it says. The rules are in `health` and `health_record`. Loads no torch."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from oneshot._store.values import number as number
from oneshot._store.values import section
from oneshot.measure.dynamics import saturation
from oneshot.measure.heartbeat import UNKNOWN, Heartbeat, Process, heartbeat
from oneshot.measure.run_facts import Counts, counts_of, responses_of
from oneshot.record import RunFolder
from oneshot.rewards.controls import label

LEVELS = ("ok", "info", "warn", "bad")
"""`bad`: the run is broken. `warn`: look at it. `info`: true and worth knowing, nothing is wrong."""
RECENT = 5
"""So many last steps are what is the case now."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule says of a run."""

    rule: str
    level: str
    text: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """What the sentence rests on."""
    next: str = ""
    """A command to paste; empty where there is nothing to do."""

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**self.__dict__, "numbers": dict(self.numbers)}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the folder cannot say."""

    now: float
    """Seconds since 1970."""
    process: Process = UNKNOWN
    written: float = 0.0
    """When a file without times of its own last grew; 0 where unknown."""
    free: int | None = None
    """Free bytes on the run's disk."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A run folder as the rules read it."""

    run: RunFolder
    machine: Machine
    config: Mapping[str, Any]
    env: Mapping[str, Any]
    status: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    evals: Sequence[tuple[str, str]]
    examples: int

    @cached_property
    def heart(self) -> Heartbeat:
        """The run's state now."""
        machine = self.machine
        return heartbeat(self.status, self.metrics, self.events, machine.process, machine.now, machine.written)

    @cached_property
    def counts(self) -> list[Counts]:
        """(step, right, sampled) of every step with training samples of the run's own (`run_facts.counts_of`)."""
        return counts_of(self.metrics, self.config)

    @cached_property
    def saturated(self) -> int | None:
        """The step from which the training samples are solved (`dynamics.saturation`)."""
        found = saturation([right for _, right, _ in self.counts], [n for _, _, n in self.counts])
        return None if found is None else self.counts[found][0]

    @property
    def done(self) -> int:
        """Steps done."""
        return int(self.metrics[-1]["step"]) + 1 if self.metrics else 0

    @property
    def steps(self) -> int:
        """Steps planned; 0 where nothing says it."""
        return int(number(self.status.get("steps")) or number(self.setting("optim.steps")) or 0)

    @property
    def control(self) -> str:
        """The control arm that the run is; empty for none."""
        return str(self.setting("reward.control") or "")

    @property
    def label(self) -> str:
        """What every output says of a run that is no normal one (`rewards.controls.label`); empty for a normal one."""
        return label(self.config)

    @property
    def name(self) -> str:
        """The run's folder as a word of a command line."""
        return shlex.quote(str(self.run.path))

    def setting(self, key: str) -> Any:
        """A value of the configuration by its dotted key; None where the run has none."""
        part, _, name = key.partition(".")
        return section(self.config, part).get(name)

    def responses(self, row: Mapping[str, Any]) -> int:
        """Training responses sampled in a step."""
        return responses_of(row, self.config)

    def series(self, key: str) -> list[tuple[int, float]]:
        """(step, value) of every step whose value is a finite number."""
        found = [(int(row["step"]), number(row.get(key))) for row in self.metrics]
        return [(step, value) for step, value in found if value is not None]

    def recent(self, key: str, count: int = RECENT) -> float | None:
        """The mean of a metric over the last steps; None where it was not recorded."""
        values = [value for _, value in self.series(key)[-count:]]
        return math.fsum(values) / len(values) if values else None

    def of_kind(self, kind: str) -> list[Mapping[str, Any]]:
        """The events of one kind."""
        return [event for event in self.events if event.get("kind") == kind]


Rule = Callable[[Seen], Iterator[Finding]]
