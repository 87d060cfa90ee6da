"""The learner: the only code that calls backward, the critic's part and measurements aside.

It shares the policy's weights with the sampler. A step scores the batch (old and reference log-probs, values, only
what the algorithm needs), then updates: every micro-batch adds its part of one plain sum, then clip and AdamW. On CUDA
this code has not run with float32 masters yet.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from oneshot.algos.algorithm import Algorithm, Terms, policy_loss, terms_of, weights
from oneshot.algos.credit import returns_of, spread_before_whitening
from oneshot.algos.values import explained_variance
from oneshot.data.minibatches import mini_batches, order
from oneshot.model.logprobs import Head, logprob_and_entropy
from oneshot.model.policy import Policy
from oneshot.train.critic import Critic
from oneshot.train.forward import moved, placed, states
from oneshot.train.optimizer import AdamWSettings, Masters, Optimizer
from oneshot.train.term_norms import TermNorms
from oneshot.types import MicroBatch, TokenBatch

__all__ = ["AdamWSettings", "Learner"]

MUST_BE_FINITE = ("loss", "grad_norm", "value/loss", "value/grad_norm")


class Learner:
    """Policy, critic where there is one, and their optimisers. `version` counts the policy's optimiser steps."""

    def __init__(
        self,
        policy: Policy,
        algorithm: Algorithm,
        settings: AdamWSettings,
        *,
        temperature: float,
        seed: int = 0,
        masters: Masters | None = None,
        term_norms_every: int = 0,
    ) -> None:
        self.policy = policy
        self.algorithm = algorithm
        self.settings = settings
        self.temperature = temperature
        self.seed = seed
        self.term_norms_every = term_norms_every
        self.version = 0
        self.head: Head = logprob_and_entropy
        """What computes log-probs and entropies; another one where this was found to be wrong."""
        self.batches = 0
        """Rollout batches done, dropped ones too: the place in every schedule."""
        self.check: Callable[[], None] = lambda: None
        """Called where a step may be given up: before each micro-batch, and before a batch's first optimiser step."""
        self.intact = True
        """Whether all weights and moments are those of the last finished step; not so while an optimiser steps."""
        self.reference: nn.Module | None = None
        if "reference" in algorithm.needs and not policy.adapted:
            # KL, in the loss or in the reward, needs the initial weights for the whole run.
            self.reference = copy.deepcopy(policy.model).requires_grad_(False)
        self.parameters = [p for p in policy.model.parameters() if p.requires_grad]
        self.optimizer = Optimizer(self.parameters, settings, masters=masters)
        self.critic: Critic | None = None
        if algorithm.critic is not None:
            self.critic = Critic(policy, algorithm.critic, settings, masters=masters)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The policy's, and the critic's."""
        return [self.optimizer] if self.critic is None else [self.optimizer, self.critic.optimizer]

    def release(self) -> None:
        """Let go of all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero()

    def score(self, batch: TokenBatch, needs: frozenset[str]) -> TokenBatch:
        """The batch where the weights are, with what is asked for, [B, T] each and without gradient.

        Of `reference` and `old` log-probs and the critic's `values`.
        """
        batch = moved(batch, self.policy.device)
        with torch.no_grad():
            if "reference" in needs:
                with self._initial() as model:
                    batch = replace(batch, reference_logp_BT=self._scored(batch, model))
            if "old" in needs:
                batch = replace(batch, old_logp_BT=self._scored(batch, self.policy.model))
            if "values" in needs:
                assert self.critic is not None, "the learner's own algorithm has no critic"
                batch = replace(batch, values_BT=self.critic.values(batch, self._may_stop))
        return batch

    def update(self, batch: TokenBatch, advantages: Tensor) -> dict[str, float]:
        """`algorithm.steps_a_batch` optimiser steps on one batch; advantages are [B] or [B, T].

        Returns the metrics of the last pass, means over its mini-batches where there are more than one; of the step
        that was dropped, if one was: then the batch ends there, with mini-batches left unused if there were more.
        """
        batch, advantages = moved(batch, self.policy.device), advantages.to(self.policy.device)
        algorithm = self.algorithm.at(self.batches)
        advantage_BT = advantages[:, None].expand(batch.shape) if advantages.dim() == 1 else advantages
        more = self._batch_metrics(batch)
        if self.critic is not None:
            batch = replace(batch, returns_BT=returns_of(algorithm.credit, batch))
        parts, seen = mini_batches(batch), list[dict[str, float]]()
        passes = [order(self.seed, self.batches, number, len(parts)) for number in range(algorithm.updates)]
        for number, part in enumerate(part for each in passes for part in each):
            rows, mini = parts[part]
            rate = self.settings.rate(self.batches * algorithm.steps_a_batch + number)
            seen.append(self._step(algorithm, mini, advantage_BT[rows], rate))
            if seen[-1]["dropped"]:
                break
        self.intact = True
        self.batches += 1
        return {**_means(seen[-1:] if seen[-1]["dropped"] else seen[-len(parts) :]), **more}

    def _step(self, algorithm: Algorithm, batch: TokenBatch, advantage_BT: Tensor, rate: float) -> dict[str, float]:
        """One optimiser step: accumulate over micro-batches, clip, AdamW.

        Where a loss or a gradient, the critic's too, is not finite nothing is changed, and the metric `dropped` is 1.
        """
        policy_weight_BT, token_weight_BT = weights(algorithm, batch)
        shared_BT = (advantage_BT, policy_weight_BT, token_weight_BT)
        sums: dict[str, float] = {"entropy_coef": algorithm.entropy}
        apart = TermNorms(self.parameters) if self._measures_terms() else None
        self.release()
        with self.optimizer.accumulating():
            for micro, hidden_NH, logp_BT, entropy_BT, entropy1_BT in self._forward(batch, self.policy.model):
                terms = terms_of(batch, micro.rows, shared_BT, logp_BT=logp_BT, entropy_BT=entropy_BT)
                if apart is not None:
                    apart.add(algorithm, terms)
                loss, parts = policy_loss(algorithm, terms)
                loss.backward()
                seen = {"loss": loss.detach(), **parts, **_diagnostics(terms, entropy1_BT)}
                if self.critic is not None:
                    seen |= self.critic.learn(micro, hidden_NH.detach(), batch, token_weight_BT)
                for name, value in seen.items():
                    sums[name] = sums.get(name, 0.0) + float(value)
        sums["grad_norm"] = self.optimizer.clip()
        if self.critic is not None:
            sums["value/grad_norm"] = self.critic.optimizer.clip()
        if apart is not None:
            sums |= apart.norms()
        if not all(math.isfinite(sums.get(name, 0.0)) for name in MUST_BE_FINITE):
            self.release()
            return {**sums, "learning_rate": 0.0, "update_norm": 0.0, "dropped": 1.0}
        self._may_stop()
        self.intact, sums["dropped"] = False, 0.0
        sums["learning_rate"], sums["update_norm"] = rate, self.optimizer.step(rate)
        if self.critic is not None:
            sums["value/update_norm"] = self.critic.optimizer.step()
        self.version += 1
        return sums

    def _forward(self, batch: TokenBatch, model: Any) -> Iterator[tuple[MicroBatch, Tensor, Tensor, Tensor, Tensor]]:
        """Per micro-batch: hidden states [N, H]; log p, entropy at the sampling temperature and at 1, each [b, T]."""
        decoder, head_VH = model.get_decoder(), model.get_output_embeddings().weight
        device = head_VH.device
        for micro in batch.micro:
            self._may_stop()
            hidden_NH = states(decoder, micro, device)
            flat = self.head(hidden_NH, head_VH, micro.target_N.to(device), self.temperature)
            logp_BT, entropy_BT, entropy1_BT = (placed(values_N, micro, batch.shape[1]) for values_N in flat)
            yield micro, hidden_NH, logp_BT, entropy_BT, entropy1_BT

    def _scored(self, batch: TokenBatch, model: Any) -> Tensor:
        parts = [(list(micro.rows), logp_BT) for micro, _, logp_BT, _, _ in self._forward(batch, model)]
        scored_BT = parts[0][1].new_zeros(batch.shape)
        for rows, logp_BT in parts:
            scored_BT[rows] = logp_BT
        return scored_BT

    @contextmanager
    def _initial(self) -> Iterator[Any]:
        """The model with the weights that the run began with."""
        if self.policy.adapted:
            with self.policy.initial() as model:
                yield model
        else:
            assert self.reference is not None, "the learner's own algorithm needs no reference"
            yield self.reference

    def _batch_metrics(self, batch: TokenBatch) -> dict[str, float]:
        """What is known of a scored batch before any step: the advantages' spread, how well the critic knew."""
        found = {"adv_std": spread_before_whitening(self.algorithm.credit, batch)}
        if self.critic is not None:
            assert batch.values_BT is not None, "the critic has scored the batch"
            returns_BT = returns_of(self.algorithm.credit, batch)
            found["value/explained_variance"] = explained_variance(batch.values_BT, returns_BT, batch.mask_BT)
        return {name: value for name, value in found.items() if value is not None}

    def _measures_terms(self) -> bool:
        return self.term_norms_every > 0 and self.batches % self.term_norms_every == 0

    def _may_stop(self) -> None:
        if self.intact:
            self.check()


def _means(seen: Sequence[dict[str, float]]) -> dict[str, float]:
    """One step's metrics as they are; of more, their means, and the last one's learning rate."""
    if len(seen) == 1:
        return seen[0]
    return {name: fmean(each[name] for each in seen) for name in seen[-1]} | {
        "learning_rate": seen[-1]["learning_rate"]
    }


def _diagnostics(terms: Terms, entropy1_BT: Tensor) -> dict[str, Tensor]:
    """Token means of what is watched but not optimised, as sums over these rows.

    The sampler is compared with the weights that sampled: later in a batch those are the old log-probs.
    """
    assert terms.sampler_logp_BT is not None, "packing always has them"
    with torch.no_grad():
        weight_BT, logp_BT = terms.token_weight_BT, terms.logp_BT
        old_BT = logp_BT if terms.old_logp_BT is None else terms.old_logp_BT
        ratio_BT = (logp_BT - old_BT).exp()
        return {
            "entropy_t1": (weight_BT * entropy1_BT).sum(),
            "mismatch/logprob": (weight_BT * (old_BT - terms.sampler_logp_BT).abs()).sum(),
            "ratio/mean": (weight_BT * ratio_BT).sum(),
        }
