"""AdamW over one set of parameters, the policy's or the critic's, with float32 masters where they are bfloat16.

At lr 1e-6 a step moves about one bfloat16 weight in fifty: the others are too coarse to change. So the weights that
AdamW moves, the masters, are float32; gradients of every micro-batch are added up in float32; and after the step the
bfloat16 working copy, which sampler and learner share, is rounded from the masters in place. Weights that are float32
or float64 are their own masters: nothing is kept twice and nothing is copied. On CUDA this code has not run yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from oneshot.algos.schedule import Schedule

Masters = Mapping[nn.Parameter, Tensor]
"""A bfloat16 parameter -> the float32 values it was rounded from."""

_FUSED = ("cpu", "cuda")
"""Devices on which torch has AdamW as one kernel."""


@dataclass(frozen=True, kw_only=True)
class AdamWSettings:
    """AdamW with linear warm-up, a learning-rate schedule, and a global gradient-norm limit (0: none)."""

    lr: float
    warmup: int = 0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    grad_clip: float = 1.0
    schedule: str = "constant"
    """A shape of `algos.schedule`, from the last warm-up step to the last of `steps`."""
    lr_final: float = 0.0
    """The learning rate of the last step, unless the schedule is constant."""
    steps: int = 0
    """Optimiser steps of the whole run, which a schedule needs."""
    masters: bool = True
    """Keep float32 masters for parameters in lower precision; False lets AdamW move those themselves."""

    def rate(self, number: int) -> float:
        """The learning rate of optimiser step `number` of the run, counted from 0."""
        if self.schedule == "constant" or number < self.warmup:
            return self.lr * min(1.0, (number + 1) / max(self.warmup, 1))
        first = max(self.warmup, 1) - 1  # the step that has the whole rate for the first time
        return Schedule(self.schedule, self.lr, self.lr_final, self.steps - first)(number - first)


class Optimizer:
    """AdamW on the masters of some parameters. `masters[i]` is `parameters[i]` itself where that is precise enough."""

    def __init__(
        self, parameters: Sequence[nn.Parameter], settings: AdamWSettings, *, masters: Masters | None = None
    ) -> None:
        """Take over the float32 values in `masters`; for a bfloat16 parameter that has none there, copy its own."""
        self.parameters = list(parameters)
        self.settings = settings
        self.still = False
        """Steps change nothing; for a step that is only measured."""
        given = masters or {}
        self.masters = [_master(p, given) if settings.masters else p for p in self.parameters]
        self._pairs = [(p, m) for p, m in zip(self.parameters, self.masters, strict=True) if p is not m]
        self.recast()
        self.adamw = torch.optim.AdamW(
            self.masters,
            lr=settings.lr,
            betas=settings.betas,
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            fused=all(m.device.type in _FUSED for m in self.masters),
        )

    @property
    def bytes(self) -> int:
        """What the masters take, in memory and in a checkpoint; each of AdamW's two moments takes as much."""
        return sum(m.numel() * m.element_size() for m in self.masters)

    def zero(self) -> None:
        """Forget all gradients."""
        self.adamw.zero_grad(set_to_none=True)
        for parameter, _ in self._pairs:
            parameter.grad = None

    @contextmanager
    def accumulating(self) -> Iterator[None]:
        """Inside, what a backward pass finds is added to the masters' gradients at once, and freed.

        So the gradients of micro-batches are summed in float32, and no second set of them is ever complete.
        """
        hooks = [parameter.register_post_accumulate_grad_hook(_into(master)) for parameter, master in self._pairs]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def clip(self) -> float:
        """The norm of the whole gradient; it is shortened to `grad_clip` where that is less."""
        limit = self.settings.grad_clip or float("inf")
        return float(torch.nn.utils.clip_grad_norm_(self.masters, limit))

    def step(self, lr: float | None = None) -> float:
        """One step at `lr` (the settings' own where none is given); returns how far the weights moved, as a norm."""
        if self.still:
            return 0.0
        for group in self.adamw.param_groups:
            group["lr"] = self.settings.lr if lr is None else lr
        before = [m.detach().clone() for m in self.masters]
        self.adamw.step()
        self.recast()
        return _distance(self.masters, before)

    @torch.no_grad()
    def recast(self) -> None:
        """Round the working copy from the masters, in place."""
        for parameter, master in self._pairs:
            parameter.data.copy_(master.data)

    @contextmanager
    def precise(self) -> Iterator[None]:
        """Inside, the parameters are the masters, to be saved or loaded; then the working copy is rounded from them."""
        working = [parameter.data for parameter, _ in self._pairs]
        for parameter, master in self._pairs:
            parameter.data = master.data
        try:
            yield
        finally:
            for (parameter, _), data in zip(self._pairs, working, strict=True):
                parameter.data = data
            self.recast()

    def state_dict(self) -> dict[str, Any]:
        """AdamW's moments and counters; the masters themselves are the checkpoint's weights."""
        return self.adamw.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`'s answer."""
        self.adamw.load_state_dict(state)


def _master(parameter: nn.Parameter, given: Masters) -> nn.Parameter:
    if parameter.dtype not in (torch.bfloat16, torch.float16):
        return parameter
    precise = given.get(parameter)
    return nn.Parameter(parameter.detach().float() if precise is None else precise)


def _into(master: nn.Parameter) -> Any:
    """A hook that adds a parameter's gradient to its master's."""

    def add(parameter: Tensor) -> None:
        found = parameter.grad
        if found is None:
            return
        master.grad = found.float() if master.grad is None else master.grad.add_(found)
        parameter.grad = None

    return add


def _distance(after: Sequence[Tensor], before: list[Tensor]) -> float:
    """L2 norm of the change of all parameters; overwrites `before`."""
    norms = [torch.linalg.vector_norm(b.sub_(a.detach())) for a, b in zip(after, before, strict=True)]
    return float(torch.stack(norms).double().square().sum().sqrt())
