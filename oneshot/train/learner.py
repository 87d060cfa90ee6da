"""The learner: the only code that calls backward.

It shares the policy's weights with the sampler. A step scores the batch (old and reference log-probs, only what the
algorithm needs), then updates: every micro-batch adds its part of one plain sum, then clip and AdamW. On CUDA this
code has not run yet (float32 master weights with a bf16 working copy come with the training engine).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from oneshot.algos.algorithm import Algorithm, Terms, policy_loss, weights
from oneshot.algos.credit import spread_before_whitening
from oneshot.model.logprobs import logprob_and_entropy
from oneshot.model.policy import Policy
from oneshot.types import MicroBatch, TokenBatch


@dataclass(frozen=True, kw_only=True)
class AdamWSettings:
    """AdamW with linear warm-up to a constant learning rate, and a global gradient-norm limit (0: none)."""

    lr: float
    warmup: int = 0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    grad_clip: float = 1.0


class Learner:
    """Policy + optimiser. `version` counts optimiser steps."""

    def __init__(self, policy: Policy, algorithm: Algorithm, settings: AdamWSettings, *, temperature: float) -> None:
        self.policy = policy
        self.algorithm = algorithm
        self.settings = settings
        self.temperature = temperature
        self.version = 0
        self.check: Callable[[], None] = lambda: None
        """Called where a step may be given up: before each micro-batch, and before a batch's first optimiser step."""
        self.intact = True
        """Whether weights and moments are those of the last finished step; not so while the optimiser steps."""
        self.reference: nn.Module | None = None
        if "reference" in algorithm.needs:
            # KL, in the loss or in the reward, needs the initial weights for the whole run.
            self.reference = copy.deepcopy(policy.model).requires_grad_(False)
        self.parameters = [p for p in policy.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=settings.lr,
            betas=settings.betas,
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def score(self, batch: TokenBatch, needs: frozenset[str]) -> TokenBatch:
        """The batch where the weights are, with `reference` and `old` log-probs [B, T] where asked for; no gradient."""
        batch = _moved(batch, self.policy.device)
        with torch.no_grad():
            if "reference" in needs:
                assert self.reference is not None, "the learner's own algorithm needs no reference"
                batch = replace(batch, reference_logp_BT=self._scored(batch, self.reference))
            if "old" in needs:
                batch = replace(batch, old_logp_BT=self._scored(batch, self.policy.model))
        return batch

    def update(self, batch: TokenBatch, advantages: Tensor) -> dict[str, float]:
        """`algorithm.updates` optimiser steps on one batch; advantages are [B] or [B, T].

        Returns the metrics of the last, except `mismatch/logprob`, which compares the sampler with the untouched
        weights of the first.
        """
        batch, advantages = _moved(batch, self.policy.device), advantages.to(self.policy.device)
        algorithm = self.algorithm.at(self.version // self.algorithm.updates)
        advantage_BT = advantages[:, None].expand(batch.shape) if advantages.dim() == 1 else advantages
        metrics: dict[str, float] = {}
        for update in range(algorithm.updates):
            seen = self._step(algorithm, batch, advantage_BT)
            if update:
                seen["mismatch/logprob"] = metrics["mismatch/logprob"]
            metrics = seen
            if seen["dropped"]:
                break  # the same weights would give the same again
        self.intact = True
        spread = spread_before_whitening(algorithm.credit, batch)
        return metrics if spread is None else {**metrics, "adv_std": spread}

    def _step(self, algorithm: Algorithm, batch: TokenBatch, advantage_BT: Tensor) -> dict[str, float]:
        """One optimiser step: accumulate over micro-batches, clip, AdamW.

        Where loss or gradient is not finite nothing is changed, and the metric `dropped` is 1.
        """
        policy_weight_BT, token_weight_BT = weights(algorithm, batch)
        sums: dict[str, float] = {"entropy_coef": algorithm.entropy}
        self.optimizer.zero_grad(set_to_none=True)
        for micro, logp_BT, entropy_BT, entropy1_BT in self._forward(batch, self.policy.model):
            rows = list(micro.rows)
            terms = Terms(
                logp_BT=logp_BT,
                entropy_BT=entropy_BT,
                mask_BT=batch.mask_BT[rows],
                policy_weight_BT=policy_weight_BT[rows],
                token_weight_BT=token_weight_BT[rows],
                advantage_BT=advantage_BT[rows],
                old_logp_BT=None if batch.old_logp_BT is None else batch.old_logp_BT[rows],
                reference_logp_BT=None if batch.reference_logp_BT is None else batch.reference_logp_BT[rows],
                sampler_logp_BT=batch.sampler_logp_BT[rows],
            )
            loss, parts = policy_loss(algorithm, terms)
            loss.backward()
            seen = {"loss": loss.detach(), **parts, **_diagnostics(terms, entropy1_BT, batch.sampler_logp_BT[rows])}
            for name, value in seen.items():
                sums[name] = sums.get(name, 0.0) + float(value)
        sums["grad_norm"] = self._clip()
        if not (math.isfinite(sums["loss"]) and math.isfinite(sums["grad_norm"])):
            self.optimizer.zero_grad(set_to_none=True)
            return {**sums, "learning_rate": 0.0, "update_norm": 0.0, "dropped": 1.0}
        self._may_stop()
        self.intact, sums["dropped"] = False, 0.0
        sums["learning_rate"] = self._learning_rate()
        before = [p.detach().clone() for p in self.parameters]
        self.optimizer.step()
        sums["update_norm"] = _distance(self.parameters, before)
        self.version += 1
        return sums

    def _forward(self, batch: TokenBatch, model: Any) -> Iterator[tuple[MicroBatch, Tensor, Tensor, Tensor]]:
        """Per micro-batch: log p, entropy at the sampling temperature and at 1, each [b, T] with 0 outside the mask."""
        decoder, head_VH = model.get_decoder(), model.get_output_embeddings().weight
        device = head_VH.device
        for micro in batch.micro:
            self._may_stop()
            out = decoder(
                input_ids=micro.input_ids.to(device),
                # Always the explicit 4-D mask: restarting positions could be read as packed sequences otherwise.
                attention_mask=micro.mask.to(device),
                position_ids=micro.position_ids.to(device),
                use_cache=False,
            )
            hidden_NH = out.last_hidden_state.flatten(0, 1)[micro.predict_N.to(device)]
            flat = logprob_and_entropy(hidden_NH, head_VH, micro.target_N.to(device), self.temperature)
            where = (micro.row_N.to(device), micro.col_N.to(device))
            zeros_BT = flat[0].new_zeros(len(micro.rows), batch.shape[1])
            logp_BT, entropy_BT, entropy1_BT = (zeros_BT.index_put(where, values_N) for values_N in flat)
            yield micro, logp_BT, entropy_BT, entropy1_BT

    def _scored(self, batch: TokenBatch, model: Any) -> Tensor:
        parts = [(list(micro.rows), logp_BT) for micro, logp_BT, _, _ in self._forward(batch, model)]
        scored_BT = parts[0][1].new_zeros(batch.shape)
        for rows, logp_BT in parts:
            scored_BT[rows] = logp_BT
        return scored_BT

    def _may_stop(self) -> None:
        if self.intact:
            self.check()

    def _clip(self) -> float:
        limit = self.settings.grad_clip or float("inf")
        return float(torch.nn.utils.clip_grad_norm_(self.parameters, limit))

    def _learning_rate(self) -> float:
        """Set and return this step's learning rate: linear warm-up over `warmup` steps, then constant."""
        lr = self.settings.lr * min(1.0, (self.version + 1) / max(self.settings.warmup, 1))
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr


def _moved(batch: TokenBatch, device: torch.device) -> TokenBatch:
    """The batch with its own tensors where the weights are; micro-batches move one by one."""
    tensors: dict[str, Any] = {
        f.name: value for f in fields(batch) if isinstance(value := getattr(batch, f.name), Tensor)
    }
    return replace(batch, **{name: tensor.to(device) for name, tensor in tensors.items()})


def _diagnostics(terms: Terms, entropy1_BT: Tensor, sampler_logp_BT: Tensor) -> dict[str, Tensor]:
    """Token means of what is watched but not optimised, as sums over these rows."""
    with torch.no_grad():
        weight_BT, logp_BT = terms.token_weight_BT, terms.logp_BT
        old_BT = logp_BT if terms.old_logp_BT is None else terms.old_logp_BT
        ratio_BT = (logp_BT - old_BT).exp()
        return {
            "entropy_t1": (weight_BT * entropy1_BT).sum(),
            "mismatch/logprob": (weight_BT * (logp_BT - sampler_logp_BT).abs()).sum(),
            "ratio/mean": (weight_BT * ratio_BT).sum(),
        }


def _distance(after: list[nn.Parameter], before: list[Tensor]) -> float:
    """L2 norm of the change of all parameters; overwrites `before`."""
    norms = [torch.linalg.vector_norm(b.sub_(a.detach())) for a, b in zip(after, before, strict=True)]
    return float(torch.stack(norms).double().square().sum().sqrt())
