"""From logits to tokens: temperature, filters, and one uniform number a token by inverse CDF."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oneshot.types import Sampling


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Top-k, top-p and min-p, for evaluation and chat. They apply in this order, each to what the former left.

    They are no part of `Sampling`: with them the learner's log p would not be that of the distribution drawn from, so
    training has no way to ask for them.
    """

    top_k: int = 0
    """Keep the k likeliest tokens (and those as likely as the last of them); 0: all."""
    top_p: float = 1.0
    """Keep the likeliest tokens until their probabilities reach this sum; 1: all."""
    min_p: float = 0.0
    """Drop tokens less likely than this share of the likeliest one's probability; 0: none."""

    def apply(self, logits_RV: Tensor) -> Tensor:
        """The (tempered) logits with −inf for every token that is dropped; the likeliest one always stays."""
        if 0 < self.top_k < logits_RV.shape[1]:
            least_R1 = logits_RV.topk(self.top_k, dim=-1).values[:, -1:]
            logits_RV = logits_RV.masked_fill(logits_RV < least_R1, -torch.inf)
        if self.top_p < 1:
            sorted_RV, order_RV = logits_RV.softmax(-1).sort(dim=-1, descending=True, stable=True)
            before_RV = sorted_RV.double().cumsum(-1) - sorted_RV
            dropped_RV = before_RV >= self.top_p
            dropped_RV[:, 0] = False
            logits_RV = logits_RV.masked_fill(dropped_RV.scatter(1, order_RV, dropped_RV), -torch.inf)
        if self.min_p > 0:
            p_RV = logits_RV.softmax(-1)
            logits_RV = logits_RV.masked_fill(p_RV < self.min_p * p_RV.amax(-1, keepdim=True), -torch.inf)
        return logits_RV


def uniform(sampling: Sampling, step: int, sample: int) -> np.ndarray:
    """One number in [0, 1) a token, from the stream of (run seed, step, sample)."""
    sequence = np.random.SeedSequence([sampling.seed, step, sample])
    return np.random.Generator(np.random.Philox(sequence)).random(sampling.max_new_tokens)


def draw(
    logits_RV: Tensor, uniform_R: Tensor | None, temperature: float, filters: Filters | None = None
) -> tuple[Tensor, Tensor | None]:
    """The next token of each row, and its log p under what it was drawn from; greedy (no log p) at temperature 0.

    Args:
        logits_RV: float32.
        uniform_R: float64, one number a row; not read when greedy.
        temperature: 0 is greedy, whatever the filters say: they never drop the likeliest token.
        filters: what to drop first.
    """
    if temperature == 0:
        return logits_RV.argmax(dim=-1), None
    assert uniform_R is not None
    tempered_RV = logits_RV if temperature == 1 else logits_RV / temperature
    logp_RV = torch.log_softmax(filters.apply(tempered_RV) if filters else tempered_RV, dim=-1)
    cdf_RV = logp_RV.double().exp_()
    torch.cumsum(cdf_RV, dim=-1, out=cdf_RV)  # in place: on a CPU fresh pages cost as much as the sum
    # Scaled by the last entry, because float rounding leaves the CDF a little off 1.
    tokens_R1 = torch.searchsorted(cdf_RV, uniform_R[:, None] * cdf_RV[:, -1:], right=True)
    tokens_R1 = tokens_R1.clamp(max=logits_RV.shape[1] - 1)
    return tokens_R1[:, 0], logp_RV.gather(1, tokens_R1)[:, 0]
