"""Run prompts once: their keys and values, and the hidden state that predicts each response's first token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from oneshot.model.policy import Policy
from oneshot.rollout.cache import BufferCache

Prompt = tuple[int, ...]


def prefill(policy: Policy, prompts: Sequence[Prompt]) -> tuple[BufferCache, Tensor]:
    """Run each prompt once, right-padded. Returns the cache and the hidden state of each prompt's last token."""
    device = policy.device
    width = max(len(p) for p in prompts)
    ids_PT = torch.zeros(len(prompts), width, dtype=torch.long)
    for i, prompt in enumerate(prompts):
        ids_PT[i, : len(prompt)] = torch.tensor(prompt)
    cache = BufferCache()
    out = policy.decoder(
        input_ids=ids_PT.to(device),
        # Pads come later than every token, so the causal mask hides them.
        attention_mask=torch.ones(width, width, dtype=torch.bool, device=device).tril()[None, None],
        position_ids=torch.arange(width, device=device)[None].expand(len(prompts), -1),
        past_key_values=cache,
        use_cache=True,
    )
    cache.advance(width)
    last_P = torch.tensor([len(p) - 1 for p in prompts], device=device)
    return cache, out.last_hidden_state[torch.arange(len(prompts), device=device), last_P]


class Prefilled:
    """`prefill`, remembering the last prompt that came alone: many samples of one prompt run it once."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._kept: tuple[Prompt, BufferCache, Tensor] | None = None

    def __call__(self, prompts: Sequence[Prompt]) -> tuple[BufferCache, Tensor]:
        """The cache and last hidden states of these prompts."""
        if len(prompts) > 1:
            return prefill(self.policy, prompts)
        if self._kept is None or self._kept[0] != prompts[0]:
            self._kept = (prompts[0], *prefill(self.policy, prompts))
        return self._kept[1:]
