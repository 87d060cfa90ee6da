"""`oneshot train`: the loop on one screen, and the parts it runs on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from oneshot.algos.algorithm import Algorithm
from oneshot.data.packing import pack
from oneshot.history import History
from oneshot.record import RunFolder
from oneshot.rollout.collect import Render, collect
from oneshot.stages.watch import Clock, rollout_metrics
from oneshot.train.checkpoint import Checkpoints, Curriculum
from oneshot.train.learner import Learner
from oneshot.types import Engine, Sampling, Verifier

OnStepEnd = Callable[[int, Mapping[str, float]], None]
"""(steps done, metrics of the step) -> nothing; evaluates, saves, watches health, draws. May raise to stop the run."""


@dataclass(frozen=True, kw_only=True)
class TrainParts:
    """Everything the loop runs on. Building them and running them are two functions; there is no trainer."""

    steps: int
    group_size: int
    micro_tokens: int
    packed: bool
    engine: Engine
    learner: Learner
    algorithm: Algorithm
    curriculum: Curriculum
    history: History
    render: Render
    verify: Verifier
    sampling: Sampling
    record: RunFolder
    checkpoints: Checkpoints
    on_step_end: OnStepEnd


def train(parts: TrainParts) -> None:
    """Sample, verify, credit, update, record; from the last checkpoint on."""
    first_step = parts.checkpoints.restore(parts.learner, parts.curriculum, parts.history)
    for step in range(first_step, parts.steps):
        clock = Clock()
        problems = parts.curriculum.next(step, parts.history)
        groups = collect(
            parts.engine, problems, parts.render, parts.verify, parts.sampling, step,
            group_size=parts.group_size, version=parts.learner.version,
        )  # fmt: skip
        clock.lap("rollout")
        packed = pack(
            groups, max_response=parts.sampling.max_new_tokens, micro_tokens=parts.micro_tokens, packed=parts.packed
        )
        batch = parts.learner.score(packed, parts.algorithm.needs)  # old, reference: only what is asked for
        clock.lap("score")
        advantages = parts.algorithm.credit(batch)  # per response, or per token
        learned = parts.learner.update(batch, advantages)
        clock.lap("update")
        parts.history.observe(step, groups)  # read above, written here
        metrics = {**rollout_metrics(groups), **learned, **clock.metrics()}
        parts.record.step(step, metrics, groups)
        parts.on_step_end(step + 1, metrics)
