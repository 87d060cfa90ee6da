"""Per-token policy losses, [B, T] in and out. `logp` carries the gradient; everything else is constant."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Surrogate = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logp_BT, old_logp_BT, advantage_BT) -> loss_BT."""


def clipped(low: float, high: float) -> Surrogate:
    """PPO's clipped surrogate (arXiv:1707.06347): −min(ρA, clip(ρ, 1−low, 1+high)A). At ρ = 1 it is REINFORCE."""

    def loss(logp_BT: Tensor, old_logp_BT: Tensor, advantage_BT: Tensor) -> Tensor:
        ratio_BT = (logp_BT - old_logp_BT).exp()
        kept_BT = ratio_BT.clamp(1 - low, 1 + high)
        return -torch.minimum(ratio_BT * advantage_BT, kept_BT * advantage_BT)

    return loss
