"""The native sampler: prefill each prompt once, fork its cache, refill rows that finish, one random stream a response.

It shares the policy's weights in memory, so there is nothing to synchronise. Random numbers are keyed by (run seed,
step, sample): they depend neither on the block a response is decoded in nor on its neighbours. The logits may, by
rounding: on the CPUs tried, blocks of at least `MIN_ROWS` rows gave bit-equal products, so a block is padded to that
and never compacted below it. On CUDA `fixed` decodes instead; neither has run on a GPU yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from oneshot.model.policy import Policy, attends_to_everything
from oneshot.rollout import attend
from oneshot.rollout.block import Block
from oneshot.rollout.draw import Filters, draw, uniform
from oneshot.rollout.fixed import FixedDecoding, Means, bucket_within
from oneshot.rollout.graphs import cuda_capture
from oneshot.rollout.linear import few_rows, logits
from oneshot.rollout.prefill import Prefilled
from oneshot.rollout.slots import rows_that_fit
from oneshot.types import Completion, Sampling

MIN_ROWS = 16
"""Matrix products with fewer rows take another code path on some CPUs, with other rounding."""
DROP_SHARE = 0.125
"""Finished rows are refilled, or dropped, once they are this share of the block: both cost a copy or a forward."""


ROWS, GPU_ROWS = 64, 1024
"""Rows decoded at once where nobody says how many."""


class NativeEngine:
    """Samples with the policy's own weights. Satisfies the `Engine` protocol.

    Args:
        policy: the model; its weights may change between calls.
        batch: rows decoded at once at most; 0: 64, on CUDA up to 1,024 as memory allows.
        fixed: decode in fixed slots; None: on CUDA, where every layer attends to everything.
    """

    def __init__(self, policy: Policy, *, batch: int = 0, fixed: bool | None = None) -> None:
        self.policy = policy
        on_gpu = policy.device.type == "cuda"
        self.batch = max(batch or (GPU_ROWS if on_gpu else ROWS), MIN_ROWS)
        self.fixed = on_gpu and attends_to_everything(policy) if fixed is None else fixed
        self.decoded_tokens = 0
        self.share = attends_to_everything(policy)
        """Whether what the prompts of a call begin with in common is run once."""
        self.how = ""
        """What decoded the last responses, and why nothing faster did."""
        self.check: Callable[[], None] = lambda: None
        """Called before every token (in fixed slots: every few); may raise to give the responses up."""
        self.finished: Callable[[int, Completion], None] = lambda place, made: None
        """Told each response as it is finished, with its place in the call; the order is that of finishing."""
        self._unrecorded = ""

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
        if self.fixed:
            found = self._in_fixed_slots(prompts, sampling, streams, filters)
        else:
            self.how = "a growing cache"
            decoding = _Decoding(self.policy, self.batch, prompts, sampling, streams, filters, share=self.share)
            found = decoding.run(self.check, self.finished)
        self.decoded_tokens += sum(len(c.tokens) for c in found)
        return found

    def _in_fixed_slots(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        streams: Sequence[tuple[int, int]],
        filters: Filters | None,
    ) -> list[Completion]:
        """`generate` by `fixed`, with whatever kernels and recordings are sound here. Has not run on a GPU yet."""
        policy, rows = self.policy, self.batch
        cuda = policy.device.type == "cuda"
        if cuda:
            slots = max(map(len, prompts)) + sampling.max_new_tokens + 64
            rows = min(rows, bucket_within(rows_that_fit(policy, slots)))
        no_attend, no_draw = attend.why_not(policy)
        means = Means(
            attend=not no_attend,
            draw=not no_draw,
            capture=cuda_capture() if cuda and not self._unrecorded else None,
            refused=self._unrecorded or ("" if cuda else f"the model is on {policy.device.type}"),
            share=self.share,
        )
        decoding = FixedDecoding(policy, rows, prompts, sampling, streams, filters, means)
        found = decoding.run(self.check, self.finished)
        self._unrecorded = decoding.steps.refused
        parts = (
            ("attention", "kernel", no_attend),
            ("draws", "kernel", no_draw if filters is None else "filters"),
            ("steps", "CUDA graphs", decoding.steps.refused),
        )
        told = (f"{what} by {f'torch ({why})' if why else best}" for what, best, why in parts)
        self.how = f"fixed slots, {decoding.most} rows; " + ", ".join(told)
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
        *,
        share: bool,
    ) -> None:
        self.policy, self.sampling, self.streams, self.filters = policy, sampling, streams, filters
        self.prompts = [tuple(p) for p in prompts]
        # Neighbours of similar length need little padding; equal prompts become neighbours.
        self.waiting = deque(sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), self.prompts[i], i)))
        rows = max(min(batch, len(prompts)), MIN_ROWS)
        self.block = Block(rows, sampling.max_new_tokens, policy.device, greedy=sampling.temperature == 0)
        self.eos = torch.tensor(sorted(policy.eos_ids), device=policy.device)
        self.done: dict[int, Completion] = {}
        self._prefilled = Prefilled(policy, self.prompts if share else ())
        self._finished: Callable[[int, Completion], None] = lambda place, made: None

    def run(self, check: Callable[[], None], finished: Callable[[int, Completion], None]) -> list[Completion]:
        """Decode until every request has its response; `check` may raise before any token.

        `finished` is told each response, with its place among the requests.
        """
        block, self._finished = self.block, finished
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
        logits_RV = logits(hidden_RH, self.policy.head).float()[: len(rows)]
        tokens_R, logp_R = draw(logits_RV, block.numbers(rows), self.sampling.temperature, self.filters)
        block.append(rows, tokens_R, logp_R)
        ended_R = torch.isin(tokens_R, self.eos)
        for row, ended in zip(rows, ended_R.tolist(), strict=True):
            if row in block.request and (ended or block.count[row] == self.sampling.max_new_tokens):
                request, tokens, logprobs = block.finish(row)
                self.done[request] = Completion(
                    tokens=tokens, logprobs=logprobs, text=self.policy.decode(tokens), finished=ended
                )
                self._finished(request, self.done[request])

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
