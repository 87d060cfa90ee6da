"""Loss and gradient agree with TRL 1.16 on the same tensors; TRL is fed our advantages.

TRL's own `_compute_loss` runs unchanged on a stand-in for its trainer: one process, one micro-batch, its KL correction
set explicitly, KL 0 where its normaliser of that term is another than ours. Needs the extra `oracle`.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from oneshot.algos.algorithm import Algorithm, configured, policy_loss
from oneshot.algos.penalty import k3, rho_k3
from oneshot.algos.surrogate import importance
from oneshot.algos.weighting import sequence_mean
from oneshot.algos.zoo import ALGORITHMS
from oneshot.types import TokenBatch
from tests import toy
from tests.parts import apart, batch_of, gradients, group, learner_of, one_step, tiny_policy


def _trl() -> str:
    try:
        return version("trl")
    except PackageNotFoundError:
        return ""


if not _trl().startswith("1.16."):
    pytest.skip(f"the oracle is TRL 1.16 (found: {_trl() or 'none'}): pip install '.[oracle]'", allow_module_level=True)

from trl import GRPOTrainer  # noqa: E402
from trl.trainer.rloo_trainer import RLOOTrainer  # noqa: E402
from trl.trainer.utils import add_fused_lm_head  # noqa: E402


@dataclass(frozen=True)
class Case:
    """One of our algorithms and the settings under which TRL's trainer is the same."""

    name: str
    trl: Mapping[str, Any]
    options: Mapping[str, float] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)
    trainer: type = GRPOTrainer

    def algorithm(self) -> Algorithm:
        return configured(ALGORITHMS.build(self.name, self.options), self.shared)


PPO = {"epsilon_low": 0.2, "epsilon_high": 0.2}
LEVEL = {"importance_sampling_level": "sequence"}
TIGHT = {"clip_low": 0.05, "clip_high": 0.05}
EPS_TIGHT = {"epsilon_low": 0.05, "epsilon_high": 0.05}
NARROW = {"clip_low": 0.02, "clip_high": 0.02}
EPS_NARROW = {"epsilon_low": 0.02, "epsilon_high": 0.02}
KL = {"kl": 0.3, "kl_of": k3}
RHO = {"kl": 0.3, "kl_of": rho_k3}
BONUS = {"entropy_coef": 0.2}
CASES = {
    "grpo": Case("grpo", {"loss_type": "dapo", **PPO}),
    "grpo, tight clip": Case("grpo", {"loss_type": "dapo", **EPS_TIGHT}, TIGHT),
    "grpo, KL and entropy": Case(
        "grpo", {"loss_type": "dapo", **PPO, **BONUS, "beta": 0.3}, {}, {**KL, "entropy": 0.2}
    ),
    "grpo, rho_k3": Case("grpo", {"loss_type": "dapo", **PPO, "beta": 0.3, "corrected": True}, {}, RHO),
    "grpo, importance": Case("grpo", {"loss_type": "dapo", **PPO, "cap": 1.1}, {}, {"importance_cap": 1.1}),
    "grpo by sequence": Case("grpo", {"loss_type": "grpo", **PPO}, {}, {"weighting": sequence_mean}),
    "dr_grpo": Case("dr_grpo", {"loss_type": "dr_grpo", **PPO}),
    "dr_grpo, tight, entropy": Case("dr_grpo", {"loss_type": "dr_grpo", **EPS_TIGHT, **BONUS}, TIGHT, {"entropy": 0.2}),
    "dapo": Case("dapo", {"loss_type": "dapo", "epsilon_low": 0.2, "epsilon_high": 0.28}),
    "dapo, tight": Case(
        "dapo", {"loss_type": "dapo", "epsilon_low": 0.05, "epsilon_high": 0.08}, {"clip_low": 0.05, "clip_high": 0.08}
    ),
    "gspo": Case("gspo", {"loss_type": "grpo", "epsilon_low": 3e-4, "epsilon_high": 4e-4, **LEVEL}),
    "gspo, wide, entropy": Case(
        "gspo", {"loss_type": "grpo", **EPS_NARROW, **LEVEL, **BONUS}, NARROW, {"entropy": 0.2}
    ),
    "cispo": Case("cispo", {"loss_type": "cispo", "epsilon_low": 0.2, "epsilon_high": 5.0}),
    "cispo, tight, KL": Case(
        "cispo", {"loss_type": "cispo", "epsilon_low": 0.2, "epsilon_high": 1.05, "beta": 0.3}, {"clip_high": 0.05}, KL
    ),
    "rloo": Case("rloo", PPO, trainer=RLOOTrainer),
    "rloo, tight": Case("rloo", EPS_TIGHT, TIGHT, trainer=RLOOTrainer),
}


