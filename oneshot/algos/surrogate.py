"""Per-token policy losses, [B, T] in and out. `logp` carries the gradient; everything else is constant.

A surrogate is a value, so that two algorithms can be compared; `mask` says which tokens a response has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from oneshot.errors import UsageError

Surrogate = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(logp_BT, old_logp_BT, advantage_BT, mask_BT) -> loss_BT."""

LOG_RATIO_LIMIT = 20.0
"""|log ρ| is cut here, where its gradient ends too: e^20 times anything is no signal, and inf × 0 is none at all."""


def ratio_of(logp_BT: Tensor, old_logp_BT: Tensor) -> Tensor:
    """ρ = π / π_old per token."""
    return (logp_BT - old_logp_BT).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()


def reinforce(logp_BT: Tensor, old_logp_BT: Tensor, advantage_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """−A·log p (Williams 1992): no ratio, so a second update on the same batch is not corrected for."""
    return -advantage_BT * logp_BT


@dataclass(frozen=True)
class Limited:
    """What the surrogates with limits on ρ share; `low` and `high` are distances from 1, never negative.

    Raises:
        UsageError: E103 for a negative limit.
    """

    low: float
    high: float
    options: ClassVar[tuple[str, ...]] = ("clip_low", "clip_high")
    """The limits as an algorithm's options call them; none can act where ρ is 1."""

    def __post_init__(self) -> None:
        for name, value in (("clip_low", self.low), ("clip_high", self.high)):
            if not value >= 0:
                raise UsageError(f"{name} = {value:g} must be at least 0: it is a distance from ρ = 1.", code="E103")

    def ratio(self, logp_BT: Tensor, old_logp_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """The ρ that is limited, on each token."""
        return ratio_of(logp_BT, old_logp_BT)

    def sides(self, logp_BT: Tensor, old_logp_BT: Tensor, advantage_BT: Tensor, mask_BT: Tensor) -> list[Tensor]:
        """[below the lower limit, above the upper limit], bool [B, T]: where the limit acts, as TRL counts it."""
        ratio_BT = self.ratio(logp_BT, old_logp_BT, mask_BT)
        low_BT = (ratio_BT < 1 - self.low) & (advantage_BT < 0)
        return [low_BT & mask_BT, (ratio_BT > 1 + self.high) & (advantage_BT > 0) & mask_BT]

    def pessimistic(self, ratio_BT: Tensor, advantage_BT: Tensor) -> Tensor:
        """−min(ρA, clip(ρ)A)."""
        kept_BT = ratio_BT.clamp(1 - self.low, 1 + self.high)
        return -torch.minimum(ratio_BT * advantage_BT, kept_BT * advantage_BT)


@dataclass(frozen=True)
class clipped(Limited):
    """PPO's surrogate (arXiv:1707.06347): −min(ρA, clip(ρ, 1−low, 1+high)A). At ρ = 1 it is REINFORCE."""

    def __call__(self, logp_BT: Tensor, old_logp_BT: Tensor, advantage_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """The loss of each token."""
        return self.pessimistic(self.ratio(logp_BT, old_logp_BT, mask_BT), advantage_BT)


@dataclass(frozen=True)
class per_sequence(clipped):
    """GSPO (arXiv:2507.18071): ρ is exp(mean log ratio) of the whole response, on each of its tokens.

    Straight through: the value is the response's ρ, the gradient of token t is ρ·∇log p_t. With weights that are equal
    inside a response the sum is the gradient of the response's clipped ρA; with advantages per token it is GSPO-token.
    """

    def ratio(self, logp_BT: Tensor, old_logp_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """exp(mean log ratio) of the response."""
        total_B1, length_B1 = _log_ratio_and_length(logp_BT, old_logp_BT, mask_BT)
        return _straight_through(total_B1 / length_B1, logp_BT)


@dataclass(frozen=True)
class sequence_ratio(Limited):
    """RLOO (arXiv:2402.14740): ρ is the product over the whole response, clipped as TRL clips it.

    The losses of a response's tokens add up to −min(ρA, clip(ρ)A), so `per_row` is the weighting that goes with it.
    Gradients are straight through, as in `per_sequence`.
    """

    def ratio(self, logp_BT: Tensor, old_logp_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """exp(sum of log ratios) of the response."""
        return _straight_through(_log_ratio_and_length(logp_BT, old_logp_BT, mask_BT)[0], logp_BT)

    def __call__(self, logp_BT: Tensor, old_logp_BT: Tensor, advantage_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """The response's loss divided among its tokens."""
        loss_BT = self.pessimistic(self.ratio(logp_BT, old_logp_BT, mask_BT), advantage_BT)
        length_B1 = _log_ratio_and_length(logp_BT, old_logp_BT, mask_BT)[1]
        return loss_BT - loss_BT.detach() * (1 - 1 / length_B1)


@dataclass(frozen=True)
class cispo(Limited):
    """CISPO (arXiv:2506.13585): −sg(min(ρ, 1+high))·A·log p. The limit shrinks a gradient, it removes none.

    `high` is a distance from 1; TRL's `epsilon_high` is 1 + ours. There is no lower limit.
    """

    low: float = float("inf")
    high: float = 4.0
    options: ClassVar[tuple[str, ...]] = ("clip_high",)

    def __call__(self, logp_BT: Tensor, old_logp_BT: Tensor, advantage_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """The loss of each token."""
        weight_BT = self.ratio(logp_BT, old_logp_BT, mask_BT).detach().clamp(max=1 + self.high)
        return -weight_BT * advantage_BT * logp_BT


def importance(learner_logp_BT: Tensor, sampler_logp_BT: Tensor, cap: float) -> Tensor:
    """Truncated importance weight sg(min(π_learner / π_sampler, cap)) per token, for samplers with other numerics."""
    return ratio_of(learner_logp_BT, sampler_logp_BT).detach().clamp(max=cap)


def _log_ratio_and_length(logp_BT: Tensor, old_logp_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of log ratios and number of tokens of each response, [B, 1] each."""
    total_B1 = torch.where(mask_BT, logp_BT - old_logp_BT, 0.0).sum(dim=1, keepdim=True)
    return total_B1, mask_BT.sum(dim=1, keepdim=True).clamp(min=1).to(total_B1.dtype)


def _straight_through(log_ratio_B1: Tensor, logp_BT: Tensor) -> Tensor:
    """e^log_ratio as a value on every token, with the gradient ρ·∇log p_t."""
    ratio_B1 = log_ratio_B1.detach().clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    return ratio_B1 * (logp_BT - logp_BT.detach()).exp()
