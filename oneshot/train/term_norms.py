"""The gradient norm of each term of the loss, beside the step that is made from their sum.

Adam is scale-free, so a coefficient alone says little about what a term does; its share of the gradient does. Each term
takes a backward pass of its own through the same forward, and a buffer as large as the trained weights: a measurement
for some steps, not for all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from oneshot.algos.algorithm import Algorithm, Terms, term_losses


class TermNorms:
    """Sums each term's gradient over the micro-batches of an optimiser step; the step's own gradient is not touched."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.sums: dict[str, list[Tensor]] = {}

    def add(self, algorithm: Algorithm, terms: Terms) -> None:
        """Add what one micro-batch gives; its graph is kept for the backward pass proper."""
        for name, loss in term_losses(algorithm, terms).items():
            found = torch.autograd.grad(loss, self.parameters, retain_graph=True, allow_unused=True)
            if name not in self.sums:
                self.sums[name] = [torch.zeros_like(p, dtype=_wide(p)) for p in self.parameters]
            for total, grad in zip(self.sums[name], found, strict=True):
                if grad is not None:
                    total += grad

    def norms(self) -> dict[str, float]:
        """`grad_norm/policy`, `grad_norm/kl`, `grad_norm/entropy`, each with its coefficient, before the clip."""
        return {
            f"grad_norm/{name}": float(torch.stack([g.double().norm() for g in grads]).norm())
            for name, grads in self.sums.items()
        }


def _wide(parameter: Tensor) -> torch.dtype:
    return torch.promote_types(parameter.dtype, torch.float32)
