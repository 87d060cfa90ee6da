"""Log-probability and differentiable entropy without keeping the logits.

Over N tokens and V words the logits are the memory peak of training. Here they exist for one chunk of tokens at a
time, forward and again in backward; sums are accumulated in float32, or in float64 where the model is float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

CHUNK = 256
"""Tokens whose logits exist at once (256 x 49,152 float32: 48 MiB)."""


class _LogProb(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_NH: Tensor, weight_VH: Tensor, target_N: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log p of each target and the entropy at `temperature`, and the entropy at temperature 1 (no gradient)."""
        ctx.save_for_backward(hidden_NH, weight_VH, target_N)
        ctx.temperature = temperature
        wide = _wide(hidden_NH)
        logp_N = torch.empty(len(target_N), dtype=wide, device=hidden_NH.device)
        entropy_N, entropy1_N = torch.empty_like(logp_N), torch.empty_like(logp_N)
        for part in _chunks(len(target_N)):
            logits_NV = (hidden_NH[part] @ weight_VH.T).to(wide)
            if temperature != 1.0:
                entropy1_N[part] = _entropy(logits_NV.log_softmax(-1))
                logits_NV = logits_NV / temperature
            logp_NV = logits_NV.log_softmax(-1)
            logp_N[part] = logp_NV.gather(1, target_N[part, None])[:, 0]
            entropy_N[part] = _entropy(logp_NV)
        if temperature == 1.0:
            entropy1_N.copy_(entropy_N)
        ctx.mark_non_differentiable(entropy1_N)
        return logp_N, entropy_N, entropy1_N

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """D logp/dz = onehot − p and dH/dz = −p (log p + H), with z the tempered logits."""
        hidden_NH, weight_VH, target_N = ctx.saved_tensors
        d_logp_N, d_entropy_N = grads[0], grads[1]
        d_hidden_NH = torch.empty_like(hidden_NH)
        wide = _wide(hidden_NH)
        d_weight_VH = torch.zeros_like(weight_VH, dtype=wide)
        for part in _chunks(len(target_N)):
            logits_NV = (hidden_NH[part] @ weight_VH.T).to(wide) / ctx.temperature
            logp_NV = logits_NV.log_softmax(-1)
            p_NV = logp_NV.exp()
            entropy_N1 = -(p_NV * logp_NV).sum(-1, keepdim=True)
            slope_NV = logp_NV.add_(entropy_N1).mul_(d_entropy_N[part, None]).add_(d_logp_N[part, None])
            d_logits_NV = slope_NV.mul_(p_NV).neg_()
            d_logits_NV.scatter_add_(1, target_N[part, None], d_logp_N[part, None])
            d_logits_NV = (d_logits_NV / ctx.temperature).to(hidden_NH.dtype)
            d_hidden_NH[part] = d_logits_NV @ weight_VH
            d_weight_VH += d_logits_NV.T @ hidden_NH[part]
        return d_hidden_NH, d_weight_VH.to(weight_VH.dtype), None, None


def _wide(hidden_NH: Tensor) -> torch.dtype:
    return torch.promote_types(hidden_NH.dtype, torch.float32)


def _entropy(logp_NV: Tensor) -> Tensor:
    return -(logp_NV.exp() * logp_NV).sum(-1)


def _chunks(count: int) -> list[slice]:
    return [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]


def logprob_and_entropy(
    hidden_NH: Tensor, weight_VH: Tensor, target_N: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Log p of the targets and the full-vocabulary entropy, both [N] and differentiable, at `temperature`.

    Args:
        hidden_NH: the hidden states that predict each token.
        weight_VH: the output matrix.
        target_N: long, the tokens.
        temperature: of sampling; log p, entropy and KL all use it, as in the paper's code.

    Returns:
        logp_N, entropy_N in nats, and entropy at temperature 1 (detached); float32, or float64 for a float64 model.
    """
    assert temperature > 0
    apply = cast(Callable[..., tuple[Tensor, Tensor, Tensor]], _LogProb.apply)
    return apply(hidden_NH, weight_VH, target_N, temperature)
