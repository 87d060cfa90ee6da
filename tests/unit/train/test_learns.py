"""Exact and useless is a failure: every algorithm solves a one-token task (docs/design.md)."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from oneshot.algos.algorithm import configured
from oneshot.algos.credit import less_kl, pooled, whitened, z_scored
from oneshot.algos.penalty import rho_k3
from oneshot.algos.zoo import ALGORITHMS
from oneshot.data.minibatches import in_parts
from oneshot.data.packing import pack
from oneshot.model.lora import adapt
from oneshot.model.policy import Policy
from oneshot.rollout.collect import collect
from oneshot.rollout.native import NativeEngine
from oneshot.train.learner import Learner
from oneshot.types import Problem, Sampling, Verdict
from tests.parts import grpo, learner_of, lowered, one_step, tiny_policy

PROMPT = (5, 17, 40, 41, 90, 7)
GOOD = range(32, 96)
"""Rewarded tokens: 64 of 260."""


class Good:
    """Correct when the one token, read as text, is one of GOOD's."""

    name = "good"

    def __init__(self, policy: Policy) -> None:
        self.texts = {policy.decode([token]) for token in GOOD}

    def __call__(self, response: str, reference: str) -> Verdict:
        return Verdict(correct=response in self.texts, extracted=response, method="exact")


@torch.no_grad()
def success_rate(policy: Policy) -> float:
    """Exact: the probability mass of GOOD after the prompt."""
    logits_V = policy.model(input_ids=torch.tensor([PROMPT])).logits[0, -1]
    return float(logits_V.softmax(-1)[list(GOOD)].sum())


CASES = {
    **{name: ALGORITHMS.build(name) for name in ALGORITHMS.names()},
    "reinforce_pp, group": ALGORITHMS.build("reinforce_pp", {"baseline": "group"}),
    "ppo, a model as critic": ALGORITHMS.build("ppo", {"critic": "model", "critic_lr": 1e-3}),
    "two updates a batch": grpo(updates=2, importance_cap=2.0),
    "two mini-batches": grpo(minibatches=2),
    "KL in the loss": grpo(kl=0.01, kl_of=rho_k3),
    "KL in the reward": configured(ALGORITHMS.build("reinforce_pp"), {"credit": less_kl(whitened(), 0.01)}),
    "pooled groups": grpo(credit=pooled(z_scored)),
}


def learned(policy: Policy, learner: Learner) -> None:
    """From at most .3 to at least .9 in at most 100 rollout batches."""
    engine, verify = NativeEngine(policy), Good(policy)
    problems = [Problem(id="p", prompt="?", answer="good")] * 4
    before = success_rate(policy)
    assert before <= 0.3
    for step in range(100):
        groups = collect(
            engine, problems, lambda _: PROMPT, verify, Sampling(max_new_tokens=1, seed=0), step, group_size=8
        )
        packing = partial(pack, max_response=16, micro_tokens=1024)
        one_step(learner, in_parts(groups, learner.algorithm.minibatches, packing))
        if success_rate(policy) >= 0.9:
            break
    assert success_rate(policy) >= 0.9, f"{before:.2f} -> {success_rate(policy):.2f} in {step + 1} updates"


@pytest.mark.parametrize("name", CASES)
def test_a_one_token_task_is_learned(name: str) -> None:
    policy = tiny_policy(seed=1)
    learned(policy, learner_of(policy, CASES[name], lr=3e-3))


def test_it_is_learned_in_bfloat16_with_float32_masters() -> None:
    policy = tiny_policy(seed=1)
    masters = lowered(policy)
    learned(policy, learner_of(policy, grpo(), lr=3e-3, masters=masters))


@pytest.mark.parametrize("critic", ["head", "model"])
def test_it_is_learned_by_an_adapter_with_a_critic(critic: str) -> None:
    policy = adapt(tiny_policy(seed=1), rank=8, seed=0)
    algorithm = ALGORITHMS.build("ppo", {"critic": critic, "critic_lr": 1e-3})
    learned(policy, learner_of(policy, algorithm, lr=1e-2))
