"""Triton kernels for decoding: one query a row over its cached keys, and one token a row from its logits.

Importing this module needs triton. Has not run on a GPU yet: the kernels ran in Triton's interpreter only.
"""

from __future__ import annotations

import torch
import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]
from torch import Tensor

SLOTS = 64
"""Cached tokens that a program of `_attend` reads at once."""
WORDS = 4096
"""Logits that a program of `_draw` reads at once."""


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _attend(  # type: ignore[no-untyped-def]
    q_ptr,
    k_ptr,
    v_ptr,
    out_ptr,
    length_ptr,
    q_row,
    q_head,
    k_row,
    k_head,
    v_row,
    v_head,
    out_row,
    out_head,
    scale,
    GROUP: tl.constexpr,
    GROUPS: tl.constexpr,
    DIM: tl.constexpr,
    DIMS: tl.constexpr,
    SLOTS: tl.constexpr,
):
    """One row and one key head with the queries that share it, so that every cached token is read once."""
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    length = tl.load(length_ptr + row)
    query, dim = tl.arange(0, GROUPS), tl.arange(0, DIMS)
    at = (head * GROUP + query)[:, None]
    real = (query < GROUP)[:, None] & (dim < DIM)[None, :]
    q = tl.load(q_ptr + row * q_row + at * q_head + dim[None, :], mask=real, other=0.0)
    k_ptr += row * k_row + head * k_head
    v_ptr += row * v_row + head * v_head
    top = tl.full([GROUPS], -1.0e30, tl.float32)
    total = tl.zeros([GROUPS], tl.float32)
    mixed = tl.zeros([GROUPS, DIMS], tl.float32)
    for start in range(0, length, SLOTS):
        slot = start + tl.arange(0, SLOTS)
        there = (slot < length)[:, None] & (dim < DIM)[None, :]
        place = slot[:, None] * DIM + dim[None, :]
        k = tl.load(k_ptr + place, mask=there, other=0.0)
        score = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        score = tl.where((slot < length)[None, :], score, -1.0e30)
        higher = tl.maximum(top, tl.max(score, 1))
        share = tl.exp(score - higher[:, None])
        shrink = tl.exp(top - higher)
        v = tl.load(v_ptr + place, mask=there, other=0.0)
        mixed = mixed * shrink[:, None] + tl.dot(share.to(v.dtype), v, input_precision="ieee")
        total = total * shrink + tl.sum(share, 1)
        top = higher
    mixed = mixed / total[:, None]
    tl.store(out_ptr + row * out_row + at * out_head + dim[None, :], mixed.to(out_ptr.dtype.element_ty), mask=real)


def attend(query: Tensor, keys: Tensor, values: Tensor, length_R: Tensor, scale: float) -> Tensor:
    """Attention of one query a row to the first `length_R` slots of its own row. Has not run on a GPU yet.

    Args:
        query: [R, heads, 1, dim].
        keys: [R, key heads, slots, dim], dense in its last two dimensions, like `values`.
        values: as `keys`.
        length_R: int32, at least 1. What lies behind is never read.
        scale: of the scores.

    Returns:
        [R, 1, heads, dim].
    """
    rows, heads, _, dim = query.shape
    shared = keys.shape[1]
    assert keys.stride()[2:] == values.stride()[2:] == (dim, 1)
    query = query if query.stride(3) == 1 else query.contiguous()
    out = query.new_empty(rows, 1, heads, dim)
    group = heads // shared
    _attend[(rows, shared)](
        query, keys, values, out, length_R,
        query.stride(0), query.stride(1), *keys.stride()[:2], *values.stride()[:2], out.stride(0), out.stride(2), scale,
        GROUP=group, GROUPS=max(16, triton.next_power_of_2(group)), DIM=dim, DIMS=max(16, triton.next_power_of_2(dim)),
        SLOTS=SLOTS, num_warps=4, num_stages=2,
    )  # fmt: skip
    return out


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _draw(  # type: ignore[no-untyped-def]
    z_ptr,
    stride,
    uniform_ptr,
    token_ptr,
    logp_ptr,
    inverse_t,
    V: tl.constexpr,
    WORDS: tl.constexpr,
):
    """One row: the maximum, then Σ e, then the first token whose running sum passes its share of Σ e."""
    row = tl.program_id(0).to(tl.int64)
    z_ptr += row * stride
    top = -1.0e30
    for start in range(0, V, WORDS):
        column = start + tl.arange(0, WORDS)
        top = tl.maximum(top, tl.max(tl.load(z_ptr + column, mask=column < V, other=-1.0e30), 0))
    uniform = tl.load(uniform_ptr + row)
    total = uniform * 0.0  # float64, as `uniform` is
    for start in range(0, V, WORDS):
        column = start + tl.arange(0, WORDS)
        z = tl.load(z_ptr + column, mask=column < V, other=-1.0e30)
        total += tl.sum(tl.exp((z - top) * inverse_t), 0).to(tl.float64)
    goal = uniform * total
    before = uniform * 0.0
    token, last = V, 0
    for start in range(0, V, WORDS):
        column = start + tl.arange(0, WORDS)
        z = tl.load(z_ptr + column, mask=column < V, other=-1.0e30)
        e = tl.exp((z - top) * inverse_t)
        # A running sum's rounding must never let a token through that has no probability, hence e > 0.
        passed = (tl.cumsum(e, 0) > (goal - before).to(tl.float32)) & (e > 0)
        token = tl.minimum(token, tl.min(tl.where(passed, column, V), 0))
        last = tl.maximum(last, tl.max(tl.where(e > 0, column, 0), 0))
        before += tl.sum(e, 0).to(tl.float64)
    token = tl.where(token < V, token, last)  # the sums of both passes round apart when uniform is next to 1
    tl.store(token_ptr + row, token.to(tl.int64))
    logp = (tl.load(z_ptr + token) - top) * inverse_t - tl.log(total.to(tl.float32))
    tl.store(logp_ptr + row, logp)


def draw(logits_RV: Tensor, uniform_R: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """`draw.draw` without filters at a temperature above 0, in three passes over the logits and no copy of them.

    The running sum is float64 from block to block and float32 within one of `WORDS` words, so a uniform number within
    about 1e-7 of a border may fall on the other side of it than in `draw.draw`. Has not run on a GPU yet.
    """
    rows, words = logits_RV.shape
    token_R = torch.empty(rows, dtype=torch.long, device=logits_RV.device)
    logp_R = torch.empty(rows, dtype=torch.float32, device=logits_RV.device)
    _draw[(rows,)](
        logits_RV, logits_RV.stride(0), uniform_R, token_R, logp_R, 1 / temperature,
        V=words, WORDS=WORDS, num_warps=8,
    )  # fmt: skip
    return token_R, logp_R