def trainer_of(case: Case, scores: Callable[..., Any], *, limit: int, temperature: float = 1.0) -> Any:
    """What `_compute_loss` reads of a trainer: one process, no accumulation, nothing on that we do not have."""
    told = dict(case.trl)
    reduce = partial(lambda tensor, reduction: tensor)
    args = SimpleNamespace(use_bias_correction_kl=told.pop("corrected", False), delta=None, steps_per_generation=1)
    accelerator = SimpleNamespace(
        num_processes=1,
        gather=lambda tensor: tensor,
        reduce=reduce,
        autocast=nullcontext,
        sync_gradients=True,
        is_main_process=True,
    )
    made = SimpleNamespace(
        args=args,
        accelerator=accelerator,
        model=SimpleNamespace(training=True),
        temperature=temperature,
        beta=0.0,
        importance_sampling_level="token",
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm="cap" in told,
        vllm_importance_sampling_correction="cap" in told,
        current_gradient_accumulation_steps=1,
        max_completion_length=limit,
        aux_loss_enabled=False,
        use_adaptive_entropy=False,
        _entropy_bonus_enabled="entropy_coef" in told,
        _get_per_token_logps_and_entropies=scores,
        _metrics=defaultdict(lambda: defaultdict(list)),
    )
    made.__dict__.update(told)
    return made


