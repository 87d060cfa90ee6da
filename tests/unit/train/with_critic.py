"""Learners with a critic whose values differ."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from oneshot.algos.algorithm import Algorithm, configured
from oneshot.algos.zoo import ALGORITHMS
from oneshot.train.critic import Critic
from oneshot.train.learner import Learner
from oneshot.types import TokenBatch
from tests.parts import gradients, one_step

KINDS = ("head", "model")


def ppo(kind: str = "head", *, updates: int = 1, **options: Any) -> Algorithm:
    """PPO with a critic that learns fast."""
    made = ALGORITHMS.build("ppo", {"critic": kind, "critic_lr": 1e-2, **options})
    return configured(made, {"updates": updates})


def critic_of(learner: Learner) -> Critic:
    """It has one."""
    assert learner.critic is not None
    return learner.critic


def told_apart(learner: Learner, *, constant: float = 0.0, scale: float = 0.1) -> None:
    """Give the head weights of its own, so that values differ from state to state."""
    head = critic_of(learner).head
    with torch.no_grad():
        numbers = torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        head.weight.copy_(scale * numbers)
        head.bias.fill_(constant)


def second_step(learner: Learner, batch: TokenBatch) -> tuple[dict[str, float], Tensor, Tensor]:
    """Metrics and both gradients of the second step, after which the values have moved."""
    told_apart(learner)
    one_step(learner, batch)
    metrics = one_step(learner, batch)
    return metrics, gradients(learner), torch.cat([m.grad.flatten() for m in critic_of(learner).optimizer.masters])
