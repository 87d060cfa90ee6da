"""Rewards to advantages. Each credit: TokenBatch -> [B] (or [B, T]); groups are given by `group_B`.

Credits with settings are values, so that two algorithms can be compared. `needs` says what must be scored before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneshot.algos.penalty import k1
from oneshot.errors import UsageError
from oneshot.types import TokenBatch

Credit = Callable[[TokenBatch], Tensor]

EPS = 1e-6
"""Added to the group's standard deviation, as in the paper's code."""


def needs_of(credit: Credit) -> frozenset[str]:
    """What a credit must have scored: of `reference` and `values`."""
    found: frozenset[str] = getattr(credit, "needs", frozenset())
    return found


def _group_mean(values_B: Tensor, group_B: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and size of each response's own group, both [B].

    Summed in float64, where equal float32 values have exactly their own mean and the order makes no difference.
    """
    _, index_B = torch.unique(group_B, return_inverse=True)
    size_P = torch.bincount(index_B).double()
    sum_P = torch.zeros_like(size_P).index_add(0, index_B, values_B.double())
    return (sum_P / size_P)[index_B].to(values_B.dtype), size_P[index_B].to(values_B.dtype)


def _return_B(batch: TokenBatch) -> Tensor:
    """What each response earned in all: its reward, less the KL where that is part of the reward."""
    if batch.token_rewards_BT is None:
        return batch.rewards_B
    return torch.where(batch.mask_BT, batch.token_rewards_BT, 0.0).sum(dim=1)


def _token_rewards_BT(batch: TokenBatch) -> Tensor:
    """What each token earned; a response's own reward is on its last token, cut responses too."""
    if batch.token_rewards_BT is not None:
        return torch.where(batch.mask_BT, batch.token_rewards_BT, 0.0)
    left_BT = batch.mask_BT.flip(1).cumsum(1).flip(1)
    return torch.where(batch.mask_BT & (left_BT == 1), batch.rewards_B[:, None], 0.0)


def centred(batch: TokenBatch) -> Tensor:
    """R − mean of the group, [B] (Dr. GRPO, arXiv:2503.20783)."""
    return_B = _return_B(batch)
    return return_B - _group_mean(return_B, batch.group_B)[0]


def z_scored(batch: TokenBatch) -> Tensor:
    """(r − mean) / (std + 1e-6) with the unbiased std (n−1), [B]: GRPO, arXiv:2402.03300, as the paper's code has it.

    A group of one, and a group of equal rewards, gets exactly 0.
    """
    centred_B = centred(batch)
    mean_square_B, size_B = _group_mean(centred_B.square(), batch.group_B)
    # Rounding of the mean must not become a signal in a group whose rewards are all equal.
    spread_B = (mean_square_B * size_B / (size_B - 1).clamp(min=1)).sqrt()
    return torch.where(spread_B > EPS, centred_B / (spread_B + EPS), torch.zeros_like(centred_B))


def leave_one_out(batch: TokenBatch) -> Tensor:
    """Reward − mean of the group's other responses = (r − mean)·G/(G−1), [B] (RLOO, arXiv:2402.14740). Alone: 0."""
    size_B = _group_mean(batch.rewards_B, batch.group_B)[1]
    return centred(batch) * size_B / (size_B - 1).clamp(min=1)


def relative_to_mean(batch: TokenBatch) -> Tensor:
    """(r − mean) / mean, [B] (MaxRL): 0 in a group without success, that is where the mean is not above 0."""
    mean_B = _group_mean(_return_B(batch), batch.group_B)[0]
    return torch.where(mean_B > EPS, centred(batch) / mean_B.clamp(min=EPS), 0.0)


