"""One training run from a prepared setup to its summary: base rate, loop, evaluations, checkpoints, stop signals."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oneshot.config.load import to_dict
from oneshot.errors import DataError, MachineError
from oneshot.export.tracking import Tracking
from oneshot.model.storage import check_room, disk_forecast
from oneshot.record import RunFolder
from oneshot.stages import graders, loop
from oneshot.stages.display import Display, Eta
from oneshot.stages.evals.asked import Asked
from oneshot.stages.resources.worst_case import weights_of
from oneshot.stages.setup import Setup
from oneshot.stages.signals import Abandoned, stop_requests
from oneshot.stages.training import drift, transfer_map
from oneshot.stages.training import tasks as training_tasks
from oneshot.stages.training.callbacks import (
    Callback,
    Drawing,
    Dropping,
    Every,
    Reached,
    Redrawing,
    Stopping,
    Watching,
    due,
    in_order,
)
from oneshot.stages.training.control_arm import Arm
from oneshot.stages.training.controls import label
from oneshot.stages.training.opening import Opening, opening
from oneshot.stages.training.preflight import BaseRate, Health
from oneshot.stages.training.readings import Readings
from oneshot.types import Problem


@dataclass(frozen=True, kw_only=True)
class Session:
    """A run and what it is about."""

    setup: Setup
    run: RunFolder
    problems: Sequence[Problem]
    """What to train on."""
    held_out: Sequence[Problem]
    """Read before, during and after training; may be empty."""
    task: str
    """Name of the held-out set in evals/."""
    shown: Display
    tests: Sequence[Asked] = ()
    """Test tasks that are read with them; they choose nothing."""
    yes: bool = False
    verbose: bool = False
    tracking: Callback = lambda step, metrics: None
    """Sends what a step recorded to experiment trackers."""

    def arm(self) -> Arm:
        """The control arm, which is none in a normal run."""
        return Arm(setup=self.setup, run=self.run, problems=self.problems, note=self.shown.note)

    def readings(self) -> Readings:
        """What is read with each checkpoint."""
        return Readings(
            setup=self.setup,
            run=self.run,
            held_out=self.held_out,
            name=self.task,
            tasks=self.tests,
            say=self.shown.note,
        )


def new_run(setup: Setup, problems: Sequence[Problem], argv: Sequence[str], **extra: Any) -> RunFolder:
    """A fresh run folder holding the configuration and the example(s)."""
    config = setup.config
    slug = config.save.name or problems[0].id
    run = RunFolder.create(Path(config.save.runs), slug, to_dict(config), argv)
    run.write_example(problems, extra)
    return run


@contextmanager
def tracked(session: Session, *, offline: bool) -> Iterator[Tracking]:
    """The run's trackers, opened and at the end closed; call `close` with the summary before."""
    run = session.run
    with Tracking(
        session.setup.config.save.track,
        metrics=run.path / "metrics.jsonl",
        state=run.path / "tracking.json",
        say=session.shown.note,
    ) as found:
        found.open(name=run.path.name, config=run.config(), offline=offline)
        yield found


def preflight(session: Session) -> BaseRate:
    """Everything that is looked at before step 0 (`opening.py`); the base model's rate on the example."""
    given = Opening(
        setup=session.setup,
        problems=session.problems,
        held_out=len(session.held_out),
        tasks=training_tasks.sizes(session.tests),
        note=session.shown.note,
        event=session.run.event,
        folder=session.run.path,
        look=session.arm().look,
        yes=session.yes,
        verbose=session.verbose,
    )
    with session.run.doing("preflight"):
        return opening(given)


