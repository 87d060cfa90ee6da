"""Log-probability and differentiable entropy without keeping the logits.

Over N tokens and V words the logits are the memory peak of training. Here they exist for one chunk of tokens at a
time, forward and again in backward, in one buffer that is worked on in place, a few rows at once so that they stay in
the processor's cache. Sums are accumulated in float32, or in float64 where the model is float64.

On CUDA Triton kernels do the same (`fused_head`), once they have been compared with the code here (`fast_head`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor

from oneshot.model import kernels
from oneshot.model.products import by_onednn, onednn
from oneshot.model.wide import product

Head = Callable[..., tuple[Tensor, Tensor, Tensor]]
"""(hidden_NH, weight_VH, target_N, temperature) to log p, entropy, entropy at temperature 1, each [N]."""
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
            del logits_NV, z_RV  # before the next chunk's are made
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
                d_weight_VH += product(d_logits_NV.T, hidden_NH[part])
            del z_NV, z_RV, d_logits_NV
        return d_hidden_NH, None if d_weight_VH is None else d_weight_VH.to(weight_VH.dtype), None, None


def _wide(hidden_NH: Tensor) -> torch.dtype:
    return torch.promote_types(hidden_NH.dtype, torch.float32)


def _at(values_N: Tensor | None, rows: slice) -> Tensor | None:
    return None if values_N is None else values_N[rows]


def _buffer(hidden_NH: Tensor, weight_VH: Tensor) -> Tensor:
    """Room for one chunk's logits, in the dtype of sums; none where the product brings its own."""
    if onednn(hidden_NH):
        return hidden_NH.new_empty(0)
    return hidden_NH.new_empty(min(CHUNK, len(hidden_NH)), len(weight_VH), dtype=_wide(hidden_NH))


def _logits(hidden_NH: Tensor, weight_VH: Tensor, buffer_CV: Tensor) -> Tensor:
    """The logits of one chunk in the dtype of sums, in the buffer or beside it."""
    if onednn(hidden_NH):
        return by_onednn(hidden_NH, weight_VH)
    logits_NV = buffer_CV[: len(hidden_NH)]
    if hidden_NH.dtype == buffer_CV.dtype:
        return torch.mm(hidden_NH, weight_VH.T, out=logits_NV)
    if hidden_NH.is_cuda:
        return product(hidden_NH, weight_VH.T)
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
    head: Head = chunked
    if hidden_NH.is_cuda and not why_not_fused(hidden_NH.device, hidden_NH.dtype, len(weight_VH)):
        head = _fused()
    return head(hidden_NH, weight_VH, target_N, temperature)


def chunked(
    hidden_NH: Tensor, weight_VH: Tensor, target_N: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`logprob_and_entropy` by torch alone, on any device."""
    return cast(Head, _LogProb.apply)(hidden_NH, weight_VH, target_N, temperature)


def fast_head(device: torch.device | str, dtype: torch.dtype = torch.bfloat16, words: int = 151_936) -> str:
    """Which code `logprob_and_entropy` runs there, and why: `triton kernels`, or `torch chunks: <the reason>`."""
    reason = why_not_fused(torch.device(device), dtype, words)
    return f"torch chunks: {reason}" if reason else "triton kernels"


@lru_cache(maxsize=16)
def why_not_fused(device: torch.device, dtype: torch.dtype, words: int) -> str:
    """Why the kernels are not used; empty where they are. They are compared with `chunked` once, on made-up states.

    Has not run on a GPU yet.
    """
    if device.type != "cuda":
        return f"the model is on {device.type}"
    if dtype not in _TOLERANCE:
        return f"there is no kernel for {dtype}"
    return kernels.refusal(lambda: _worst(device, dtype, words), _TOLERANCE[dtype])


_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 3e-2, torch.float16: 1e-2}
"""Of ‖kernels − chunks‖ / ‖chunks‖, values and gradients alike; what a wrong kernel gives is far larger."""


def _fused() -> Head:
    from oneshot.model.fused_head import FusedLogProb

    return cast(Head, FusedLogProb.apply)


def _worst(device: torch.device, dtype: torch.dtype, words: int) -> float:
    """The largest relative distance between both codes over 32 tokens, with hidden size 64; no global random state."""
    draw = torch.Generator(device).manual_seed(0)
    hidden_NH = torch.randn(32, 64, generator=draw, device=device).to(dtype)
    weight_VH = (torch.randn(words, 64, generator=draw, device=device) / 4).to(dtype)
    target_N = torch.randint(words, (32,), generator=draw, device=device)
    slope_N = torch.randn(32, generator=draw, device=device)

    def results(head: Head) -> list[Tensor]:
        with torch.inference_mode(False), torch.enable_grad():
            leaves = [hidden_NH.clone().requires_grad_(), weight_VH.clone().requires_grad_()]
            values = head(*leaves, target_N.clone(), 0.6)
            loss = (slope_N.clone() * values[0]).sum() + (slope_N.clone().square() * values[1]).sum()
            return [t.detach().float() for t in (*values, *torch.autograd.grad(loss, leaves))]

    pairs = zip(results(_fused()), results(chunked), strict=True)
    # torch's maximum, because Python's may pass over a NaN.
    return float(torch.stack([(a - b).norm() / b.norm() for a, b in pairs]).max())
