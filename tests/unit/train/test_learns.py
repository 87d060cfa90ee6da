"""Exact and useless is a failure: every algorithm solves a one-token task (docs/design.md)."""

from __future__ import annotations

import pytest

from oneshot.algos.algorithm import configured
from oneshot.algos.credit import less_kl, pooled, whitened, z_scored
from oneshot.algos.penalty import rho_k3
from oneshot.algos.zoo import ALGORITHMS
from oneshot.model.lora import adapt
from tests.parts import grpo, learner_of, lowered, tiny_policy
from tests.unit.train.one_token import learned

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