def train(session: Session, rate: BaseRate | None) -> None:
    """Run the loop with its callbacks: saved where that is due, then evaluated, then saved where it is the best so far.

    Raises:
        Stopped: after a stop signal, saved (exit 75 or 130).
        HealthAbort: E501, saved.
        DataError: E305 when the reward failed in the middle of a step; the steps before it are saved.
        MachineError: E201 when memory ran out in the middle of a step, saved likewise; E202, whatever was saved before.
    """
    run, config, shown = session.run, session.setup.config, session.shown
    attempt = run.start_attempt()
    arm = session.arm()
    parts = arm.parts(loop.build(session.setup, arm.trained_on(), run, session.readings().best))
    if words := label(run.config()):
        shown.note(words)  # the line before the first step's
    room_on_disk(session.setup, run, training_tasks.tokens(session.tests))
    at_base = (session.setup, run, parts.learner)  # nothing is restored yet
    transfer_map.measure(*at_base, session.problems, session.held_out, shown.note)
    drifted = drift.begin(*at_base, session.held_out, shown.note)
    steps, names = config.optim.steps, session.setup.names
    reached = Reached(parts.curriculum)

    def save(step: int) -> None:
        parts.checkpoints.save(step, parts.learner, parts.curriculum, parts.history)

    with stop_requests() as stop:
        stopping = Stopping(run, stop, save)
        parts = _watched(session, rate, parts, reached, stopping, drifted)
        used = {"reward": graders.described(names.verify), "evaluation": graders.described(names.eval_verify)}
        run.event("attempt", attempt=attempt, steps=steps, threads=config.model.threads, **used)
        try:
            with shown:
                loop.train(parts)
        except Abandoned:
            stopping(reached.rewind(), {})
        except (DataError, MachineError) as error:
            if error.code != "E202" and parts.learner.intact and (done := reached.rewind()):
                save(done)
            raise
        stopping(steps, {})  # a signal that came during the last evaluation
    run.write_status(state="running", step=steps, steps=steps, phase="finishing")


def room_on_disk(setup: Setup, run: RunFolder, read: int) -> None:
    """The rule of the preflight, which a demo and a resumed run do not have; what lies there already is room too.

    `read` is the number of response tokens of one reading of the test tasks.

    Raises:
        MachineError: E202.
    """
    there = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    free = shutil.disk_usage(run.path).free
    check_room(disk_forecast(weights_of(setup), setup.config, read), run.path, free=free + there)


def _watched(
    session: Session,
    rate: BaseRate | None,
    parts: loop.TrainParts,
    reached: Reached,
    stopping: Stopping,
    drifted: drift.Measure,
) -> loop.TrainParts:
    """The parts with everything that happens around their steps; a stop signal reaches every inner loop."""
    run, config, shown, save = session.run, session.setup.config, session.shown, stopping.save
    steps, every = config.optim.steps, config.evals.every

    def evaluate(step: int) -> None:
        with run.doing("evaluating"):
            reads.dev(f"checkpoint-{step}")
            drifted(step)
            if reads.best(step) == step:
                save(step)
            reads.test(f"checkpoint-{step}", stopping.stop)

    def start(step: int) -> None:
        reached(step, {})
        recorded = run.metrics()
        health.recall(recorded, responses)
        dropping.recall(recorded)
        if step:
            shown.note(f"continuing after step {step}")
        if step and reads and due(step, every, steps):
            evaluate(step)  # the attempt before may have ended before it had

    reads = session.readings()
    responses = config.rollout.groups * config.rollout.group_size
    # Outcomes of a pool come in clusters, and a curriculum may go to its hard ones: no success is then no finding.
    alone = len(session.problems) == 1
    # A control arm need not succeed, and what becomes of it is its finding: it is warned of, never stopped.
    control = bool(config.reward.control)
    low = rate.interval[0] if rate and alone and not control else 0.0
    health = Health(rate_low=low, yes=session.yes or control)
    dropping = Dropping(run, shown, save)
    callbacks: list[Callback] = [
        reached,
        Drawing(run, shown, steps, Eta()),
        session.tracking,
        Every(config.save.every, steps, save),
        dropping,
        Redrawing(run, shown),
        Watching(run, shown, health, responses, save),
        stopping,
    ]
    if reads:
        callbacks.append(Every(every, steps, evaluate))
    check = stopping.stop.check
    session.setup.engine.check = session.setup.eval_engine.check = parts.learner.check = check
    parts.checkpoints.say = shown.note
    return replace(parts, on_step_end=in_order(callbacks), on_start=start, check=check, say=shown.note)


class Phases:
    """Seconds by phase, for the summary."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self._last = time.perf_counter()

    def end(self, name: str) -> None:
        """Name the time since the last phase ended."""
        now = time.perf_counter()
        self.times[name] = self.times.get(name, 0.0) + now - self._last
        self._last = now
