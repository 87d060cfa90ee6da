"""A toy policy: one table of logits per place, in float64, with eight responses of one to four tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from oneshot.algos.algorithm import Algorithm, Terms, policy_loss, weights
from oneshot.types import TokenBatch

ROWS, PLACES, WORDS, LIMIT = 8, 4, 6, 5
LENGTHS = (3, 1, 4, 2, 1, 2, 3, 4)
GENERATOR = torch.Generator().manual_seed(1)
MASK = torch.arange(PLACES)[None] < torch.tensor(LENGTHS)[:, None]
TARGET = torch.randint(WORDS, (ROWS, PLACES), generator=GENERATOR)
START = torch.randn(ROWS, PLACES, WORDS, generator=GENERATOR, dtype=torch.float64)
NOISE = torch.randn(ROWS, PLACES, generator=GENERATOR, dtype=torch.float64) * 0.1


def log_probs(logits_BTV: Tensor) -> Tensor:
    """Log p of the sampled tokens, [B, T]."""
    return logits_BTV.log_softmax(-1).gather(-1, TARGET[..., None])[..., 0]


def batch(
    rewards: Sequence[float] = (1, 0, 0, 0, 0, 0, 0, 0), groups: Sequence[int] = (0,) * ROWS, mask_BT: Tensor = MASK
) -> TokenBatch:
    """The responses as sampled at START; old, reference and sampler lie near it, and differ."""
    start_BT = log_probs(START)
    return TokenBatch(
        micro=(),
        mask_BT=mask_BT,
        rewards_B=torch.tensor(rewards, dtype=torch.float64),
        group_B=torch.tensor(groups),
        sampler_logp_BT=start_BT + 2 * NOISE.flip(0),
        max_response=LIMIT,
        old_logp_BT=start_BT + NOISE,
        reference_logp_BT=start_BT + 3 * NOISE.flip(1),
        values_BT=NOISE.flip(0, 1),
        problem_B=torch.zeros(ROWS, dtype=torch.long),
    )


def on_policy(scored: TokenBatch) -> TokenBatch:
    """The batch as it is with one update: old log-probs were not scored."""
    return replace(scored, old_logp_BT=None)


def terms_of(algorithm: Algorithm, scored: TokenBatch, logits_BTV: Tensor, rows: Sequence[int] = range(ROWS)) -> Terms:
    """What the learner hands to the loss for some rows."""
    advantages = algorithm.credit(scored)
    advantage_BT = advantages[:, None].expand(scored.shape) if advantages.dim() == 1 else advantages
    policy_weight_BT, token_weight_BT = weights(algorithm, scored)
    logp_BTV = logits_BTV.log_softmax(-1)
    taken = list(rows)
    return Terms(
        logp_BT=log_probs(logits_BTV)[taken],
        entropy_BT=-(logp_BTV.exp() * logp_BTV).sum(-1)[taken],
        mask_BT=scored.mask_BT[taken],
        policy_weight_BT=policy_weight_BT.double()[taken],
        token_weight_BT=token_weight_BT.double()[taken],
        advantage_BT=advantage_BT[taken],
        old_logp_BT=None if scored.old_logp_BT is None else scored.old_logp_BT[taken],
        reference_logp_BT=None if scored.reference_logp_BT is None else scored.reference_logp_BT[taken],
        sampler_logp_BT=scored.sampler_logp_BT[taken],
    )


def loss_of(algorithm: Algorithm, scored: TokenBatch, logits_BTV: Tensor) -> Tensor:
    """The loss of the whole step."""
    return policy_loss(algorithm, terms_of(algorithm, scored, logits_BTV))[0]


def gradient_of(algorithm: Algorithm, scored: TokenBatch, logits_BTV: Tensor = START) -> Tensor:
    """Its gradient in the logits."""
    leaf = logits_BTV.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(algorithm, scored, leaf), leaf)
    return gradient
