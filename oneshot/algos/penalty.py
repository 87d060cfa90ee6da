"""Added terms, per token [B, T]: KL to the initial model, and the entropy bonus."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from oneshot.registry import Registry

KL = Callable[[Tensor, Tensor], Tensor]
"""(logp_BT with gradient, reference_logp_BT) -> kl_BT."""

EXPONENT_LIMIT = 20.0
VALUE_LIMIT = 10.0

KLS: Registry[KL] = Registry("KL estimator")


def k3(logp_BT: Tensor, reference_logp_BT: Tensor) -> Tensor:
    """exp(d) − d − 1 with d = reference − logp: the paper's `low_var_kl`.

    As a loss on the policy's own samples its expected gradient is that of KL(reference ‖ policy). The exponent is
    clamped to ±20 and the value to ±10; clamped tokens have zero gradient, never inf × 0. The distribution of the
    states is not differentiated.
    """
    d_BT = (reference_logp_BT - logp_BT).clamp(-EXPONENT_LIMIT, EXPONENT_LIMIT)
    return (d_BT.exp() - d_BT - 1).clamp(-VALUE_LIMIT, VALUE_LIMIT)


def k2(logp_BT: Tensor, reference_logp_BT: Tensor) -> Tensor:
    """d²/2 with d = reference − logp: its expected gradient is that of KL(policy ‖ reference). Clamped like k3."""
    d_BT = (reference_logp_BT - logp_BT).clamp(-EXPONENT_LIMIT, EXPONENT_LIMIT)
    return (d_BT.square() / 2).clamp(-VALUE_LIMIT, VALUE_LIMIT)


for _function in (k3, k2):
    KLS.register(_function.__name__)(lambda function=_function: function)
