"""An algorithm is credit + surrogate + weighting + penalties; `policy_loss` is where they meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from oneshot.algos.penalty import KL, k3
from oneshot.algos.surrogate import Surrogate
from oneshot.algos.weighting import Weighting, token_mean
from oneshot.registry import Registry
from oneshot.types import TokenBatch


@dataclass(frozen=True)
class Algorithm:
    """Everything that turns a scored batch into a loss."""

    credit: Callable[[TokenBatch], Tensor]
    surrogate: Surrogate
    weighting: Weighting
    policy: float = 1.0
    kl: float = 0.0
    kl_of: KL = k3
    entropy: float = 0.0
    updates: int = 1

    @property
    def needs(self) -> frozenset[str]:
        """What must be scored before the update: `reference` for KL, `old` when ρ can differ from 1."""
        return frozenset({"reference"} if self.kl else set()) | ({"old"} if self.updates > 1 else frozenset())


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


def policy_loss(algorithm: Algorithm, terms: Terms) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The summed loss of some rows: policy·L + kl·KL − entropy·H, and detached sums of each term.

    Weights were computed on the whole optimiser step, so losses of micro-batches add up to the step's loss. KL and
    entropy always use the token mean, whatever the policy weighting (docs/design.md). Masked places are replaced before
    any arithmetic, so garbage there (even NaN) changes nothing.
    """
    mask_BT = terms.mask_BT
    logp_BT = torch.where(mask_BT, terms.logp_BT, 0.0)
    old_BT = logp_BT.detach() if terms.old_logp_BT is None else torch.where(mask_BT, terms.old_logp_BT, 0.0)
    advantage_BT = torch.where(mask_BT, terms.advantage_BT, 0.0)
    parts: dict[str, Tensor] = {}
    parts["policy"] = (terms.policy_weight_BT * algorithm.surrogate(logp_BT, old_BT, advantage_BT)).sum()
    parts["entropy"] = (terms.token_weight_BT * torch.where(mask_BT, terms.entropy_BT, 0.0)).sum()
    loss = algorithm.policy * parts["policy"] - algorithm.entropy * parts["entropy"]
    if terms.reference_logp_BT is not None:
        reference_BT = torch.where(mask_BT, terms.reference_logp_BT, 0.0)
        parts["kl"] = (terms.token_weight_BT * algorithm.kl_of(logp_BT, reference_BT)).sum()
        loss = loss + algorithm.kl * parts["kl"]
    return loss, {name: value.detach() for name, value in parts.items()}


def weights(algorithm: Algorithm, batch: TokenBatch) -> tuple[Tensor, Tensor]:
    """(policy weight, token-mean weight), [B, T] over the whole step."""
    return (
        algorithm.weighting(batch.mask_BT, batch.max_response),
        token_mean(batch.mask_BT, batch.max_response),
    )


def configured(algorithm: Algorithm, changes: Mapping[str, Any]) -> Algorithm:
    """The algorithm with shared keys replaced (policy, kl, kl_of, entropy, updates, weighting)."""
    return Algorithm(**{**algorithm.__dict__, **changes})
