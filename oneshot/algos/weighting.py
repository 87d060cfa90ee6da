"""Mask to weights: the loss is a plain sum of weight × token loss, so no split into micro-batches can change it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from oneshot.registry import Registry

Weighting = Callable[[Tensor, int], Tensor]
"""(mask_BT over the whole optimiser step, response limit) -> weight_BT."""

WEIGHTINGS: Registry[Weighting] = Registry("weighting")


def token_mean(mask_BT: Tensor, max_response: int) -> Tensor:
    """1 / all response tokens of the step, zero-advantage rows included."""
    return mask_BT.float() / mask_BT.sum().clamp(min=1)


def sequence_mean(mask_BT: Tensor, max_response: int) -> Tensor:
    """1 / (rows × own length): the mean of per-response means (TRL's `grpo`)."""
    return mask_BT.float() / mask_BT.sum(dim=1, keepdim=True).clamp(min=1) / mask_BT.shape[0]


def fixed_length(mask_BT: Tensor, max_response: int) -> Tensor:
    """1 / (rows × response limit): constant, so long responses are not discounted (Dr. GRPO, arXiv:2503.20783)."""
    return mask_BT.float() / (mask_BT.shape[0] * max_response)


def per_row(mask_BT: Tensor, max_response: int) -> Tensor:
    """1 / rows: the mean over responses of the sum over tokens (RLOO, arXiv:2402.14740)."""
    return mask_BT.float() / mask_BT.shape[0]


for _function in (token_mean, sequence_mean, fixed_length, per_row):
    WEIGHTINGS.register(_function.__name__)(lambda function=_function: function)
