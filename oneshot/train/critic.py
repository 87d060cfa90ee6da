"""PPO's critic: what a response will still earn, read before each token, and learned beside the policy.

Either a model of its own, which begins as a copy of the initial weights (an adapter policy's copy trains its own
adapter), or one linear layer on the policy's states, through which no gradient goes. The head begins at zero, so the
first values are 0 and nothing is drawn. On CUDA this code has not run yet.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oneshot.algos.values import ValueFunction, value_loss
from oneshot.model.adapters import misfit
from oneshot.model.policy import Policy
from oneshot.train.forward import placed, states
from oneshot.train.optimizer import AdamWSettings, Masters, Optimizer
from oneshot.train.weights import another_model, check_moments
from oneshot.types import MicroBatch, TokenBatch


class Critic:
    """The value function and its own AdamW. `decoder` is its own copy, or the policy's."""

    def __init__(
        self, policy: Policy, asked: ValueFunction, settings: AdamWSettings, *, masters: Masters | None = None
    ) -> None:
        """Begin from the policy's weights as they are, and from the float32 `masters` behind them where given."""
        self.clip = asked.clip
        self.device = policy.device
        self.own = asked.kind == "model" or (asked.kind == "auto" and policy.device.type == "cuda")
        self.decoder = copy.deepcopy(policy.decoder) if self.own else policy.decoder
        wide = torch.promote_types(policy.head.dtype, torch.float32)
        # Made without torch's random start, which would draw numbers.
        self.head = torch.nn.utils.skip_init(
            nn.Linear, policy.head.shape[1], 1, dtype=wide, device=policy.device
        ).requires_grad_(True)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        parts = [("decoder", self.decoder)] if self.own else []
        named = [
            (f"{part}.{name}", p)
            for part, module in [*parts, ("head", self.head)]
            for name, p in module.named_parameters()
            if p.requires_grad
        ]
        pairs = zip(policy.decoder.parameters(), self.decoder.parameters(), strict=True)
        copies = {own: masters[p].clone() for p, own in pairs if p in masters} if masters and self.own else {}
        self.names = [name for name, _ in named]
        self.optimizer = Optimizer(
            [p for _, p in named],
            replace(settings, lr=asked.lr, warmup=0, schedule="constant"),
            masters=copies,
        )

    def value(self, hidden_NH: Tensor) -> Tensor:
        """[N]: the value at each hidden state."""
        values_N: Tensor = self.head(hidden_NH.to(self.head.weight.dtype))[:, 0]
        return values_N

    def values(self, batch: TokenBatch, check: Callable[[], None]) -> Tensor:
        """[B, T]: the value before each token, 0 outside the mask; no gradient. `check` may raise to give up."""
        values_BT = torch.zeros(batch.shape, dtype=self.head.weight.dtype, device=self.device)
        with torch.no_grad():
            for micro in batch.micro:
                check()
                values_N = self.value(states(self.decoder, micro, self.device))
                values_BT[list(micro.rows)] = placed(values_N, micro, batch.shape[1])
        return values_BT

    def learn(self, micro: MicroBatch, policy_NH: Tensor, batch: TokenBatch, weight_BT: Tensor) -> dict[str, Tensor]:
        """Add one micro-batch's part to the gradient; returns sums to record, which add up over micro-batches.

        Args:
            micro: the rows.
            policy_NH: the policy's states there, which a lone head reads.
            batch: with values, returns and mask of the whole optimiser step.
            weight_BT: the token mean of that step.
        """
        assert batch.values_BT is not None, "a critic learns from a scored batch"
        assert batch.returns_BT is not None, "a critic learns from returns"
        rows = list(micro.rows)
        hidden_NH = states(self.decoder, micro, self.device) if self.own else policy_NH.detach()
        with self.optimizer.accumulating():
            loss, clipped = value_loss(
                placed(self.value(hidden_NH), micro, batch.shape[1]),
                batch.values_BT[rows],
                batch.returns_BT[rows],
                batch.mask_BT[rows],
                weight_BT[rows],
                self.clip,
            )
            loss.backward()
        return {"value/loss": loss.detach(), "value/clipped": clipped}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: the weights (masters, where there are any) and AdamW's state."""
        weights = {name: m.detach() for name, m in zip(self.names, self.optimizer.masters, strict=True)}
        return {"weights": weights, "optimizer": self.optimizer.state_dict()}

    def read(self, file: Path, model: Any) -> dict[str, Any]:
        """A saved state, to be given to `load_state_dict`; `model` is the run's, for what is said about another's.

        Raises:
            UsageError: E107 when there is none, or it is another critic's; nothing is changed.
        """
        if not file.is_file():
            raise another_model("there is no critic in it", model, file.parent)
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        if wrong := misfit(dict(zip(self.names, self.optimizer.masters, strict=True)), state["weights"]):
            raise another_model(f"of the critic, {wrong}", model, file.parent)
        check_moments(model, self.optimizer.masters, state["optimizer"], file.parent)
        return state

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`'s answer, in place."""
        for name, master in zip(self.names, self.optimizer.masters, strict=True):
            master.copy_(state["weights"][name])
        self.optimizer.recast()
        self.optimizer.load_state_dict(state["optimizer"])
