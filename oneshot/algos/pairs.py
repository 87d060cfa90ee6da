"""Weights of a positive-negative pair, put on advantages: on rewards they would do nothing (docs/curricula.md)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from oneshot.algos.credit import Around
from oneshot.types import TokenBatch

SOLVED = 1.0
"""A reward of as much is a success."""


@dataclass(frozen=True)
class paired(Around):
    """Weighted GRPO of Beyond Variance, arXiv:2602.03452: w⁺·A of a success on q⁺, w⁻·A of a failure on q⁻, else A.

    To stand outermost, around whatever else changes the batch. Which example is which is in `pair_B`; without it, as in
    the steps in which a pair is looked for, nothing is weighed. Both weights 1 give the inner credit.

    Departure. The paper maps outcomes to +1 and −λ before the group is normalised, and z-scores undo every such map
    with a positive slope. Here the weights come after the credit, so that they act. A critic's targets are not weighed.
    """

    success: float = 1.0
    failure: float = 1.0

    def __call__(self, batch: TokenBatch) -> Tensor:
        """The inner credit's advantages, [B] or [B, T], each response's times its weight."""
        advantages = super().__call__(batch)
        if batch.pair_B is None:
            return advantages
        solved_B, pair_B = batch.rewards_B >= SOLVED, batch.pair_B
        factor_B = torch.ones_like(batch.rewards_B)
        factor_B = torch.where((pair_B > 0) & solved_B, self.success, factor_B)
        factor_B = torch.where((pair_B < 0) & ~solved_B, self.failure, factor_B).to(advantages)
        return advantages * (factor_B if advantages.dim() == 1 else factor_B[:, None])
