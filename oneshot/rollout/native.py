"""The native sampler: prefill each prompt once, fork its cache, drop finished rows, one random stream a response.

It shares the policy's weights in memory, so there is nothing to synchronise. Random numbers are keyed by (run seed,
step, sample): they depend neither on the batch a response is decoded in nor on its neighbours. The logits may, by
rounding: on the CPUs tried, blocks of at least `MIN_ROWS` rows gave bit-equal results, so a block is padded to that
and never compacted below it. On CUDA this code has not run yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from oneshot.model.policy import Policy
from oneshot.rollout.cache import BufferCache, causal
from oneshot.types import Completion, Sampling

MIN_ROWS = 16
"""Matrix products with fewer rows take another code path on some CPUs, with other rounding."""
DROP_SHARE = 0.125
"""Finished rows are dropped once they are this share of the block: dropping copies the cache."""


@dataclass
class _Row:
    """One response being decoded."""

    request: int
    uniform: np.ndarray
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finished: bool = False


class NativeEngine:
    """Samples with the policy's own weights. Satisfies the `Engine` protocol."""

    def __init__(self, policy: Policy, *, batch: int = 64) -> None:
        self.policy = policy
        self.batch = max(batch, MIN_ROWS)
        self.decoded_tokens = 0

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, streams: Sequence[tuple[int, int]]
    ) -> list[Completion]:
        """One response a prompt, in the order given; equal prompts of a block are prefilled once.

        Args:
            prompts: token ids.
            sampling: temperature 0 is greedy; the seed keys the streams.
            streams: (step, sample) of each response.
        """
        assert len(prompts) == len(streams)
        # Neighbours of similar length need little padding; equal prompts become neighbours.
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), tuple(prompts[i]), i))
        done: dict[int, Completion] = {}
        for start in range(0, len(order), self.batch):
            block = order[start : start + self.batch]
            rows = [_Row(i, _uniform(sampling, *streams[i])) for i in block]
            self._decode([prompts[i] for i in block], rows, sampling)
            for row in rows:
                done[row.request] = Completion(
                    tokens=tuple(row.tokens),
                    logprobs=tuple(row.logprobs),
                    text=self.policy.decode(row.tokens),
                    finished=row.finished,
                )
                self.decoded_tokens += len(row.tokens)
        return [done[i] for i in range(len(prompts))]

    def _decode(self, prompts: list[Sequence[int]], rows: list[_Row], sampling: Sampling) -> None:
        """Decode one block; fills `rows`."""
        policy, device = self.policy, self.policy.device
        cache = BufferCache()
        keep_RT, hidden_RH = self._prefill(prompts, cache)
        active: list[_Row | None] = [*rows, *[None] * (MIN_ROWS - len(rows))]  # None: a row kept only for its shape
        for _ in range(sampling.max_new_tokens):
            logits_RV = (hidden_RH @ policy.head.T).float()
            tokens_R, logp_R = _draw(logits_RV, active, sampling.temperature)
            for i, row in enumerate(active):
                if row is not None:
                    row.tokens.append(tokens_R[i])
                    row.logprobs += [logp_R[i]] if logp_R else []
                    row.finished = tokens_R[i] in policy.eos_ids
                    if row.finished or len(row.tokens) == sampling.max_new_tokens:
                        active[i] = None
            alive = [i for i, row in enumerate(active) if row is not None]
            if not alive:
                return
            if len(active) > MIN_ROWS and len(active) - len(alive) >= DROP_SHARE * len(active):
                filler = [i for i, row in enumerate(active) if row is None]
                index = sorted(alive + filler[: max(0, MIN_ROWS - len(alive))])
                cache.take(torch.tensor(index, device=device))
                active = [active[i] for i in index]
                tokens_R, keep_RT = [tokens_R[i] for i in index], keep_RT[index]
            hidden_RH, keep_RT = self._step(tokens_R, keep_RT, cache)

    def _prefill(self, prompts: list[Sequence[int]], cache: BufferCache) -> tuple[Tensor, Tensor]:
        """Run each different prompt once, then fork. Returns keep_RT (False on padding) and the last hidden state."""
        device = self.policy.device
        unique = list(dict.fromkeys(tuple(p) for p in prompts))
        fork = [unique.index(tuple(p)) for p in prompts]
        fork += [0] * (MIN_ROWS - len(prompts))
        width = max(len(p) for p in unique)
        ids_PT = torch.zeros(len(unique), width, dtype=torch.long)
        keep_PT = torch.zeros(len(unique), width, dtype=torch.bool)
        for i, prompt in enumerate(unique):
            ids_PT[i, width - len(prompt) :] = torch.tensor(prompt)
            keep_PT[i, width - len(prompt) :] = True
        positions_PT = (keep_PT.long().cumsum(1) - 1).clamp(min=0)
        out = self.policy.decoder(
            input_ids=ids_PT.to(device),
            attention_mask=causal(keep_PT).to(device),
            position_ids=positions_PT.to(device),
            past_key_values=cache,
            use_cache=True,
        )
        index = torch.tensor(fork, device=device)
        cache.take(index)
        return keep_PT.to(device)[index], out.last_hidden_state[:, -1][index]

    def _step(self, tokens_R: list[int], keep_RT: Tensor, cache: BufferCache) -> tuple[Tensor, Tensor]:
        """One token further: hidden states [R, H] and the lengthened keep mask."""
        device = self.policy.device
        positions_R1 = keep_RT.sum(1, keepdim=True)
        keep_RT = torch.cat([keep_RT, torch.ones_like(keep_RT[:, :1])], dim=1)
        out = self.policy.decoder(
            input_ids=torch.tensor(tokens_R, device=device)[:, None],
            # A mask only where there is padding: without one, attention takes a faster kernel.
            attention_mask=None if bool(keep_RT.all()) else keep_RT[:, None, None, :],
            position_ids=positions_R1,
            past_key_values=cache,
            use_cache=True,
        )
        return out.last_hidden_state[:, -1], keep_RT


def _uniform(sampling: Sampling, step: int, sample: int) -> np.ndarray:
    """One uniform number a token, from the stream of (run seed, step, sample)."""
    if sampling.temperature == 0:
        return np.empty(0)
    sequence = np.random.SeedSequence([sampling.seed, step, sample])
    return np.random.Generator(np.random.Philox(sequence)).random(sampling.max_new_tokens)


def _draw(logits_RV: Tensor, active: list[_Row | None], temperature: float) -> tuple[list[int], list[float]]:
    """Next token of each row and, unless greedy, its log p at the temperature: inverse CDF of one uniform number."""
    if temperature == 0:
        return logits_RV.argmax(dim=-1).tolist(), []
    logp_RV = torch.log_softmax(logits_RV / temperature, dim=-1)
    cdf_RV = logp_RV.double().exp().cumsum(dim=-1)
    uniform = [0.5 if row is None else float(row.uniform[len(row.tokens)]) for row in active]
    u_R1 = torch.tensor(uniform, dtype=torch.float64, device=logits_RV.device)[:, None]
    # Scaled by the last entry, because float rounding leaves the CDF a little off 1.
    tokens_R1 = torch.searchsorted(cdf_RV, u_R1 * cdf_RV[:, -1:], right=True).clamp(max=logits_RV.shape[1] - 1)
    return tokens_R1[:, 0].tolist(), logp_RV.gather(1, tokens_R1)[:, 0].tolist()
