"""Disk that a run takes, from the number of weights and the settings, before anything is written."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from oneshot.config.schema import Config
from oneshot.errors import MachineError
from oneshot.model.memory import ADAPTER_BYTES, GIB, bytes_trained, gib, has_critic

BYTES_A_TOKEN = 20
"""Disk of one recorded response token, compressed: its id, its log-prob and its text. A test measures it."""
BYTES_READ = 6
"""The same of an evaluation, which keeps the text only."""


@dataclass(frozen=True, kw_only=True)
class DiskForecast:
    """Bytes by purpose, at the moment when most is there: while the last checkpoint is being saved."""

    checkpoint: int
    """One checkpoint: the weights, or the adapter, in the dtype they were trained in."""
    kept: int
    """How many checkpoints stay."""
    optimizer: int
    """What else the run continues from: AdamW's two moments, and a critic with its own; 0 when it is not kept."""
    spare: int
    """With more than one save: the checkpoint being written before the oldest goes, and the state before the last."""
    rollouts: int
    """Every response to its limit, compressed. Real runs stay below."""
    readings: int = 0
    """Every response of the evaluations to its limit, compressed."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.checkpoint * self.kept + self.optimizer + self.spare + self.rollouts + self.readings

    def parts(self) -> str:
        """`2 checkpoints of 0.5 GiB + ...`."""
        parts = [f"{self.kept} checkpoint{'s' if self.kept > 1 else ''} of {size(self.checkpoint)}"]
        parts += [f"optimiser state {size(self.optimizer)}"] if self.optimizer else []
        parts += [f"the one before while saving {size(self.spare)}"] if self.spare else []
        parts += [f"evaluations {size(self.readings)}"] if self.readings else []
        return " + ".join([*parts, f"responses {size(self.rollouts)} if each runs to its limit"])

    def sentence(self) -> str:
        """`3.2 GiB = 2 checkpoints of 0.5 GiB + ...`."""
        return f"{size(self.total)} = {self.parts()}"


def disk_forecast(params: int, config: Config, read: int = 0) -> DiskForecast:
    """What the run folder takes at its largest. The page, the tokenizer and the dev set's responses are left out.

    Args:
        params: numbers in a checkpoint: all weights, or those of the adapter.
        config: the run.
        read: response tokens of one reading of the test tasks, each response to its limit.
    """
    save, rollout, steps = config.save, config.rollout, config.optim.steps
    best = save.best and config.evals.chooses
    saves = _times(steps, save.every, config.evals.every if best else 0)
    checkpoint = (ADAPTER_BYTES if config.model.lora_rank else bytes_trained(config)) * params
    optimizer = (2 + 3 * has_critic(config)) * checkpoint * save.optimizer
    return DiskForecast(
        checkpoint=checkpoint,
        kept=min(save.keep + best, saves),
        optimizer=optimizer,
        spare=(checkpoint + optimizer) * (saves > 1),
        rollouts=steps * rollout.groups * rollout.group_size * rollout.max_new_tokens * BYTES_A_TOKEN,
        readings=read * BYTES_READ * (1 + _times(steps, config.evals.every)),
    )


def _times(steps: int, one: int, other: int = 0) -> int:
    """After how many of the steps something is done: each multiple of `one` or of `other` (0: none), and the last."""
    every = [each for each in (one, other) if each]
    both = steps // math.lcm(one, other) if len(every) == 2 else 0
    return sum(steps // each for each in every) - both + all(steps % each for each in every)


def check_room(plan: DiskForecast, folder: Path, *, free: int | None = None) -> int:
    """Refuse a run whose folder cannot hold it; returns the free bytes of the disk of `folder`, which need not exist.

    Raises:
        MachineError: E202 with the numbers.
    """
    if free is None:
        place = folder.expanduser().absolute()
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
    if plan.total > free:
        fewer = ("--save.keep 1",) if plan.kept > 1 else ()
        state = ("--save.optimizer false   (the run cannot be resumed then)",) if plan.optimizer else ()
        raise MachineError(
            f"{folder} needs up to {size(plan.total)} but only {size(free)} are free on its disk: {plan.parts()}.",
            code="E202",
            tries=(*fewer, *state, "--out FOLDER   (on a larger disk)"),
            kept="Nothing was written.",
        )
    return free


def size(count: int) -> str:
    """Bytes as GiB, or as MiB below one."""
    return f"{gib(count)} GiB" if count >= GIB else f"{count / 2**20:.1f} MiB"
