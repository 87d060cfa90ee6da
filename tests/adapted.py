"""Small policies with an adapter, and what they say: for tests of LoRA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from oneshot.model import adapters
from oneshot.model.policy import Policy, load

IDS = torch.tensor([[5, 17, 40, 41, 90, 7, 33, 8, 120, 4]])


def loaded(folder: Path, **options: Any) -> Policy:
    return load(str(folder), home=folder, offline=True, **options)


def tiny_qwen2(folder: Path) -> Path:
    """The same folder with a Qwen2, whose projections have biases and whose output matrix is its own."""
    config = Qwen2Config(
        vocab_size=260, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=False, initializer_range=0.2,
    )  # fmt: skip
    torch.manual_seed(3)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def moved(policy: Policy, *, by: float = 0.05) -> Policy:
    """The policy with B no longer 0, as after some training."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in adapters.tensors(policy.model).values():
            weight += by * torch.randn(weight.shape, generator=generator)
    return policy


@torch.no_grad()
def logits(policy: Policy) -> Tensor:
    found: Tensor = policy.model(input_ids=IDS.to(policy.device)).logits.cpu()
    return found
