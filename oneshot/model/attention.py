"""Attention over a packed prefix tree: the prompt once, then responses that see the prompt and themselves.

Written as one row with a mask, attention takes time and memory with the square of the whole row, most of it for pairs
that may not see each other. Here the prompt attends to itself, and each response to [prompt; itself], as short rows of
about equal length. The sums are the same, so the results agree up to rounding. `install` makes a model able to call
this; without a tree in its keyword arguments its attention stays what it was.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention

from oneshot.types import Tree

NAME = "oneshot_prefix_tree"
"""Under which transformers knows the function."""


def install(model: Any) -> bool:
    """Make a model take `tree=` in its forward; False where its attention cannot be exchanged."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if not installed(model):
        if not getattr(model, "_supports_attention_backend", False) or model.config._attn_implementation != "sdpa":
            return False
        AttentionInterface.register(NAME, _attention)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)
    return installed(model)


def remove(model: Any) -> None:
    """Back to transformers' own attention."""
    if installed(model):
        model.set_attn_implementation("sdpa")


def installed(model: Any) -> bool:
    """Whether the model's forward takes `tree=`."""
    return bool(model.config._attn_implementation == NAME)


def over_tree(query: Tensor, key: Tensor, value: Tensor, tree: Tree, scaling: float | None = None) -> Tensor:
    """Attention of one packed row, [1, L, heads, D], for queries [1, heads, L, D] and keys and values [1, kv, L, D].

    A response's place sees the whole prompt and its own places up to itself. `scaling` is 1/√D where it is None.
    """
    sizes = (tree.prompt, query.shape[2] - tree.prompt)
    # Parted once: the gradient of a part is then a piece of one sum, not a row of zeros around it.
    parted = [x[0].transpose(0, 1).split(sizes) for x in (query, key, value)]
    (q_PhD, _), (k_PhD, _), (v_PhD, _) = parted
    done = [_causal(q_PhD[None], k_PhD[None], v_PhD[None], scaling)[0]]
    for block_RT in tree.blocks:
        q_RThD, k_RThD, v_RThD = (_rows(x_LhD, block_RT, tree) for _, x_LhD in parted)
        k_RShD, v_RShD = (
            torch.cat((x_PhD.expand(len(block_RT), -1, -1, -1), x_RThD), dim=1)
            for x_PhD, x_RThD in ((k_PhD, k_RThD), (v_PhD, v_RThD))
        )
        done.append(_causal(q_RThD, k_RShD, v_RShD, scaling).flatten(0, 1))
    out_LhD = torch.cat(done)
    return (out_LhD if tree.order_L is None else out_LhD.index_select(0, tree.order_L))[None]


def _rows(x_LhD: Tensor, block_RT: Tensor, tree: Tree) -> Tensor:
    """The block's places, [R, T, heads, D], of what follows the prompt: a view where they are all of it, in order."""
    if tree.order_L is not None or len(tree.blocks) > 1:
        x_LhD = x_LhD.index_select(0, block_RT.flatten() - tree.prompt)
    return x_LhD.view(*block_RT.shape, *x_LhD.shape[1:])


def _causal(q_RThD: Tensor, k_RShD: Tensor, v_RShD: Tensor, scaling: float | None) -> Tensor:
    """Causal attention of the last T of S places, [R, T, heads, D]."""
    q, k, v = (x.transpose(1, 2) for x in (q_RThD, k_RShD, v_RShD))
    new, seen = q.shape[2], k.shape[2]
    mask_TS: Tensor | None = None
    if new != seen and q.is_cuda:
        # Not a mask but the name of one, which flash attention knows. Has not run on a GPU yet.
        mask_TS = causal_lower_right(new, seen)
    elif new != seen:
        mask_TS = torch.ones(new, seen, dtype=torch.bool, device=q.device).tril(seen - new)
    shared = q.shape[1] != k.shape[1]
    out = scaled_dot_product_attention(
        q, k, v, attn_mask=mask_TS, is_causal=mask_TS is None, scale=scaling, enable_gqa=shared
    )
    return out.transpose(1, 2)


def _attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """What transformers calls: ours where a tree is given, its own otherwise."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    tree: Tree | None = kwargs.pop("tree", None)
    if tree is None:
        plain: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        return plain
    return over_tree(query, key, value, tree, kwargs.get("scaling")), None
