"""Continuing a run: which one, with which settings, and what its first attempt already knew."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oneshot.config.load import from_dict, to_dict
from oneshot.config.names import KEYS
from oneshot.config.origins import show, value_of
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.errors import UsageError
from oneshot.measure.solved import preflight_rate
from oneshot.record import RunFolder
from oneshot.stages.training.preflight import BaseRate
from oneshot.stages.watching.run_process import process_of
from oneshot.types import Problem

MAY_CHANGE = (
    "optim.steps",
    "optim.micro_tokens",
    "optim.checkpointing",
    "rollout.batch",
    "evals.batch",
    "evals.data_dir",
    "save.",
    "model.threads",
    "reward.timeout",
    "data.allow_unsolved",
)
"""Settings a resumed run may change: they move neither the mathematics nor what is compared."""

SCHEDULES = ("optim.schedule", "algorithm.entropy_schedule")
"""Where one of them is not constant, the number of steps is part of every step: it cannot change either."""

ROUNDING = ("optim.micro_tokens", "rollout.batch", "model.threads")
"""Those of them that change the order of additions, and so the last bits."""


def resumed(request: Request) -> RunFolder:
    """The run that `--resume` names.

    Raises:
        UsageError: E104 when there is none, or another process is writing it; E107 when it has no example yet.
    """
    run = RunFolder.open(str(request.verb_flags["resume"]), Path(request.config.save.runs))
    status = run.status()
    pid = status.get("pid")
    if status.get("state") == "running" and pid != os.getpid() and process_of(status).alive and not request.yes:
        raise UsageError(
            f"{run.path} is being written by process {pid} right now.",
            code="E104",
            tries=(f"oneshot train --resume {run.path} --yes   (if process {pid} is something else)",),
            kept="Nothing was changed.",
        )
    if not run.example():
        raise UsageError(f"{run.path} ended before its example was chosen.", code="E107", tries=("start a new run",))
    return run


def config_of(run: RunFolder, request: Request) -> Config:
    """The run's own configuration, with what is given now where a resumed run may change it.

    Raises:
        UsageError: E107 when something else would change, or there is nothing left to do.
    """
    stored = from_dict(run.config(), where=str(run.path / "config.json"))
    changed = to_dict(stored)
    for key in filter(request.given, request.origins):
        before, now = (_value(config, key) for config in (stored, request.config))
        if before == now or key == "save.runs":
            continue
        if not key.startswith(MAY_CHANGE):
            was = "its default" if before is None else show(before)
            may = ", ".join(f"{name}*" if name.endswith(".") else name for name in MAY_CHANGE)
            raise UsageError(
                f"{key} was {was} in {run.path.name} and cannot become {show(now)}: a resumed run continues the same "
                f"experiment. It may change {may}.",
                code="E107",
                tries=(f"oneshot train --resume {run.path}", "start a new run"),
                kept="Nothing was changed.",
            )
        section, _, name = key.partition(".")
        changed[section][name] = now
    config = from_dict(changed)
    _check_schedules(run, stored, config)
    _check_left(run, config)
    return config


def _check_schedules(run: RunFolder, stored: Config, config: Config) -> None:
    """Refuse another number of steps where a schedule runs over all of them."""
    was, now = stored.optim.steps, config.optim.steps
    bent = [f"{key} = {value_of(stored, key)}" for key in _bent(stored)]
    if bent and now != was:
        raise UsageError(
            f"optim.steps was {was} in {run.path.name} and cannot become {now}: {' and '.join(bent)} runs over all "
            "steps, so the steps that are done would have been others.",
            code="E107",
            tries=(f"oneshot train --resume {run.path}", f"a new run with --steps {now}"),
            kept="Nothing was changed.",
        )


def _bent(config: Config) -> list[str]:
    """The schedules that are not constant."""
    return [key for key in SCHEDULES if value_of(config, key) != "constant"]


def _value(config: Config, key: str) -> Any:
    """The value of a dotted key; None for an algorithm's or a curriculum's own option that was not set."""
    if key in KEYS:
        return value_of(config, key)
    section, _, name = key.rpartition(".")
    return (config.data.curriculum_options if section.startswith("data.") else config.algorithm.options).get(name)


def rounding(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What to say about changed settings after which the run is no longer the uninterrupted one to the bit."""
    notes = []
    for key in ROUNDING:
        section, _, name = key.partition(".")
        was, is_ = before.get(section, {}).get(name), now[section][name]
        if was not in (is_, 0, None):
            notes.append(f"{key} was {was} and is {is_} now: the run goes on, equal up to rounding but not to the bit")
    return notes


def _check_left(run: RunFolder, config: Config) -> None:
    """Refuse when there is nothing left to do, or nothing to continue from."""
    done, steps = max(run.checkpoints(), default=0), config.optim.steps
    # A run killed after its last step, but before its summary, still has that to write.
    longer = f"oneshot train --resume {run.path} --steps {2 * done}"
    if done > steps or (done == steps and run.status().get("state") == "done"):
        raise UsageError(
            f"{run.path} has done {done} steps; {steps} are asked for, so nothing is left to do.",
            code="E107",
            tries=(*([] if _bent(config) else [longer]), f"oneshot report {run.path}"),
            kept="Nothing was changed.",
        )
    # With a state to be kept, a checkpoint without one is what a kill in the very first save leaves: it starts over.
    kept = config.save.optimizer and not any(event["kind"] == "save" for event in run.events())
    if done and not kept and not (run.last_state_dir.is_dir() or run.previous_state_dir.is_dir()):
        raise UsageError(
            f"{run.path} has no optimiser state (save.optimizer = false keeps none), so it cannot be continued.",
            code="E107",
            tries=(f"oneshot train --model {run.checkpoint_dir(done)}   (a new run from its weights)",),
            kept="Nothing was changed.",
        )


def examples(run: RunFolder) -> list[Problem]:
    """What the run trains on."""
    keys = ("id", "prompt", "answer", "category", "meta")
    return [Problem(**{key: row[key] for key in keys}) for row in run.example()]


def recorded_rate(run: RunFolder) -> BaseRate | None:
    """The preflight of an earlier attempt; None where there is none, as in a demo, which probes instead."""
    last = preflight_rate(run.events())
    if last is None:
        return None
    rates = tuple(last.get("rates", ()))
    return BaseRate(
        successes=round(last["value"] * last["n"]), samples=last["n"], rates=rates, pool=last.get("pool", 1)
    )
