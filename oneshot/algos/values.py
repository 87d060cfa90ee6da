"""The critic's side of PPO: how it is learned, and how well it knows what a response will earn. Tensors only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from oneshot.algos.credit import moments
from oneshot.errors import UsageError

KINDS = ("auto", "model", "head")


@dataclass(frozen=True)
class ValueFunction:
    """What PPO learns beside the policy.

    Defaults are those of the paper's framework; the paper itself gives none for PPO. A lone head has few weights to
    move and may want a larger `lr` than a whole model.

    Raises:
        UsageError: E103 for another kind or a negative number.
    """

    kind: str = "auto"
    """`model`: a copy of the initial weights with a 1-output head, all of it trained. `head`: only the head, on the
    policy's own states, through which no gradient goes. `auto`: a model on a GPU, a head on a CPU."""
    lr: float = 1e-5
    """Constant; the other settings are those of the policy's optimiser."""
    clip: float = 0.5
    """How far a value may move away from what it was when the batch was scored; 0: no limit."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"critic = {self.kind!r} is none of: {', '.join(KINDS)}.", code="E103")
        for name, value in (("critic_lr", self.lr), ("value_clip", self.clip)):
            if not 0 <= value < float("inf"):
                raise UsageError(f"{name} = {value:g} must be at least 0.", code="E103")


def value_loss(
    values_BT: Tensor, old_values_BT: Tensor, returns_BT: Tensor, mask_BT: Tensor, weight_BT: Tensor, clip: float
) -> tuple[Tensor, Tensor]:
    """Σ weight · ½ max((V − R)², (clip(V, V_old ± clip) − R)²), and the share of tokens that the limit acts on.

    The larger of the two, as in PPO's code: where the limit acts the loss is constant, so a value that has moved far
    enough towards its return moves no further in this batch. Masked places are replaced before any arithmetic.

    Args:
        values_BT: with gradient.
        old_values_BT: as they were when the batch was scored.
        returns_BT: the targets.
        mask_BT: True on response tokens.
        weight_BT: the token mean of the optimiser step, so that sums over micro-batches add up.
        clip: 0 for no limit.
    """
    values_BT, old_BT, returns_BT = (torch.where(mask_BT, x, 0.0) for x in (values_BT, old_values_BT, returns_BT))
    error_BT = (values_BT - returns_BT).square()
    if not clip:
        return (weight_BT * error_BT / 2).sum(), error_BT.new_zeros(())
    near_BT = old_BT + (values_BT - old_BT).clamp(-clip, clip)
    limited_BT = (near_BT - returns_BT).square()
    acts_BT = (limited_BT > error_BT) & mask_BT
    return (weight_BT * torch.maximum(error_BT, limited_BT) / 2).sum(), (weight_BT * acts_BT).sum()


def explained_variance(values_BT: Tensor, returns_BT: Tensor, mask_BT: Tensor) -> float | None:
    """1 − Var(R − V) / Var(R) over valid tokens: 1 is a perfect critic, 0 as good as a constant, below 0 worse.

    None where all returns are equal: there is nothing to explain.
    """
    spread = float(moments(returns_BT, mask_BT)[1])
    if not spread > 1e-6:
        return None
    return 1 - (float(moments(returns_BT - values_BT, mask_BT)[1]) / spread) ** 2
