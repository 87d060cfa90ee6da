"""What a study still has to do: steps, responses, evaluations, disk by its settings; time by cells that ended here.

Nobody knows how fast a machine is at this before it has done it, so without a finished cell no time is told.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from oneshot.config.schema import Config
from oneshot.data import problems
from oneshot.errors import OneshotError
from oneshot.model.storage import DiskForecast, disk_forecast, size
from oneshot.stages.display import duration
from oneshot.stages.studies.arms import Plan
from oneshot.stages.studies.folder import DONE, Cell

UNMEASURED = "not known before a cell of this study has ended here; from then on it stands above every cell"


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one cell of an arm does after its checks before step 0."""

    steps: int
    batch: int
    """Responses a step."""
    limit: int
    """Tokens of a response at most."""
    evaluations: int
    """Trained checkpoints that are read; the base model's evaluation is made once for all cells that share it."""
    dynamic: bool
    """A group may be sampled again."""
    once: int = 0
    """Responses sampled before the steps, at most, where these sample none but imitate them (the arm `rft`)."""

    @property
    def responses(self) -> int:
        """Sampled in all, where no group is sampled again."""
        return self.once or self.steps * self.batch

    def sentence(self) -> str:
        """`12 steps x 32 responses of at most 48 tokens; 2 checkpoints are evaluated`."""
        more = " (more where a group is sampled again)" if self.dynamic else ""
        plural = "s are" if self.evaluations != 1 else " is"
        read = f"{self.evaluations} checkpoint{plural} evaluated" if self.evaluations else "nothing is evaluated"
        each = f"{self.steps} steps x {self.batch} responses"
        if self.once:
            each = f"{self.steps} steps that imitate the right ones of at most {self.once} responses, sampled once,"
            more = ""
        return f"{each} of at most {self.limit} tokens{more}; {read}"


@dataclass(frozen=True, kw_only=True)
class StudyDisk:
    """Bytes that the cells which are left add, at most."""

    most: int
    """While the largest of them ends as the last one."""
    after: int
    """Of what stays."""
    free: int

    def sentence(self, *, weights: bool) -> str:
        """`at most 1.6 GiB more while it runs, 12.0 MiB of it stays (...); 60.0 GiB are free`."""
        why = "" if weights else " (keep_weights = false: checkpoints of finished cells are deleted)"
        full = "" if self.most <= self.free else ": NOT ENOUGH"
        return f"at most {size(self.most)} more while it runs, {size(self.after)} of it stays{why}; " + (
            f"{size(self.free)} are free{full}"
        )


@dataclass(frozen=True, kw_only=True)
class TimeLeft:
    """Seconds, by cells that ended in this folder."""

    left: float
    """Of all cells that are left, each as long as the median one."""
    shortest: float
    longest: float
    cells: int
    """How many ended."""

    def sentence(self) -> str:
        """`about 1:20:00 by the 2 cells that ended here (5:00 to 6:10 each)`."""
        each = f"{duration(self.shortest)} to {duration(self.longest)} each"
        told = f"the {self.cells} cells that ended here ({each})"
        if self.cells == 1:
            told = f"the one cell that ended here ({duration(self.shortest)})"
        return f"about {duration(self.left)} by {told}"


def work_of(plan: Plan, arm: str) -> Work:
    """The work of one cell of an arm."""
    config = plan.arms[arm]
    rollout, evals, steps = config.rollout, config.evals, config.optim.steps
    reads = bool(plan.study.test_per_kind or evals.source or evals.tasks)
    times = steps // evals.every + (steps % evals.every > 0) if evals.every else 1
    return Work(
        steps=steps,
        batch=rollout.groups * rollout.group_size,
        limit=rollout.max_new_tokens,
        evaluations=times * reads,
        dynamic=rollout.dynamic,
        once=_sampled_once(_examples(plan, arm)) if config.reward.control == "rft" else 0,
    )


def _sampled_once(examples: int) -> int:
    """Responses that the arm `rft` samples at most, in whole rounds over its examples."""
    from oneshot.stages.training.imitation import BUDGET, EACH_BUDGET

    each = max(EACH_BUDGET, math.ceil(BUDGET / examples))
    return examples * EACH_BUDGET * math.ceil(each / EACH_BUDGET)


