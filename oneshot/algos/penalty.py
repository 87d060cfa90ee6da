"""KL to the initial model, per token [B, T]: estimators for the loss, k1 for the reward.

On the policy's own samples, as a loss, k1 has an expected gradient of zero, k2 that of KL(π‖ref), k3 that of KL(ref‖π),
ρ·k3 that of KL(π‖ref) (tested by enumeration). The distribution of the states is not differentiated.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from oneshot.errors import UsageError
from oneshot.registry import Registry

KL = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(logp_BT with gradient, reference_logp_BT, old_logp_BT) -> (kl_BT, clamped_BT).

The exponent is clamped to ±20 and the value to ±10. Clamped tokens are marked and have no gradient, never inf × 0.
"""

EXPONENT_LIMIT = 20.0
VALUE_LIMIT = 10.0

KLS: Registry[KL] = Registry("KL estimator")

K1_REASON = (
    "k1 as a loss on the policy's own samples has an expected gradient of zero, so it would hold nothing back; "
    "k3, k2 and rho_k3 do, and in the reward k1 does (algorithm.kl_in_reward)"
)


def k3(logp_BT: Tensor, reference_logp_BT: Tensor, old_logp_BT: Tensor) -> tuple[Tensor, Tensor]:
    """exp(d) − d − 1 with d = reference − log p: the paper's `low_var_kl`, a descent on KL(ref‖π)."""
    d_BT = reference_logp_BT - logp_BT
    kept_BT = d_BT.clamp(-EXPONENT_LIMIT, EXPONENT_LIMIT)
    return _limited(kept_BT.exp() - kept_BT - 1, d_BT.abs() > EXPONENT_LIMIT)


def k2(logp_BT: Tensor, reference_logp_BT: Tensor, old_logp_BT: Tensor) -> tuple[Tensor, Tensor]:
    """d²/2 with d = reference − log p: a descent on KL(π‖ref)."""
    d_BT = reference_logp_BT - logp_BT
    return _limited(d_BT.clamp(-EXPONENT_LIMIT, EXPONENT_LIMIT).square() / 2, d_BT.abs() > EXPONENT_LIMIT)


def rho_k3(logp_BT: Tensor, reference_logp_BT: Tensor, old_logp_BT: Tensor) -> tuple[Tensor, Tensor]:
    """ρ·k3 with the gradient of ρ = π/π_old: a descent on KL(π‖ref), in later updates of a batch too."""
    d_BT, log_ratio_BT = reference_logp_BT - logp_BT, logp_BT - old_logp_BT
    kept_BT = d_BT.clamp(-EXPONENT_LIMIT, EXPONENT_LIMIT)
    ratio_BT = log_ratio_BT.clamp(-EXPONENT_LIMIT, EXPONENT_LIMIT).exp()
    outside_BT = (d_BT.abs() > EXPONENT_LIMIT) | (log_ratio_BT.abs() > EXPONENT_LIMIT)
    return _limited(ratio_BT * (kept_BT.exp() - kept_BT - 1), outside_BT)


def k1(logp_BT: Tensor, reference_logp_BT: Tensor) -> Tensor:
    """The log ratio to the reference, within ±10, for the reward: its mean over samples is KL(π‖ref)."""
    return (logp_BT - reference_logp_BT).clamp(-VALUE_LIMIT, VALUE_LIMIT)


def _limited(value_BT: Tensor, outside_BT: Tensor) -> tuple[Tensor, Tensor]:
    """The value within its limits, constant where it or an exponent left them; and where that was."""
    clamped_BT = outside_BT | (value_BT.abs() > VALUE_LIMIT)
    constant_BT = value_BT.detach().clamp(-VALUE_LIMIT, VALUE_LIMIT)
    return torch.where(clamped_BT, constant_BT, value_BT), clamped_BT


def _refuse_k1() -> KL:
    raise UsageError(f"KL estimator 'k1' is refused in the loss: {K1_REASON}.", code="E105")


for _function in (k3, k2, rho_k3):
    KLS.register(_function.__name__)(lambda function=_function: function)
KLS.register("k1")(_refuse_k1)
