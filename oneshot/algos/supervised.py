"""Maximum likelihood of given responses, as an algorithm: what reinforcement is compared with."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from oneshot.algos.algorithm import Algorithm
from oneshot.algos.surrogate import reinforce
from oneshot.algos.weighting import token_mean
from oneshot.types import TokenBatch


def as_paid(batch: TokenBatch) -> Tensor:
    """The reward itself, [B]: nothing is compared with the group."""
    return batch.rewards_B


def imitation(algorithm: Algorithm) -> Algorithm:
    """−log p of what was paid 1, mean over its tokens; no KL, no entropy. Updates and mini-batches stay as they were.

    There is no ratio and no importance weight: the responses are those of another policy on purpose.
    """
    return replace(
        algorithm,
        credit=as_paid,
        surrogate=reinforce,
        weighting=token_mean,
        policy=1.0,
        kl=0.0,
        entropy=0.0,
        entropy_of=None,
        importance_cap=0.0,
        critic=None,
    )
