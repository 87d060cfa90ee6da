"""What autograd keeps of a decoder, which the forecast of activations is held against."""

from __future__ import annotations

import torch
from transformers import LlamaConfig

from oneshot.model.shapes import Shapes


def llama_config(shapes: Shapes) -> LlamaConfig:
    return LlamaConfig(
        hidden_size=shapes.hidden,
        num_hidden_layers=shapes.layers,
        num_attention_heads=shapes.heads,
        num_key_value_heads=shapes.kv_heads,
        head_dim=shapes.head_dim,
        intermediate_size=shapes.mlp,
        vocab_size=shapes.vocab,
        attn_implementation="sdpa",
    )


def kept_by_autograd(decoder: torch.nn.Module, tokens: int) -> int:
    """Bytes a decoder keeps for its backward pass over one packed row."""
    parameters = {p.untyped_storage().data_ptr() for p in decoder.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    mask = torch.ones(tokens, tokens, dtype=torch.bool).tril()[None, None]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        # The result is held, so that no storage is freed and its address counted for another one.
        output = decoder(input_ids=torch.zeros(1, tokens, dtype=torch.long), attention_mask=mask, use_cache=False)
    assert output.last_hidden_state.requires_grad
    return sum(kept.values())
