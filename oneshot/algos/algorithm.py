"""An algorithm is credit + surrogate + weighting + penalties; `policy_loss` is where they meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from oneshot.algos.credit import Credit, needs_of
from oneshot.algos.penalty import KL, k3
from oneshot.algos.surrogate import Limited, Surrogate, importance, reinforce
from oneshot.algos.values import ValueFunction
from oneshot.algos.weighting import Weighting, token_mean
from oneshot.registry import Registry
from oneshot.types import TokenBatch


@dataclass(frozen=True)
class Algorithm:
    """Everything that turns a scored batch into a loss. A coefficient of 0 switches its term off."""

    credit: Credit
    surrogate: Surrogate
    weighting: Weighting
    policy: float = 1.0
    kl: float = 0.0
    kl_of: KL = k3
    entropy: float = 0.0
    entropy_of: Callable[[int], float] | None = None
    """Step -> entropy coefficient; None means `entropy` throughout."""
    importance_cap: float = 0.0
    """Limit of the truncated importance weight π_learner/π_sampler; 0 means no such weight."""
    updates: int = 1
    """Passes over a rollout batch."""
    minibatches: int = 1
    """Optimiser steps a pass, each on its own share of the batch's groups."""
    critic: ValueFunction | None = None
    """The value function that is learned beside the policy; its values are what `credit` needs."""

    @property
    def steps_a_batch(self) -> int:
        """Optimiser steps a rollout batch. With one, ρ is 1 throughout."""
        return self.updates * self.minibatches

    @property
    def needs(self) -> frozenset[str]:
        """What must be scored before credit and update: of `reference`, `old` (ρ can differ from 1) and `values`."""
        asked = {"reference": self.kl != 0, "old": self.steps_a_batch > 1}
        return needs_of(self.credit) | {name for name, needed in asked.items() if needed}

    def at(self, step: int) -> Algorithm:
        """The algorithm with the coefficients of a step (rollout batches done before it)."""
        return self if self.entropy_of is None else replace(self, entropy=self.entropy_of(step), entropy_of=None)


ALGORITHMS: Registry[Algorithm] = Registry("algorithm")


@dataclass(frozen=True)
class Terms:
    """Rows of the step that one micro-batch covers, [b, T] each."""

    logp_BT: Tensor
    entropy_BT: Tensor
    mask_BT: Tensor
    policy_weight_BT: Tensor
    token_weight_BT: Tensor
    advantage_BT: Tensor
    old_logp_BT: Tensor | None
    reference_logp_BT: Tensor | None
    sampler_logp_BT: Tensor | None = None


def terms_of(
    batch: TokenBatch,
    rows: Sequence[int],
    shared_BT: tuple[Tensor, Tensor, Tensor],
    *,
    logp_BT: Tensor,
    entropy_BT: Tensor,
) -> Terms:
    """What the loss sees of some rows of a scored batch; `shared_BT`: advantages and the two `weights` of all rows."""
    taken = list(rows)
    advantage_BT, policy_weight_BT, token_weight_BT = (tensor[taken] for tensor in shared_BT)
    return Terms(
        logp_BT=logp_BT,
        entropy_BT=entropy_BT,
        mask_BT=batch.mask_BT[taken],
        policy_weight_BT=policy_weight_BT,
        token_weight_BT=token_weight_BT,
        advantage_BT=advantage_BT,
        old_logp_BT=None if batch.old_logp_BT is None else batch.old_logp_BT[taken],
        reference_logp_BT=None if batch.reference_logp_BT is None else batch.reference_logp_BT[taken],
        sampler_logp_BT=batch.sampler_logp_BT[taken],
    )


