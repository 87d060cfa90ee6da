"""Attention of the fixed-slot sampler: one query a row, over that row's own slots, with key heads shared by queries.

transformers hands the 4-D mask through to the attention function as it is, so the mask is either a bool mask over the
slots, [R, 1, 1, slots], or the number of slots of each row, int32 [R, 1, 1, 1], which the Triton kernel takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from oneshot.model import kernels
from oneshot.model.policy import Policy
from oneshot.rollout.draw import draw

NAME = "oneshot_fixed_slots"
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 2e-2, torch.float16: 1e-2}
"""Of ‖kernel − torch‖ / ‖torch‖ of the attention's result."""
FLIPS = 0.02
"""Of 64 tokens drawn, one may differ by a near tie; log-probs may differ by as much."""


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in every layer; query [R, heads, 1, dim], key and value [R, key heads, slots, dim]."""
    for name in ("softcap", "s_aux", "position_bias", "sliding_window"):
        if options.get(name) is not None:
            raise NotImplementedError(f"attention with {name} has no fixed slots")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if attention_mask.dtype == torch.bool:
        return plain(query, key, value, attention_mask, scale), None
    from oneshot.rollout.kernels import attend

    return attend(query, key, value, attention_mask.view(-1), scale), None


def plain(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
    """By torch: the queries that share a key head take the place of a sequence of queries, so no key is repeated."""
    rows, heads, _, dim = query.shape
    grouped = query.reshape(rows, key.shape[1], heads // key.shape[1], dim)
    out = scaled_dot_product_attention(grouped, key, value, attn_mask=mask, scale=scale)
    return out.reshape(rows, 1, heads, dim)


AttentionInterface.register(NAME, attention)


@contextmanager
def fixed_slots(decoder: nn.Module) -> Iterator[None]:
    """Inside, the decoder attends by `attention`."""
    config: Any = decoder.config
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def why_not(policy: Policy) -> tuple[str, str]:
    """Why the attention kernel and the drawing kernel are not used for this model; empty where they are."""
    config: Any = policy.decoder.config
    heads = int(config.num_attention_heads)
    shared = int(getattr(config, "num_key_value_heads", None) or heads)
    dim = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    device, words = policy.device, len(policy.head)
    return why_not_attend(device, policy.head.dtype, heads, shared, dim), why_not_draw(device, words)


@lru_cache(maxsize=16)
def why_not_attend(device: torch.device, dtype: torch.dtype, heads: int, shared: int, dim: int) -> str:
    """Why the attention kernel is not used; empty where it is. Compared with `plain` once. Has not run on a GPU yet."""
    if device.type != "cuda":
        return f"the model is on {device.type}"
    if dtype not in TOLERANCE:
        return f"there is no kernel for {dtype}"
    return kernels.refusal(lambda: attention_apart(device, dtype, heads, shared, dim), TOLERANCE[dtype])


@lru_cache(maxsize=16)
def why_not_draw(device: torch.device, words: int) -> str:
    """Why the drawing kernel is not used; empty where it is. Compared with `draw` once. Has not run on a GPU yet."""
    if device.type != "cuda":
        return f"the model is on {device.type}"
    return kernels.refusal(lambda: draws_apart(device, words), FLIPS)


def attention_apart(device: torch.device, dtype: torch.dtype, heads: int, shared: int, dim: int) -> float:
    """‖kernel − torch‖ / ‖torch‖ on made-up states of 5 rows of 1 to 200 slots; no global random state."""
    from oneshot.rollout.kernels import attend

    maker = torch.Generator(device).manual_seed(0)
    shapes = ((5, heads, 1, dim), (5, shared, 256, dim), (5, shared, 256, dim))
    query, key, value = (torch.randn(shape, generator=maker, device=device).to(dtype) for shape in shapes)
    length_R = torch.tensor([1, 64, 65, 130, 200], dtype=torch.int32, device=device)
    mask = (torch.arange(256, device=device) < length_R[:, None])[:, None, None]
    expected = plain(query, key, value, mask, dim**-0.5).float()
    found = attend(query, key, value, length_R, dim**-0.5).float()
    return float((found - expected).norm() / expected.norm())


def draws_apart(device: torch.device, words: int, temperature: float = 0.6) -> float:
    """The share of 64 tokens that kernel and torch draw differently, or how far apart the others' log-probs are."""
    from oneshot.rollout.kernels import draw as kernel

    maker = torch.Generator(device).manual_seed(0)
    logits_RV = 2 * torch.randn(64, words, generator=maker, device=device)
    uniform_R = torch.rand(64, generator=maker, device=device, dtype=torch.float64)
    expected, expected_logp = draw(logits_RV, uniform_R, temperature)
    found, found_logp = kernel(logits_RV, uniform_R, temperature)
    assert expected_logp is not None
    same = expected == found
    gap_R = torch.where(same, (found_logp - expected_logp).abs(), 0.0)
    return float(torch.maximum(gap_R.max(), (~same).float().mean()))  # torch's maximum keeps a NaN
