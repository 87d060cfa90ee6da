"""Decoding for GPUs: fixed slots, a step that never waits for the host, and one look in several steps at who has ended.

Lengths, counts and who is alive are tensors, so a step is the same kernels on the same memory every time and can be
recorded (`graphs`). A row that has ended stands still: it is decoded along, but what it draws goes into a column that
nobody reads. Rows come in buckets, because every other number of rows is another recording. Random numbers are keyed
by (run seed, step, sample), as on a CPU. On CUDA this code has not run yet; on a CPU its tests run it with plain calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from oneshot.model.policy import Policy
from oneshot.model.wide import product
from oneshot.rollout.attend import fixed_slots
from oneshot.rollout.draw import Filters, draw, uniform
from oneshot.rollout.graphs import Capture, Steps
from oneshot.rollout.prefill import Prefilled
from oneshot.rollout.slots import FixedCache, Place
from oneshot.types import Completion, Sampling

READ_EVERY = 8
"""Steps between two looks at which rows have ended: each look waits for the GPU."""
REFILL_SHARE = 0.125
"""Ended rows are refilled once they are this share of all: a refill is a forward of its own."""
LEAST_ROWS = 16
PREFILL_TOKENS = 1 << 16
"""Prompt tokens, pads included, that are run at once."""


@dataclass(frozen=True, kw_only=True)
class Means:
    """What a decode step is made of."""

    attend: bool = False
    """The attention kernel, which reads every row up to its own length; else torch, with a mask over a window."""
    draw: bool = False
    """The drawing kernel; else torch. Not used with filters."""
    capture: Capture | None = None
    """How steps are recorded; None: not."""
    refused: str = ""
    """Why steps are not recorded though they could be."""
    share: bool = True
    """What prompts begin with in common is run once."""


def bucket(rows: int) -> int:
    """The number of rows that a step is made for: 16, 32, 64, 128, then multiples of 128."""
    return max(LEAST_ROWS, 1 << (rows - 1).bit_length()) if rows <= 128 else -(-rows // 128) * 128


def bucket_within(rows: int) -> int:
    """The largest number of rows that a step is made for and that is at most `rows`, but never under the least."""
    return max(LEAST_ROWS, rows // 128 * 128 if rows >= 128 else 1 << max(rows, 1).bit_length() - 1)


class FixedDecoding:
    """One call of `generate`."""

    def __init__(
        self,
        policy: Policy,
        rows: int,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        streams: Sequence[tuple[int, int]],
        filters: Filters | None,
        means: Means,
    ) -> None:
        self.policy, self.sampling, self.streams, self.filters, self.means = policy, sampling, streams, filters, means
        self.prompts = [tuple(p) for p in prompts]
        self.waiting = deque(sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), self.prompts[i], i)))
        self.rows = self.most = bucket(len(prompts)) if rows >= len(prompts) else bucket_within(rows)
        self.limit, device = sampling.max_new_tokens, policy.device
        # One slot beyond the last token: a row that stands still writes there.
        self.slots = -(-(max(map(len, self.prompts)) + self.limit) // 64) * 64
        self.index_R = torch.arange(self.rows, device=device)
        self.slot_S = torch.arange(self.slots, device=device)
        self.last_R, self.length_R, self.count_R = (torch.zeros_like(self.index_R) for _ in range(3))
        self.alive_R = torch.zeros(self.rows, dtype=torch.bool, device=device)
        # Rows that stand still put their tokens into the column behind the limit. A tensor, because `where` would copy
        # a Python number to the device, and wait, which a recording cannot.
        self.nowhere = torch.tensor(self.limit, device=device)
        self.tokens_RT = torch.zeros(self.rows, self.limit + 1, dtype=torch.long, device=device)
        wide = 0 if self.greedy else self.limit
        self.logp_RT = torch.zeros(self.rows, wide + 1, device=device)
        self.uniform_RT = torch.full((self.rows, wide), 0.5, dtype=torch.float64, device=device)
        self.eos = torch.tensor(sorted(policy.eos_ids), device=device)
        self.place = Place(rows_R=self.index_R, slot_R=self.length_R, window=self.slots)
        self.cache: FixedCache | None = None
        self.prefilled = Prefilled(policy, self.prompts if means.share else ())
        changed = (self.last_R, self.length_R, self.count_R, self.alive_R, self.tokens_RT, self.logp_RT)
        self.steps = Steps(self._step, changed, means.capture, means.refused)
        self.request: dict[int, int] = {}
        self.longest: dict[int, int] = {}
        """Row to an upper bound of its length, and to one of its count in `drawn`: known without asking the device."""
        self.drawn: dict[int, int] = {}
        self.done: dict[int, Completion] = {}
        self._finished: Callable[[int, Completion], None] = lambda place, made: None

    @property
    def greedy(self) -> bool:
        """The likeliest token every time."""
        return self.sampling.temperature == 0

    def run(
        self, check: Callable[[], None], finished: Callable[[int, Completion], None] = lambda place, made: None
    ) -> list[Completion]:
        """Decode until every request has its response; `check` may raise between two looks at the rows.

        `finished` is told each response at the look that finds it, with its place among the requests.
        """
        self._finished = finished
        while self.waiting or self.request:
            check()
            free = self.rows - len(self.request)
            if self.waiting and (not self.request or free >= max(1, REFILL_SHARE * self.rows)):
                self._admit()
            else:
                self._shrink()
                count = min(READ_EVERY, max(self.limit - n for n in self.drawn.values()))
                window = self._window(max(self.longest.values()) + count)
                for _ in range(count):
                    self.steps(self.rows, window)
                self.longest = {row: n + count for row, n in self.longest.items()}
            self._look()
        return [self.done[i] for i in range(len(self.prompts))]

    def _window(self, needed: int) -> int:
        """Slots shown to attention: all where the kernel stops at each row's length, else few sizes that double."""
        return self.slots if self.means.attend else min(self.slots, 128 << max(0, (needed - 1) // 128).bit_length())

    def _admit(self) -> None:
        """Put waiting requests into free rows and draw their first tokens."""
        free = [row for row in range(self.rows) if row not in self.request]
        requests: list[int] = []
        places: dict[tuple[int, ...], int] = {}
        while self.waiting and len(requests) < len(free):
            prompt = self.prompts[self.waiting[0]]  # the longest so far, since they are sorted
            if requests and prompt not in places and (len(places) + 1) * len(prompt) > PREFILL_TOKENS:
                break
            places.setdefault(prompt, len(places))
            requests.append(self.waiting.popleft())
        rows, device = free[: len(requests)], self.policy.device
        cache, hidden_PH = self.prefilled(list(places))
        of_R = torch.tensor([places[self.prompts[i]] for i in requests], device=device)
        lengths = [len(self.prompts[i]) for i in requests]
        rows_R = torch.tensor(rows, device=device)
        if self.cache is None:
            self.cache = FixedCache(cache, self.rows, self.slots, self.place)
        self.cache.put(rows_R, cache, of_R)
        self.length_R[rows_R] = torch.tensor(lengths, device=device)
        self.count_R[rows_R], self.alive_R[rows_R] = 0, True
        if not self.greedy:
            numbers = [torch.from_numpy(uniform(self.sampling, *self.streams[i])) for i in requests]
            self.uniform_RT[rows_R] = torch.stack(numbers).to(device)
        self.request.update(zip(rows, requests, strict=True))
        self.longest.update(zip(rows, lengths, strict=True))
        self._draw(rows_R, hidden_PH[of_R])

    def _step(self, rows: int, window: int) -> None:
        """One token further for the first `rows` rows. Asks the device nothing."""
        length_R, last_R1 = self.length_R[:rows], self.last_R[:rows, None]
        self.place.rows_R, self.place.slot_R, self.place.window = self.index_R[:rows], length_R, window
        if self.means.attend:
            mask = (length_R + 1).int()[:, None, None, None]
        else:
            mask = (self.slot_S[:window] <= length_R[:, None])[:, None, None]
        with fixed_slots(self.policy.decoder):
            out = self.policy.decoder(
                input_ids=last_R1,
                attention_mask=mask,
                position_ids=length_R[:, None],
                past_key_values=self.cache,
                use_cache=True,
            )
        length_R += self.alive_R[:rows]
        self._draw(self.index_R[:rows], out.last_hidden_state[:, -1])

    def _draw(self, rows_R: Tensor, hidden_RH: Tensor) -> None:
        """The next token of each of these rows that is alive. Asks the device nothing."""
        logits_RV = product(hidden_RH, self.policy.head.T).float()
        alive_R, count_R = self.alive_R[rows_R], self.count_R[rows_R]
        tokens_R, logp_R = self._pick(logits_RV, rows_R, count_R)
        column_R = torch.where(alive_R, count_R, self.nowhere)
        self.tokens_RT[rows_R, column_R] = tokens_R
        if logp_R is not None:
            self.logp_RT[rows_R, column_R] = logp_R
        count_R = count_R + alive_R
        ended_R = (tokens_R[:, None] == self.eos).any(1) | (count_R >= self.limit)
        self.last_R[rows_R], self.count_R[rows_R] = tokens_R, count_R
        self.alive_R[rows_R] = alive_R & ~ended_R

    def _pick(self, logits_RV: Tensor, rows_R: Tensor, count_R: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.greedy:
            return logits_RV.argmax(-1), None
        uniform_R = self.uniform_RT[rows_R, count_R.clamp(max=self.limit - 1)]
        if self.means.draw and self.filters is None:
            from oneshot.rollout.kernels import draw as kernel

            return kernel(logits_RV, uniform_R, self.sampling.temperature)
        return draw(logits_RV, uniform_R, self.sampling.temperature, self.filters)

    def _look(self) -> None:
        """Ask the device who has ended, and take their responses; waits for it."""
        alive, count = torch.stack([self.alive_R[: self.rows].long(), self.count_R[: self.rows]]).tolist()
        self.drawn = {row: count[row] for row in self.request}
        ended = [row for row in self.request if not alive[row]]
        if not ended:
            return
        rows_R, width = torch.tensor(ended, device=self.policy.device), max(count[row] for row in ended)
        tokens, logprobs = (t[rows_R, :width].tolist() for t in (self.tokens_RT, self.logp_RT))
        for i, row in enumerate(ended):
            ids = tuple(tokens[i][: count[row]])
            place = self.request.pop(row)
            self.done[place] = Completion(
                tokens=ids,
                logprobs=() if self.greedy else tuple(logprobs[i][: count[row]]),
                text=self.policy.decode(ids),
                finished=ids[-1] in self.policy.eos_ids,
            )
            self._finished(place, self.done[place])
            del self.longest[row], self.drawn[row]

    def _shrink(self) -> None:
        """Where half of the rows or fewer are in use, go on with fewer; rows beyond them move into free ones."""
        fewer = bucket(len(self.request))
        if self.waiting or 2 * fewer > self.rows:
            return
        out_of = [row for row in self.request if row >= fewer]
        into = [row for row in range(fewer) if row not in self.request][: len(out_of)]
        if out_of:
            assert self.cache is not None
            into_R, out_of_R = (torch.tensor(rows, device=self.policy.device) for rows in (into, out_of))
            self.cache.move(into_R, out_of_R, max(self.longest.values()))
            for held in (*self.steps.state, self.uniform_RT):
                held[into_R] = held[out_of_R]
        for new, old in zip(into, out_of, strict=True):
            for table in (self.request, self.longest, self.drawn):
                table[new] = table.pop(old)
        self.rows = fewer