def inputs_of(batch: TokenBatch, advantages_B: Tensor, prompt: Tensor, tokens_BT: Tensor, cap: float) -> dict[str, Any]:
    """A batch as TRL's trainer prepares it."""
    mask_BT = batch.mask_BT.long()
    given = {
        "prompt_ids": prompt.expand(len(tokens_BT), -1),
        "prompt_mask": torch.ones_like(prompt).expand(len(tokens_BT), -1),
        "completion_ids": tokens_BT,
        "completion_mask": mask_BT,
        "advantages": advantages_B,
        "num_items_in_batch": mask_BT.sum(),
        "ref_per_token_logps": batch.reference_logp_BT,
    }
    if batch.old_logp_BT is not None:
        given["old_per_token_logps"] = batch.old_logp_BT
        given["old_logps"] = (batch.old_logp_BT * mask_BT).sum(1)
    if cap:
        given["importance_sampling_ratio"] = importance(batch.old_logp_BT, batch.sampler_logp_BT, cap)
    return given


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest expected value."""
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())


BATCH = toy.batch([1, 0, 0, 0.5, 0, 1, 0, 0], groups=[0] * 4 + [1] * 4)


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_on_the_same_tensors(case: str) -> None:
    """float64 throughout, save our weights, which are float32: 1/20 of them has a relative error near 1e-8."""
    ours, theirs = (toy.START.clone().requires_grad_() for _ in range(2))
    algorithm = CASES[case].algorithm()
    terms = toy.terms_of(algorithm, BATCH, ours)
    loss, parts = policy_loss(algorithm, terms)

    def scores(*_: Any, **__: Any) -> tuple[Tensor, Tensor, None]:
        logp_BTV = theirs.log_softmax(-1)
        return toy.log_probs(theirs), -(logp_BTV.exp() * logp_BTV).sum(-1), None

    trainer = trainer_of(CASES[case], scores, limit=toy.LIMIT)
    cap = CASES[case].trl.get("cap", 0.0)
    prompt = torch.ones(1, 2, dtype=torch.long)
    given = inputs_of(BATCH, algorithm.credit(BATCH), prompt, toy.TARGET, cap)
    expected = CASES[case].trainer._compute_loss(trainer, None, given)
    (gradient,) = torch.autograd.grad(loss, ours)
    (expected_gradient,) = torch.autograd.grad(expected, theirs)
    # Advantages cancel, so the loss is compared with the sum of what is added up in it.
    scale = (terms.policy_weight_BT * terms.advantage_BT.abs()).sum()
    found = float((loss - expected).detach().abs() / scale), difference(gradient, expected_gradient)
    print(f"{case}: loss and gradient differ by {found[0]:.1e} and {found[1]:.1e}, relative")
    assert max(found) < 1e-7
    metrics = trainer._metrics["train"]
    if (
        CASES[case].trainer is GRPOTrainer
        and "low_mean" in "".join(metrics)
        and "sequence" not in CASES[case].trl.values()
    ):
        for name in ("clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean"):
            assert float(parts[name]) == pytest.approx(metrics[name][0], abs=1e-6)


def test_the_cases_reach_both_sides_of_the_clip() -> None:
    """The agreement above says something about clipping."""
    for case in ("grpo, tight clip", "dapo, tight", "gspo", "gspo, wide, entropy", "rloo, tight"):
        algorithm = CASES[case].algorithm()
        parts = policy_loss(algorithm, toy.terms_of(algorithm, BATCH, toy.START))[1]
        assert parts["clip_ratio/low_mean"] > 0, case
        assert parts["clip_ratio/high_mean"] > 0, case
    algorithm = CASES["cispo, tight, KL"].algorithm()
    assert policy_loss(algorithm, toy.terms_of(algorithm, BATCH, toy.START))[1]["clip_ratio/high_mean"] > 0


MODEL_CASES = ("grpo", "grpo by sequence", "dr_grpo, tight, entropy", "dapo", "gspo, wide, entropy", "cispo", "rloo")
PROMPT = (5, 17, 40, 41)
RESPONSES = [(4, 5, 6, 7), (50,), (60, 61, 62), (10, 11), (9,), (8, 8), (3, 4, 5), (70, 71, 72, 73)]


@pytest.mark.parametrize("case", MODEL_CASES)
def test_gradient_of_a_model(case: str) -> None:
    """From token ids to the gradient of every weight: packed rows against TRL's padded ones, at temperature 0.7."""
    algorithm, policy = CASES[case].algorithm(), tiny_policy(seed=3)
    groups = [group(i, PROMPT, RESPONSES[4 * i : 4 * i + 4], [1, 0, 0, i]) for i in range(2)]
    batch = batch_of(groups, micro_tokens=12)
    assert len(batch.micro) > 1
    learner = learner_of(policy, algorithm, temperature=0.7, grad_clip=0, lr=0.0)
    theirs = copy.deepcopy(policy.model)
    metrics = one_step(learner, batch)

    add_fused_lm_head(theirs, temperature=0.7, outputs=("log_probs", "entropy"))
    trainer = trainer_of(CASES[case], lambda *_: None, limit=batch.max_response, temperature=0.7)
    trainer._get_per_token_logps_and_entropies = partial(
        CASES[case].trainer._get_per_token_logps_and_entropies, trainer
    )
    tokens_BT = torch.zeros(batch.shape, dtype=torch.long)
    for row, response in enumerate(RESPONSES):
        tokens_BT[row, : len(response)] = torch.tensor(response)
    scored = replace(batch, old_logp_BT=learner.score(batch, frozenset({"old"})).old_logp_BT)
    given = inputs_of(scored, algorithm.credit(batch), torch.tensor([PROMPT]), tokens_BT, 0.0)
    expected = CASES[case].trainer._compute_loss(trainer, theirs, given)
    expected.backward()
    slope = torch.cat([p.grad.flatten() for p in theirs.parameters() if p.grad is not None])
    found = apart(gradients(learner), slope)
    print(f"{case}: the gradients are {found:.1e} apart, relative")
    assert found < 1e-5
    assert metrics["loss"] == pytest.approx(float(expected.detach()), rel=1e-5, abs=1e-6)
