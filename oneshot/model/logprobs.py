"""Log-probability and differentiable entropy without keeping the logits.

Over N tokens and V words the logits are the memory peak of training. Here they exist for one chunk of tokens at a
time, forward and again in backward, in one buffer that is worked on in place, a few rows at once so that they stay in
the processor's cache. Sums are accumulated in float32, or in float64 where the model is float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

CHUNK = 256
"""Tokens whose logits exist at once (256 x 49,152 float32: 48 MiB)."""
CACHED = 1 << 20
"""Logits of a chunk that are worked on at once on a CPU (4 MiB in float32)."""


class _LogProb(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_NH: Tensor, weight_VH: Tensor, target_N: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log p of each target and the entropy at `temperature`, and the entropy at temperature 1 (no gradient)."""
        logp_N = torch.empty(len(target_N), dtype=_wide(hidden_NH), device=hidden_NH.device)
        lse_N, entropy_N, entropy1_N = (torch.empty_like(logp_N) for _ in range(3))
        buffer_CV = _buffer(hidden_NH, weight_VH)
        for part in _chunks(len(target_N), CHUNK):
            logits_NV = _logits(hidden_NH[part], weight_VH, buffer_CV)
            for few in _chunks(len(logits_NV), _rows(logits_NV)):
                rows = slice(part.start + few.start, part.start + few.stop)
                z_RV = logits_NV[few]
                if temperature != 1.0:
                    entropy1_N[rows] = _lse_and_entropy(z_RV)[1]
                    z_RV /= temperature
                target_R = z_RV.gather(1, target_N[rows, None])[:, 0]
                lse_N[rows], entropy_N[rows] = _lse_and_entropy(z_RV)
                logp_N[rows] = target_R - lse_N[rows]
        if temperature == 1.0:
            entropy1_N.copy_(entropy_N)
        ctx.save_for_backward(hidden_NH, weight_VH, target_N, lse_N, entropy_N)
        ctx.temperature = temperature
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(entropy1_N)
        return logp_N, entropy_N, entropy1_N

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, Tensor | None, None, None]:
        """D logp/dz = onehot − p and dH/dz = −p (log p + H), with z the tempered logits."""
        hidden_NH, weight_VH, target_N, lse_N, entropy_N = ctx.saved_tensors
        # The chain rule's 1/T goes into the N incoming slopes instead of the N x V outgoing ones.
        d_logp_N, d_entropy_N = (None if g is None else g / ctx.temperature for g in grads[:2])
        if d_logp_N is None and d_entropy_N is None:
            return None, None, None, None
        d_hidden_NH = torch.empty_like(hidden_NH) if ctx.needs_input_grad[0] else None
        d_weight_VH = None
        if ctx.needs_input_grad[1]:
            d_weight_VH = torch.zeros_like(weight_VH, dtype=_wide(hidden_NH))
        buffer_CV = _buffer(hidden_NH, weight_VH)
        for part in _chunks(len(target_N), CHUNK):
            z_NV = _logits(hidden_NH[part], weight_VH, buffer_CV)
            for few in _chunks(len(z_NV), _rows(z_NV)):
                rows = slice(part.start + few.start, part.start + few.stop)
                z_RV = z_NV[few]
                if ctx.temperature != 1.0:
                    z_RV /= ctx.temperature
                z_RV -= lse_N[rows, None]
                _slopes(z_RV, target_N[rows], _at(d_logp_N, rows), _at(d_entropy_N, rows), entropy_N[rows])
            d_logits_NV = z_NV.to(hidden_NH.dtype)
            if d_hidden_NH is not None:
                d_hidden_NH[part] = d_logits_NV @ weight_VH
            if d_weight_VH is not None and d_weight_VH.dtype == d_logits_NV.dtype:
                d_weight_VH.addmm_(d_logits_NV.T, hidden_NH[part])  # no second matrix of the head's size
            elif d_weight_VH is not None:
                d_weight_VH += d_logits_NV.T @ hidden_NH[part]
        return d_hidden_NH, None if d_weight_VH is None else d_weight_VH.to(weight_VH.dtype), None, None


def _wide(hidden_NH: Tensor) -> torch.dtype:
    return torch.promote_types(hidden_NH.dtype, torch.float32)


def _at(values_N: Tensor | None, rows: slice) -> Tensor | None:
    return None if values_N is None else values_N[rows]


def _buffer(hidden_NH: Tensor, weight_VH: Tensor) -> Tensor:
    """Room for one chunk's logits, in the dtype of sums."""
    return hidden_NH.new_empty(min(CHUNK, len(hidden_NH)), len(weight_VH), dtype=_wide(hidden_NH))


def _logits(hidden_NH: Tensor, weight_VH: Tensor, buffer_CV: Tensor) -> Tensor:
    """The logits of one chunk, written into the buffer."""
    logits_NV = buffer_CV[: len(hidden_NH)]
    if hidden_NH.dtype == buffer_CV.dtype:
        return torch.mm(hidden_NH, weight_VH.T, out=logits_NV)
    return logits_NV.copy_(hidden_NH @ weight_VH.T)


def _lse_and_entropy(z_RV: Tensor) -> tuple[Tensor, Tensor]:
    """Log Σ exp z and the entropy of softmax z, each [R]: H = lse − Σ p z, with z shifted so that its maximum is 0."""
    top_R1 = z_RV.amax(-1, keepdim=True)
    shifted_RV = z_RV - top_R1
    e_RV = shifted_RV.exp()
    sum_R = e_RV.sum(-1)
    log_R = sum_R.log()
    return top_R1[:, 0] + log_R, log_R - e_RV.mul_(shifted_RV).sum(-1) / sum_R


def _slopes(
    logp_RV: Tensor, target_R: Tensor, d_logp_R: Tensor | None, d_entropy_R: Tensor | None, entropy_R: Tensor
) -> None:
    """Turn log p into the gradient of the logits, in place. At least one of the two incoming slopes is there."""
    p_RV = logp_RV.exp()
    if d_entropy_R is None:
        assert d_logp_R is not None
        torch.mul(p_RV, -d_logp_R[:, None], out=logp_RV)
    else:
        logp_RV.add_(entropy_R[:, None]).mul_(-d_entropy_R[:, None])
        if d_logp_R is not None:
            logp_RV.sub_(d_logp_R[:, None])
        logp_RV.mul_(p_RV)
    if d_logp_R is not None:
        logp_RV.scatter_add_(1, target_R[:, None], d_logp_R[:, None])


def _rows(logits_NV: Tensor) -> int:
    """Rows to work on at once: on a CPU few enough to stay in its cache, elsewhere all."""
    return max(1, CACHED // logits_NV.shape[1]) if logits_NV.device.type == "cpu" else max(1, len(logits_NV))


def _chunks(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


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