def moments(values_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased std over the valid tokens, two scalars in float64."""
    valid_N = values_BT[mask_BT].double()
    mean = valid_N.sum() / max(len(valid_N), 1)
    return mean, ((valid_N - mean).square().sum() / max(len(valid_N) - 1, 1)).sqrt()


def whiten(values_BT: Tensor, mask_BT: Tensor, *, floor: float = 0.0) -> Tensor:
    """(value − mean) / max(std, floor) over the batch's valid tokens, 0 elsewhere; 0 where all are equal.

    Once every response is right, only noise is left to divide by: a floor keeps it small. The paper's framework adds
    1e-8 to the variance and has no floor.
    """
    mean, std = moments(values_BT, mask_BT)
    scale = std.clamp(min=max(floor, EPS))
    whitened_BT = ((values_BT.double() - mean) / scale).to(values_BT.dtype)
    return torch.where(mask_BT & (std > EPS), whitened_BT, 0.0)


@dataclass(frozen=True)
class whitened:
    """REINFORCE++ (arXiv:2501.03262): what a token and those after it earned, whitened over the batch, [B, T].

    Without KL in the reward that is the response's reward on each token. `baseline="group"` subtracts the group's mean
    first (REINFORCE++-baseline), from each token alike.
    """

    group: bool = False
    floor: float = 0.0

    def raw(self, batch: TokenBatch) -> Tensor:
        """Before whitening."""
        to_go_BT = _token_rewards_BT(batch).flip(1).cumsum(1).flip(1)
        if self.group:
            to_go_BT = to_go_BT - _group_mean(_return_B(batch), batch.group_B)[0][:, None]
        return to_go_BT

    def __call__(self, batch: TokenBatch) -> Tensor:
        """Advantages per token."""
        return whiten(self.raw(batch), batch.mask_BT, floor=self.floor)


def advantages_and_returns(
    rewards_BT: Tensor, values_BT: Tensor, mask_BT: Tensor, *, gamma: float, lam: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (arXiv:1506.02438) and what the critic should have said, [B, T] each.

    `values_BT[b, t]` is the value before token t. Nothing follows the last valid token, in cut responses too.
    """
    rewards_BT, values_BT = (torch.where(mask_BT, x, 0.0) for x in (rewards_BT, values_BT))
    after_BT = torch.nn.functional.pad(values_BT[:, 1:], (0, 1))
    delta_BT = rewards_BT + gamma * after_BT - values_BT
    columns, running_B = [], torch.zeros_like(delta_BT[:, 0])
    for delta_B in delta_BT.flip(1).unbind(1):
        running_B = delta_B + gamma * lam * running_B
        columns.append(running_B)
    advantages_BT = torch.where(mask_BT, torch.stack(columns[::-1], dim=1), 0.0)
    return advantages_BT, advantages_BT + values_BT


@dataclass(frozen=True)
class gae:
    """PPO's credit, [B, T]: GAE on the critic's values, then whitened over the batch's valid tokens (see `whiten`)."""

    gamma: float = 1.0
    lam: float = 1.0
    whitening: bool = True
    floor: float = 0.0
    needs = frozenset({"values"})

    def __post_init__(self) -> None:
        """Refuse a discount that is none: `UsageError` E103."""
        for name, value in (("gamma", self.gamma), ("lam", self.lam)):
            if not 0 <= value <= 1:
                raise UsageError(f"{name} = {value:g} must be between 0 and 1: it is a discount.", code="E103")

    def raw(self, batch: TokenBatch) -> Tensor:
        """Before whitening."""
        return self.advantages_and_returns(batch)[0]

    def advantages_and_returns(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Advantages before whitening, and the critic's targets, [B, T] each."""
        assert batch.values_BT is not None, "a credit that needs values was given a batch without"
        rewards_BT = _token_rewards_BT(batch)
        return advantages_and_returns(rewards_BT, batch.values_BT, batch.mask_BT, gamma=self.gamma, lam=self.lam)

    def __call__(self, batch: TokenBatch) -> Tensor:
        """Advantages per token."""
        raw_BT = self.raw(batch)
        return whiten(raw_BT, batch.mask_BT, floor=self.floor) if self.whitening else raw_BT


@dataclass(frozen=True)
class Around:
    """A credit that hands the batch to another one, changed (`given`), or changes what that one says."""

    inner: Credit

    @property
    def needs(self) -> frozenset[str]:
        """What the inner credit needs."""
        return needs_of(self.inner)

    def given(self, batch: TokenBatch) -> TokenBatch:
        """What the inner credit sees."""
        return batch

    def __call__(self, batch: TokenBatch) -> Tensor:
        """The inner credit's advantages on that."""
        return self.inner(self.given(batch))


@dataclass(frozen=True)
class less_kl(Around):
    """A credit whose reward is less `coefficient` × k1 on each token: KL in the reward.

    Credits per response see r − coefficient·Σ k1; `whitened` and `gae` see each token's own part. log p is that of the
    policy that sampled: the learner's where it was scored, the sampler's otherwise.
    """

    coefficient: float

    @property
    def needs(self) -> frozenset[str]:
        """The reference, and what the inner credit needs."""
        return needs_of(self.inner) | {"reference"}

    def given(self, batch: TokenBatch) -> TokenBatch:
        """The batch with the reduced rewards."""
        assert batch.reference_logp_BT is not None, "a credit that needs the reference was given a batch without"
        logp_BT = batch.sampler_logp_BT if batch.old_logp_BT is None else batch.old_logp_BT
        penalty_BT = self.coefficient * k1(logp_BT, batch.reference_logp_BT)
        return replace(batch, token_rewards_BT=_token_rewards_BT(batch) - penalty_BT)


@dataclass(frozen=True)
class pooled(Around):
    """A credit on one group per problem, whatever the number of its occurrences.

    Another algorithm than with a group per occurrence: at a success rate of .99 a failure gets a z-score near −9.95
    instead of −2.47 in a group of 8.
    """

    def given(self, batch: TokenBatch) -> TokenBatch:
        """The batch with the larger groups."""
        assert batch.problem_B is not None, "pooled groups need to know each response's problem"
        return replace(batch, group_B=batch.problem_B)


def spread_before_whitening(credit: Credit, batch: TokenBatch) -> float | None:
    """Std of the advantages over valid tokens before they are whitened; None for a credit that whitens nothing.

    Worth recording: whitening makes it 1 whatever it was, so after saturation it is noise that is scaled up.
    """
    if isinstance(credit, Around):
        return spread_before_whitening(credit.inner, credit.given(batch))
    return float(moments(credit.raw(batch), batch.mask_BT)[1]) if isinstance(credit, (whitened, gae)) else None


def returns_of(credit: Credit, batch: TokenBatch) -> Tensor:
    """What the critic should have said before each token, [B, T]: the advantage (before whitening) and its value."""
    if isinstance(credit, Around):
        return returns_of(credit.inner, credit.given(batch))
    assert isinstance(credit, gae), "a credit without values has no returns"
    return credit.advantages_and_returns(batch)[1]