def _examples(plan: Plan, arm: str) -> int:
    """How many examples an arm trains on; those that are not on this machine count as one."""
    if plan.study.examples:
        return next(spec.examples for spec in plan.study.arms if spec.name == arm) or plan.study.count
    with suppress(OneshotError):
        return len(problems.resolve(plan.arms[arm].data, offline=True)) or 1
    return 1


def time_left(cells: Sequence[Cell], left: int) -> TimeLeft | None:
    """How long so many cells take, by the finished ones of `cells`; None where none was timed."""
    seconds = [cell.seconds for cell in cells if cell.state == DONE and cell.seconds > 0]
    if not seconds:
        return None
    each = median(seconds)
    return TimeLeft(left=left * each, shortest=min(seconds), longest=max(seconds), cells=len(seconds))


def disk_of(plan: Plan, left: Sequence[Cell]) -> StudyDisk | None:
    """What the cells that are left write; None where the size of a model is not known without loading it."""
    from oneshot.stages.training import tasks

    asked = tasks.planned(next(iter(plan.arms.values())), lambda text: None)  # the same for all arms
    read = sum(responses * limit for responses, limit in asked)
    made = {arm: _one(config, read) for arm, config in plan.arms.items()}
    used = [made[cell.arm] for cell in left]
    if any(found is None for found in used):
        return None
    totals = [(found.total, _stays(found, plan.study.keep_weights)) for found in used if found is not None]
    after = sum(stays for _, stays in totals)
    most = after + max((total - stays for total, stays in totals), default=0)
    return StudyDisk(most=most, after=after, free=_free(plan.folder))


def _one(config: Config, read: int) -> DiskForecast | None:
    from oneshot.model import policy, precision
    from oneshot.model.shapes import lookup
    from oneshot.model.targets import saved_params

    shapes = lookup(config.model.name)
    if shapes is None:
        return None
    here = precision.settled(config, cuda=policy.gpu_memory() is not None, training=True)
    return disk_forecast(saved_params(shapes, here.model), here, read)


def _stays(found: DiskForecast, weights: bool) -> int:
    """Of a finished cell; the optimiser's state of one is always deleted."""
    return found.rollouts + found.readings + (found.checkpoint * found.kept if weights else 0)


def _free(folder: Path) -> int:
    place = folder.expanduser().absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def lines(plan: Plan, cells: Sequence[Cell], left: Sequence[Cell]) -> list[str]:
    """The forecast for people. `cells`: all of the study; `left`: those that would be run."""
    if not left:
        return ["nothing is left to run"]
    arms = list(dict.fromkeys(cell.arm for cell in left))
    works = {arm: work_of(plan, arm) for arm in arms}
    out = []
    for work in dict.fromkeys(works.values()):
        of = [arm for arm in arms if works[arm] == work]
        name = "each cell" if len(of) == len(arms) else f"each cell of {', '.join(of)}"
        out.append(f"{name}: {work.sentence()}")
    each = [works[cell.arm] for cell in left]
    total = (sum(work.steps for work in each), sum(work.responses for work in each))
    read = sum(work.evaluations for work in each)
    once = ", and the base model once for all cells that share it" if read else ""
    out.append(f"all that are left: {total[0]:,} steps, {total[1]:,} responses, {read:,} evaluations{once}")
    disk, time = disk_of(plan, left), time_left(cells, len(left))
    unknown = "not known (a model's shapes are neither in a local config.json nor in our table)"
    out.append(f"disk: {disk.sentence(weights=plan.study.keep_weights) if disk else unknown}")
    return [*out, f"time: {time.sentence() if time else UNMEASURED}"]


def told(plan: Plan, cells: Sequence[Cell], left: Sequence[Cell]) -> dict[str, Any]:
    """The same as JSON; `time` and `disk` are null where they are not known."""
    works = {arm: work_of(plan, arm) for arm in plan.arms}
    disk, time = disk_of(plan, left), time_left(cells, len(left))
    return {
        "cells": len(left),
        "arms": {arm: {**asdict(work), "responses": work.responses} for arm, work in works.items()},
        "steps": sum(works[cell.arm].steps for cell in left),
        "responses": sum(works[cell.arm].responses for cell in left),
        "evaluations": sum(works[cell.arm].evaluations for cell in left),
        "disk": None if disk is None else asdict(disk),
        "time": None if time is None else asdict(time),
    }