def policy_loss(algorithm: Algorithm, terms: Terms) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The summed loss of some rows: policy·L + kl·KL − entropy·H, and detached sums to record.

    Weights were computed on the whole optimiser step, so losses of micro-batches add up to the step's loss. KL and
    entropy always use the token mean, whatever the policy weighting (docs/design.md). Masked places are replaced before
    any arithmetic, so garbage there (even NaN) changes nothing.

    Returns:
        The loss, and `policy`, `entropy`, `kl` (each term without its coefficient), `kl/clamped` (tokens),
        `clip_ratio/*` (shares of the step's tokens, as TRL names them), which add up over micro-batches too.
    """
    parts, coefficients, seen = _parts(algorithm, terms)
    # The empty sum has a gradient, of zero, where every term is switched off.
    loss = terms.logp_BT[:, :0].sum() + sum(c * parts[name] for name, c in coefficients.items() if c)
    return loss, {**{name: value.detach() for name, value in parts.items()}, **seen}


def term_losses(algorithm: Algorithm, terms: Terms) -> dict[str, Tensor]:
    """The terms that `policy_loss` adds up, each with its coefficient; those that are switched off are left out."""
    parts, coefficients, _ = _parts(algorithm, terms)
    return {name: c * parts[name] for name, c in coefficients.items() if c}


def _parts(algorithm: Algorithm, terms: Terms) -> tuple[dict[str, Tensor], dict[str, float], dict[str, Tensor]]:
    """(each term, its coefficient in the loss, what else is to be recorded)."""
    mask_BT, token_weight_BT = terms.mask_BT, terms.token_weight_BT
    logp_BT = torch.where(mask_BT, terms.logp_BT, 0.0)
    old_BT = logp_BT.detach() if terms.old_logp_BT is None else torch.where(mask_BT, terms.old_logp_BT, 0.0)
    advantage_BT = torch.where(mask_BT, terms.advantage_BT, 0.0)
    policy_BT = algorithm.surrogate(logp_BT, old_BT, advantage_BT, mask_BT)
    if algorithm.importance_cap:
        assert terms.sampler_logp_BT is not None, "an importance weight needs the sampler's log-probs"
        sampler_BT = torch.where(mask_BT, terms.sampler_logp_BT, 0.0)
        policy_BT = policy_BT * importance(old_BT, sampler_BT, algorithm.importance_cap)
    parts = {
        "policy": (terms.policy_weight_BT * policy_BT).sum(),
        "entropy": (token_weight_BT * torch.where(mask_BT, terms.entropy_BT, 0.0)).sum(),
    }
    coefficients = {"policy": algorithm.policy, "entropy": -algorithm.entropy}
    seen = _clip_ratios(algorithm.surrogate, logp_BT.detach(), old_BT, advantage_BT, mask_BT, token_weight_BT)
    if algorithm.kl:
        assert terms.reference_logp_BT is not None, "a KL term needs the reference's log-probs"
        reference_BT = torch.where(mask_BT, terms.reference_logp_BT, 0.0)
        kl_BT, clamped_BT = algorithm.kl_of(logp_BT, reference_BT, old_BT)
        parts["kl"], coefficients["kl"] = (token_weight_BT * kl_BT).sum(), algorithm.kl
        seen["kl/clamped"] = (clamped_BT & mask_BT).sum().to(kl_BT.dtype)
    return parts, coefficients, seen


def _clip_ratios(
    surrogate: Surrogate, logp_BT: Tensor, old_BT: Tensor, advantage_BT: Tensor, mask_BT: Tensor, weight_BT: Tensor
) -> dict[str, Tensor]:
    """Share of the step's tokens whose ρ a limit acts on: below, above, either. Nothing for a surrogate without."""
    if not isinstance(surrogate, Limited):
        return {}
    low, high = ((weight_BT * side).sum() for side in surrogate.sides(logp_BT, old_BT, advantage_BT, mask_BT))
    return {"clip_ratio/low_mean": low, "clip_ratio/high_mean": high, "clip_ratio/region_mean": low + high}


def weights(algorithm: Algorithm, batch: TokenBatch) -> tuple[Tensor, Tensor]:
    """(policy weight, token-mean weight), [B, T] over the whole step."""
    return (
        algorithm.weighting(batch.mask_BT, batch.max_response),
        token_mean(batch.mask_BT, batch.max_response),
    )


def configured(algorithm: Algorithm, changes: Mapping[str, Any]) -> Algorithm:
    """The algorithm with shared keys replaced (policy, kl, kl_of, entropy, entropy_of, updates, weighting, ...)."""
    return replace(algorithm, **changes)


def inert(algorithm: Algorithm) -> tuple[str, ...]:
    """Settings that cannot act, by their names in `[algorithm]`.

    With one optimiser step a batch ρ is 1 throughout, so limits on it do nothing, and the critic is where its values
    came from. A term that is switched off has no settings.
    """
    names: list[str] = []
    once = algorithm.steps_a_batch == 1
    if isinstance(algorithm.surrogate, Limited) and (once or not algorithm.policy):
        names += algorithm.surrogate.options
    if algorithm.critic is not None and once:
        names.append("value_clip")
    if not algorithm.policy:
        names += ["weighting", *(["importance_cap"] if algorithm.importance_cap else [])]
    if not algorithm.kl:
        names.append("kl_kind")
    return tuple(names)


def at_one_update(algorithm: Algorithm) -> Algorithm:
    """The plainest algorithm with the same gradient, where there is one optimiser step a batch; else the same.

    Equal results mean provably identical training: grpo = dapo = cispo, and gspo = grpo with `sequence_mean`.
    """
    if algorithm.steps_a_batch != 1 or not isinstance(algorithm.surrogate, Limited):
        return algorithm
    critic = None if algorithm.critic is None else replace(algorithm.critic, clip=0.0)
    return replace(algorithm, surrogate=reinforce, critic=critic)
