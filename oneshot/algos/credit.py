"""Rewards to advantages. Each function: TokenBatch -> [B] (or [B, T]); groups are given by `group_B`."""

from __future__ import annotations

import torch
from torch import Tensor

from oneshot.types import TokenBatch

EPS = 1e-6
"""Added to the group's standard deviation, as in the paper's code."""


def _group_mean(values_B: Tensor, group_B: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and size of each response's own group, both [B].

    Summed in float64, where equal float32 values have exactly their own mean and the order makes no difference.
    """
    _, index_B = torch.unique(group_B, return_inverse=True)
    size_P = torch.bincount(index_B).double()
    sum_P = torch.zeros_like(size_P).index_add(0, index_B, values_B.double())
    return (sum_P / size_P)[index_B].to(values_B.dtype), size_P[index_B].to(values_B.dtype)


def centred(batch: TokenBatch) -> Tensor:
    """R − mean of the group, [B] (Dr. GRPO, arXiv:2503.20783)."""
    mean_B, _ = _group_mean(batch.rewards_B, batch.group_B)
    return batch.rewards_B - mean_B


def z_scored(batch: TokenBatch) -> Tensor:
    """(r − mean) / (std + 1e-6) with the unbiased std (n−1), [B]: GRPO, arXiv:2402.03300, as the paper's code has it.

    A group of one, and a group of equal rewards, gets exactly 0.
    """
    centred_B = centred(batch)
    mean_square_B, size_B = _group_mean(centred_B.square(), batch.group_B)
    variance_B = mean_square_B * size_B / (size_B - 1).clamp(min=1)
    # Rounding of the mean must not become a signal in a group whose rewards are all equal.
    spread_B = variance_B.sqrt()
    return torch.where(spread_B > EPS, centred_B / (spread_B + EPS), torch.zeros_like(centred_B))
