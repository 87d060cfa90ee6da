"""Log-probability and entropy on CUDA: cuBLAS products, and one Triton kernel a pass over each chunk's logits.

The same numbers as `logprobs`, to rounding. Forward, a program owns one row and reads its logits once: the running
maximum, Σ e, Σ e z and, beside them, the same at temperature 1. Backward, the chunk's logits are computed again and one
kernel turns them into the gradient of the logits, rounded once to the model's dtype for the two products. Importing
this module needs triton; it is imported only where `logprobs.fast_head` wants it. Has not run on a GPU yet: the kernels
ran in Triton's interpreter only.
"""

from __future__ import annotations

from typing import Any

import torch
import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]
from torch import Tensor

from oneshot.model.wide import product

CHUNK_BYTES = 1 << 30
"""Of float32 logits that exist at once. Fewer, larger chunks read the output matrix less often."""
BLOCK = 4096
"""Logits of a row that a program works on at once."""
WARPS = 8


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _values(  # type: ignore[no-untyped-def]
    z_ptr,
    stride,
    target_ptr,
    logp_ptr,
    lse_ptr,
    entropy_ptr,
    entropy1_ptr,
    inverse_t,
    V: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One row: log p of its target, log Σ exp, and the entropy at T and at 1, in one pass over its logits."""
    row = tl.program_id(0).to(tl.int64)
    z_ptr += row * stride
    # Finite, here and behind the row's end, so that 0 times a difference is 0 and not a NaN.
    top = -1.0e30
    sum_t, dot_t, sum_1, dot_1 = 0.0, 0.0, 0.0, 0.0
    for start in range(0, V, BLOCK):
        column = start + tl.arange(0, BLOCK)
        z = tl.load(z_ptr + column, mask=column < V, other=-1.0e30)
        higher = tl.maximum(top, tl.max(z, 0))
        fall = top - higher
        shifted = z - higher
        shrink_t, shrink_1 = tl.exp(fall * inverse_t), tl.exp(fall)
        e_t, e_1 = tl.exp(shifted * inverse_t), tl.exp(shifted)
        # Σ e (z − top) moves with its reference: (z − higher) = (z − top) + (top − higher).
        dot_t = shrink_t * (dot_t + fall * sum_t) + tl.sum(e_t * shifted, 0)
        dot_1 = shrink_1 * (dot_1 + fall * sum_1) + tl.sum(e_1 * shifted, 0)
        sum_t = shrink_t * sum_t + tl.sum(e_t, 0)
        sum_1 = shrink_1 * sum_1 + tl.sum(e_1, 0)
        top = higher
    log_t = tl.log(sum_t)
    lse = top * inverse_t + log_t
    target = tl.load(target_ptr + row)
    tl.store(lse_ptr + row, lse)
    tl.store(logp_ptr + row, tl.load(z_ptr + target) * inverse_t - lse)
    tl.store(entropy_ptr + row, log_t - inverse_t * dot_t / sum_t)
    tl.store(entropy1_ptr + row, tl.log(sum_1) - dot_1 / sum_1)


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _slopes(  # type: ignore[no-untyped-def]
    z_ptr,
    stride,
    out_ptr,
    out_stride,
    target_ptr,
    lse_ptr,
    entropy_ptr,
    d_logp_ptr,
    d_entropy_ptr,
    inverse_t,
    V: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One block of one row: logits to their gradient; `out` may be the logits themselves."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < V
    logp = tl.load(z_ptr + row * stride + column, mask=inside, other=0.0) * inverse_t - tl.load(lse_ptr + row)
    d_logp = tl.load(d_logp_ptr + row)
    d_z = -tl.exp(logp) * (d_logp + tl.load(d_entropy_ptr + row) * (logp + tl.load(entropy_ptr + row)))
    d_z += tl.where(column == tl.load(target_ptr + row), d_logp, 0.0)
    tl.store(out_ptr + row * out_stride + column, d_z.to(out_ptr.dtype.element_ty), mask=inside)


class FusedLogProb(torch.autograd.Function):
    """`logprob_and_entropy` with the kernels above. Has not run on a GPU yet."""

    @staticmethod
    def forward(
        ctx: Any, hidden_NH: Tensor, weight_VH: Tensor, target_N: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log p of each target and the entropy at `temperature`, and the entropy at temperature 1 (no gradient)."""
        words = len(weight_VH)
        target_N = target_N.contiguous()
        logp_N = torch.empty(len(target_N), dtype=torch.float32, device=hidden_NH.device)
        lse_N, entropy_N, entropy1_N = (torch.empty_like(logp_N) for _ in range(3))
        for part in chunks(len(target_N), words):
            z_CV = product(hidden_NH[part], weight_VH.T)
            out = (logp_N[part], lse_N[part], entropy_N[part], entropy1_N[part])
            _values[(len(z_CV),)](
                z_CV, z_CV.stride(0), target_N[part], *out, 1 / temperature, V=words, BLOCK=BLOCK, num_warps=WARPS
            )
            del z_CV  # before the next chunk's are made
        ctx.save_for_backward(hidden_NH, weight_VH, target_N, lse_N, entropy_N)
        ctx.temperature = temperature
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(entropy1_N)
        return logp_N, entropy_N, entropy1_N

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, Tensor | None, None, None]:
        """D logp/dz = onehot − p and dH/dz = −p (log p + H), with z the tempered logits."""
        hidden_NH, weight_VH, target_N, lse_N, entropy_N = ctx.saved_tensors
        if grads[0] is None and grads[1] is None:
            return None, None, None, None
        zeros_N = torch.zeros_like(lse_N)
        # The chain rule's 1/T goes into the N incoming slopes instead of the N x V outgoing ones.
        d_logp_N, d_entropy_N = (zeros_N if g is None else (g / ctx.temperature).contiguous() for g in grads[:2])
        words = len(weight_VH)
        d_hidden_NH = torch.empty_like(hidden_NH) if ctx.needs_input_grad[0] else None
        d_weight_VH = torch.zeros_like(weight_VH, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        for part in chunks(len(target_N), words):
            z_CV = product(hidden_NH[part], weight_VH.T)
            d_CV = z_CV if z_CV.dtype == hidden_NH.dtype else torch.empty_like(z_CV, dtype=hidden_NH.dtype)
            rows = (target_N[part], lse_N[part], entropy_N[part], d_logp_N[part], d_entropy_N[part])
            _slopes[(len(z_CV), triton.cdiv(words, BLOCK))](
                z_CV, z_CV.stride(0), d_CV, d_CV.stride(0), *rows, 1 / ctx.temperature,
                V=words, BLOCK=BLOCK, num_warps=WARPS,
            )  # fmt: skip
            del z_CV
            if d_hidden_NH is not None:
                d_hidden_NH[part] = d_CV @ weight_VH
            if d_weight_VH is not None:
                d_weight_VH += product(d_CV.T, hidden_NH[part])  # summed over the chunks in float32
            del d_CV
        return d_hidden_NH, None if d_weight_VH is None else d_weight_VH.to(weight_VH.dtype), None, None


def chunks(count: int, words: int) -> list[slice]:
    """Even parts of `count` rows whose float32 logits stay under `CHUNK_BYTES` (or single rows)."""
    most = max(1, CHUNK_BYTES // (4 * words))
    parts = -(-count // most)
    size = -(-count // max(parts, 1))
    return [slice(start, min(start + size, count)) for start in range(0, count, max(size, 1))]
