"""The native sampler: prefill each prompt once, fork its cache, refill rows that finish, one random stream a response.

It shares the policy's weights in memory, so there is nothing to synchronise. Random numbers are keyed by (run seed,
step, sample): they depend neither on the block a response is decoded in nor on its neighbours. The logits may, by
rounding: on the CPUs tried, blocks of at least `MIN_ROWS` rows gave bit-equal products, so a block is padded to that
and never compacted below it. On CUDA this code has not run yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from oneshot.model.policy import Policy
from oneshot.rollout.block import Block
from oneshot.rollout.cache import BufferCache
from oneshot.rollout.draw import Filters, draw, uniform
from oneshot.rollout.linear import few_rows, product
from oneshot.types import Completion, Sampling

MIN_ROWS = 16
"""Matrix products with fewer rows take another code path on some CPUs, with other rounding."""
DROP_SHARE = 0.125
"""Finished rows are refilled, or dropped, once they are this share of the block: both cost a copy or a forward."""


class NativeEngine:
    """Samples with the policy's own weights. Satisfies the `Engine` protocol."""

    def __init__(self, policy: Policy, *, batch: int = 64) -> None:
        self.policy = policy
        self.batch = max(batch, MIN_ROWS)
        self.decoded_tokens = 0
        self.check: Callable[[], None] = lambda: None
        """Called before every token; may raise to give the responses up."""

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        streams: Sequence[tuple[int, int]],
        *,
        filters: Filters | None = None,
    ) -> list[Completion]:
        """One response a prompt, in the order given; equal prompts that start together are prefilled once.

        Args:
            prompts: token ids.
            sampling: temperature 0 is greedy; the seed keys the streams.
            streams: (step, sample) of each response.
            filters: top-k, top-p, min-p; evaluation and chat only.
        """
        assert len(prompts) == len(streams)
        if not prompts:
            return []
        decoding = _Decoding(self.policy, self.batch, prompts, sampling, streams, filters)
        found = decoding.run(self.check)
        self.decoded_tokens += sum(len(c.tokens) for c in found)
        return found


class _Decoding:
    """One call of `generate`."""

    def __init__(
        self,
        policy: Policy,
        batch: int,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        streams: Sequence[tuple[int, int]],
        filters: Filters | None,
    ) -> None:
        self.policy, self.sampling, self.streams, self.filters = policy, sampling, streams, filters
        self.prompts = [tuple(p) for p in prompts]
        # Neighbours of similar length need little padding; equal prompts become neighbours.
        self.waiting = deque(sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), self.prompts[i], i)))
        rows = max(min(batch, len(prompts)), MIN_ROWS)
        self.block = Block(rows, sampling.max_new_tokens, policy.device, greedy=sampling.temperature == 0)
        self.eos = torch.tensor(sorted(policy.eos_ids), device=policy.device)
        self.done: dict[int, Completion] = {}
        self.kept: tuple[tuple[int, ...], BufferCache, Tensor] | None = None

    def run(self, check: Callable[[], None]) -> list[Completion]:
        """Decode until every request has its response; `check` may raise before any token."""
        block = self.block
        while self.waiting or block.busy:
            check()
            free = len(block.free)
            many = free >= max(1, DROP_SHARE * block.rows)
            if self.waiting and (many or not block.busy):
                self._admit()
                continue
            if many and block.rows > MIN_ROWS:
                block.shrink(MIN_ROWS)
            self._step()
        return [self.done[i] for i in range(len(self.prompts))]

    def _admit(self) -> None:
        """Put waiting requests into free rows and draw their first tokens."""
        block, rows = self.block, self.block.free
        device = self.policy.device
        requests = [self.waiting.popleft() for _ in range(min(len(rows), len(self.waiting)))]
        # A block that starts with fewer requests than rows fills up with copies of the first.
        shown = requests + requests[:1] * (len(rows) - len(requests)) if block.empty else requests
        rows = rows[: len(shown)]
        prompts = [self.prompts[i] for i in shown]
        place = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
        cache, hidden_PH = self._prefilled(list(place))
        of = torch.tensor([place[p] for p in prompts], device=device)
        block.admit(rows, cache, of, [len(p) for p in prompts])
        for row, request in zip(rows, requests, strict=False):
            numbers = None if block.greedy else uniform(self.sampling, *self.streams[request])
            block.assign(row, request, numbers)
        # Padded to the rows that round alike, as every product of the decoder is.
        padded = torch.cat([of, of[:1].expand(max(0, MIN_ROWS - len(of)))])
        self._draw(rows, hidden_PH[padded])

    def _draw(self, rows: Sequence[int], hidden_RH: Tensor) -> None:
        """The next token of these rows from hidden states (of which there may be more than rows), then who is done."""
        block = self.block
        logits_RV = product(hidden_RH, self.policy.head).float()[: len(rows)]
        tokens_R, logp_R = draw(logits_RV, block.numbers(rows), self.sampling.temperature, self.filters)
        block.append(rows, tokens_R, logp_R)
        ended_R = torch.isin(tokens_R, self.eos)
        for row, ended in zip(rows, ended_R.tolist(), strict=True):
            if row in block.request and (ended or block.count[row] == self.sampling.max_new_tokens):
                request, tokens, logprobs = block.finish(row)
                self.done[request] = Completion(
                    tokens=tokens, logprobs=logprobs, text=self.policy.decode(tokens), finished=ended
                )

    def _prefilled(self, prompts: list[tuple[int, ...]]) -> tuple[BufferCache, Tensor]:
        """`_prefill`, remembering the last prompt that came alone: many samples of one prompt run it once."""
        if len(prompts) > 1:
            return self._prefill(prompts)
        if self.kept is None or self.kept[0] != prompts[0]:
            self.kept = (prompts[0], *self._prefill(prompts))
        return self.kept[1:]

    def _prefill(self, prompts: list[tuple[int, ...]]) -> tuple[BufferCache, Tensor]:
        """Run each prompt once, right-padded. Returns the cache and the hidden state of each prompt's last token."""
        device = self.policy.device
        width = max(len(p) for p in prompts)
        ids_PT = torch.zeros(len(prompts), width, dtype=torch.long)
        for i, prompt in enumerate(prompts):
            ids_PT[i, : len(prompt)] = torch.tensor(prompt)
        cache = BufferCache()
        out = self.policy.decoder(
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

    def _step(self) -> None:
        """One token further for every row."""
        block = self.block
        position_R, mask = block.places()
        with few_rows(self.policy.decoder):
            out = self.policy.decoder(
                input_ids=block.last_R[:, None],
                attention_mask=mask,
                position_ids=position_R[:, None],
                past_key_values=block.cache,
                use_cache=True,
            )
        block.advance()
        self._draw(range(block.rows), out.last_hidden_state[:, -1])
