"""Run prompts once: their keys and values, and the hidden state that predicts each response's first token."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from oneshot.model.policy import Policy
from oneshot.rollout.cache import BufferCache
from oneshot.rollout.prefixes import Prompt, shared

KEPT = 8192
"""Tokens of shared beginnings that are kept from one group of prompts to the next: about as many as a block of 64 rows
holds. One that is needed again later is run again, at the cost of a prompt that shares nothing."""


def prefill(
    policy: Policy, prompts: Sequence[Prompt], begun: Sequence[BufferCache | None] = ()
) -> tuple[BufferCache, Tensor]:
    """Run each prompt once, right-padded. Returns the cache and the hidden state of each prompt's last token.

    `begun`: for each prompt the cache of a beginning that was run already, alone; it is not run again.
    """
    device = policy.device
    starts = [*map(_tokens, begun)] or [0] * len(prompts)
    head, rest = max(starts), [prompt[start:] for prompt, start in zip(prompts, starts, strict=True)]
    width, beginnings = max(map(len, rest)), list[tuple[list[int], BufferCache, list[int]]]()
    ids_PT = torch.zeros(len(prompts), width, dtype=torch.long)
    for i, tokens in enumerate(rest):
        ids_PT[i, : len(tokens)] = torch.tensor(tokens)
    start_P = torch.tensor(starts, device=device)
    cache, different = BufferCache(), {id(own): own for own in begun if own is not None}
    for own in different.values():
        rows = [i for i, other in enumerate(begun) if other is own]
        beginnings.append((rows, own, [0] * len(rows)))
    cache.gather(len(prompts), beginnings)
    out = policy.decoder(
        input_ids=ids_PT.to(device),
        attention_mask=_visible(start_P if min(starts) < head else start_P[:1], head, width),
        position_ids=start_P[:, None] + torch.arange(width, device=device),
        past_key_values=cache,
        use_cache=True,
    )
    cache.advance(width)
    if min(starts) < head:
        cache.close(start_P, head, max(map(len, prompts)))
    last_P = torch.tensor([len(tokens) - 1 for tokens in rest], device=device)
    return cache, out.last_hidden_state[torch.arange(len(prompts), device=device), last_P]


def _tokens(cache: BufferCache | None) -> int:
    return 0 if cache is None else cache.slots.used


def _visible(start_P: Tensor, head: int, width: int) -> Tensor:
    """Which slots each token may attend to: its prompt's beginning, then what comes before it.

    Pads come later than every token, so the causal mask hides them. One start serves all rows: [1 or P, 1, width,
    head + width].
    """
    causal = torch.ones(width, width, dtype=torch.bool, device=start_P.device).tril()[None, None]
    if not head:
        return causal
    before = (torch.arange(head, device=start_P.device) < start_P[:, None])[:, None, None]
    rows = len(start_P)
    return torch.cat([before.expand(rows, 1, width, head), causal.expand(rows, 1, width, width)], -1)


class Prefilled:
    """`prefill` for the prompts of one call: what several of them begin with is run once (`prefixes.shared`).

    The last prompt that came alone is remembered: many samples of one prompt run it once. Without `prompts` nothing is
    shared, as must be where a layer does not attend to everything.
    """

    def __init__(self, policy: Policy, prompts: Iterable[Prompt] = ()) -> None:
        self.policy = policy
        self.tokens = 0
        """Tokens that were run so far, without pads."""
        self._beginnings = shared(prompts)
        self._begun: OrderedDict[Prompt, BufferCache] = OrderedDict()
        self._kept: tuple[Prompt, BufferCache, Tensor] | None = None

    def __call__(self, prompts: Sequence[Prompt]) -> tuple[BufferCache, Tensor]:
        """The cache and last hidden states of these prompts."""
        if len(prompts) > 1:
            return self._run(prompts)
        if self._kept is None or self._kept[0] != prompts[0]:
            self._kept = (prompts[0], *self._run(prompts))
        return self._kept[1:]

    def _run(self, prompts: Sequence[Prompt]) -> tuple[BufferCache, Tensor]:
        """`prefill`; where beginnings are shared, rows of which about as much is left run together.

        Otherwise one prompt without a beginning would make all others run as many tokens, as pads.
        """
        begun: dict[Prompt, BufferCache] = {}  # of these prompts: each is looked up once
        own = [self._beginning(prompt, self._beginnings.get(prompt, ()), begun) for prompt in prompts]
        rest = [len(prompt) - _tokens(cache) for prompt, cache in zip(prompts, own, strict=True)]
        self.tokens += sum(rest)
        if not begun:
            return prefill(self.policy, prompts)
        groups: dict[int, list[int]] = {}
        for i, tokens in enumerate(rest):
            groups.setdefault(tokens.bit_length(), []).append(i)
        cache, parts, hidden = BufferCache(), [], dict[int, Tensor]()
        for rows in groups.values():
            made, hidden_GH = prefill(self.policy, [prompts[i] for i in rows], [own[i] for i in rows])
            parts.append((rows, made, range(len(rows))))
            hidden |= dict(zip(rows, hidden_GH, strict=True))
        cache.gather(len(prompts), parts)
        return cache, torch.stack([hidden[i] for i in range(len(prompts))])

    def _beginning(
        self, prompt: Prompt, lengths: Sequence[int], begun: dict[Prompt, BufferCache]
    ) -> BufferCache | None:
        """The cache of the prompt's longest shared beginning; where it is not kept, run now, from the next one on."""
        if not lengths:
            return None
        tokens = prompt[: lengths[-1]]
        found = begun[tokens] if tokens in begun else self._begun.get(tokens)
        if found is None:
            before = self._beginning(prompt, lengths[:-1], begun)
            self.tokens += len(tokens) - _tokens(before)
            found = prefill(self.policy, [tokens], [before])[0]
            found.trim()
        begun[tokens] = self._begun[tokens] = found  # the last used comes last
        self._begun.move_to_end(tokens)
        while len(self._begun) > 1 and sum(map(len, self._begun)) > KEPT:
            self._begun.popitem(last=False)
        return found
