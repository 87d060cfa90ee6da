"""What happens after each step, one small callback each: draw, evaluate, save, watch health, stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from oneshot.errors import OneshotError, Stopped
from oneshot.record import RunFolder
from oneshot.stages.display import Display, Eta
from oneshot.stages.preflight import Health
from oneshot.stages.signals import INTERRUPTED, StopRequest

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
    """How many steps this attempt has done, for what ends it in the middle of the next one; 0 before its first."""

    step: int = 0

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Count."""
        self.step = step


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
class Stopping:
    """Saves and stops after the step in which a signal came."""

    run: RunFolder
    stop: StopRequest
    save: Callable[[int], object]

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Raise `Stopped` when asked to."""
        if not self.stop.signal:
            return
        self.save(step)
        self.run.event("stop", step=step, signal=self.stop.signal)
        why = "Ctrl-C" if self.stop.exit_code == INTERRUPTED else "a stop signal"
        raise Stopped(
            f"stopped by {why} after step {step}; everything up to it is saved in {self.run.path}.",
            exit_code=self.stop.exit_code,
            tries=(f"oneshot train --resume {self.run.path}",),
        )
