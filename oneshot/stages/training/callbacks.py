"""What happens after each step, one small callback each: draw, evaluate, save, watch health, stop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneshot.errors import HealthAbort, OneshotError, Stopped
from oneshot.record import RunFolder
from oneshot.stages.display import Display, Eta
from oneshot.stages.signals import INTERRUPTED, StopRequest
from oneshot.stages.training.preflight import Health
from oneshot.train.checkpoint import Curriculum

Callback = Callable[[int, Mapping[str, float]], None]


def in_order(callbacks: Sequence[Callback]) -> Callback:
    """One callback that calls each in turn; the first that raises ends the run."""

    def each(step: int, metrics: Mapping[str, float]) -> None:
        for callback in callbacks:
            callback(step, metrics)

    return each


def due(step: int, every: int, steps: int) -> bool:
    """Whether something done every `every` steps (0: only at the end) is due after `step` of `steps`."""
    return step == steps or (every > 0 and step % every == 0)


@dataclass
class Reached:
    """How many steps are done, for what ends the run in the middle of the next one.

    A step changes nothing but the curriculum before the optimiser steps, so with that put back the run is as it was.
    """

    curriculum: Curriculum
    step: int = 0
    then: dict[str, Any] = field(default_factory=dict)
    """The curriculum's state after that step."""

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Count."""
        self.step, self.then = step, copy.deepcopy(self.curriculum.state_dict())

    def rewind(self) -> int:
        """Put the curriculum back to where the last finished step left it; returns how many are done."""
        if self.step:
            self.curriculum.load_state_dict(self.then)
        return self.step


@dataclass
class Drawing:
    """Status file and display."""

    run: RunFolder
    shown: Display
    steps: int
    eta: Eta

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write status.json and show the step with one of its responses."""
        self.run.write_status(
            state="running", step=step, steps=self.steps, eta=self.eta.left(step, self.steps, metrics)
        )
        first = self.run.rollouts(step - 1)[0]["text"]
        self.shown.step(step, self.steps, metrics, first)


@dataclass
class Every:
    """Calls `action(step)` when it is due."""

    every: int
    steps: int
    action: Callable[[int], object]

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Act if due."""
        if due(step, self.every, self.steps):
            self.action(step)


@dataclass
class Watching:
    """Health rules; a finding is an event."""

    run: RunFolder
    shown: Display
    health: Health
    responses: int
    save: Callable[[int], object]

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Check; save before the run is stopped."""
        try:
            finding = self.health.check(metrics, self.responses)
        except OneshotError as error:
            self.run.event("health", step=step, finding=error.message)
            self.save(step)
            raise
        if finding:
            self.run.event("health", step=step, finding=finding)
            self.shown.note(f"warning: {finding}")


@dataclass
class Redrawing:
    """Steps with groups of equal rewards left after all rounds of sampling: an event each, said the first time."""

    run: RunFolder
    shown: Display
    said: bool = False

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Look at what the step sampled; nothing without dynamic sampling."""
        equal, rounds = int(metrics.get("rollout/equal_groups", 0)), int(metrics.get("rollout/rounds", 0))
        if not equal:
            return
        self.run.event("rounds", step=step - 1, rounds=rounds, equal_groups=equal)
        if not self.said:
            self.shown.note(
                f"warning: after {rounds} rounds of sampling step {step} still has {equal} groups with equal rewards; "
                "it went on with them, and so will later steps (--rollout.dynamic false samples once)"
            )
        self.said = True


@dataclass
class Dropping:
    """Steps without an update, because loss or gradient was not finite: an event each, `patience` in a row stop."""

    run: RunFolder
    shown: Display
    save: Callable[[int], object]
    patience: int = 3
    in_a_row: int = 0

    def recall(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Go on counting from the recorded metrics of earlier attempts."""
        for row in rows:
            self.in_a_row = self.in_a_row + 1 if row.get("dropped") else 0

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Count; save before the run is stopped."""
        if not metrics["dropped"]:
            self.in_a_row = 0
            return
        self.in_a_row += 1
        self.run.event("dropped", step=step - 1, loss=metrics["loss"], grad_norm=metrics["grad_norm"])
        self.shown.note(f"warning: the update of step {step} was dropped: its loss or gradient is not finite")
        if self.in_a_row < self.patience:
            return
        self.save(step)
        raise HealthAbort(
            f"the loss or the gradient of {self.in_a_row} steps in a row was not finite (the last: step {step}).",
            tries=("a new run with a smaller --optim.lr, or --model.dtype float32",),
            kept=f"Their updates were dropped; the weights of the last good one are saved in {self.run.path}.",
        )


@dataclass
class Stopping:
    """Saves and stops after the step in which a signal came; called too when the one after it was given up."""

    run: RunFolder
    stop: StopRequest
    save: Callable[[int], object]

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Raise `Stopped` when asked to."""
        if not self.stop.signal:
            return
        if step:
            self.save(step)
        self.run.event("stop", step=step, signal=self.stop.signal)
        why = "Ctrl-C" if self.stop.exit_code == INTERRUPTED else "a stop signal"
        when = f"after step {step}; everything up to it is saved" if step else "before the end of step 1; its start is"
        raise Stopped(
            f"stopped by {why} {when} in {self.run.path}.",
            exit_code=self.stop.exit_code,
            tries=(f"oneshot train --resume {self.run.path}",),
        )
