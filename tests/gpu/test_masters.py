"""Float32 masters with a bfloat16 working copy, and PPO's critic, on CUDA.

These tests have never run on a GPU; the code they look at has not either. `make gpu` runs them.
"""

from __future__ import annotations

import pytest
import torch

from oneshot.algos.algorithm import configured
from oneshot.algos.zoo import ALGORITHMS
from oneshot.train.learner import Learner
from tests.parts import batch_of, learner_of, lowered, one_step, ragged_groups, tiny_policy

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch sees none")


def on_gpu(algorithm: str, *, lr: float = 1e-3, **options: object) -> Learner:
    policy = tiny_policy()
    policy.model.cuda()
    made = configured(ALGORITHMS.build(algorithm, options), {"kl": 0.05, "entropy": 0.01})
    return learner_of(policy, made, masters=lowered(policy), lr=lr)


def test_small_steps_add_up_in_the_masters_and_the_working_copy_follows() -> None:
    learner = on_gpu("grpo", lr=1e-6)
    before = [m.detach().clone() for m in learner.optimizer.masters]
    for _ in range(3):
        assert one_step(learner, batch_of(ragged_groups(), micro_tokens=32))["update_norm"] > 0
    for parameter, master, start in zip(learner.parameters, learner.optimizer.masters, before, strict=True):
        assert (parameter.dtype, parameter.grad, master.dtype) == (torch.bfloat16, None, torch.float32)
        assert torch.equal(parameter, master.detach().to(torch.bfloat16))
        assert not torch.equal(master, start)


def test_its_gradient_is_near_that_of_float32() -> None:
    """bfloat16 has 8 bits, so a tiny random model's gradient is right to some per cent."""
    exact = learner_of(tiny_policy(dtype=torch.float64), configured(ALGORITHMS.build("grpo"), {"entropy": 0.01}))
    learner = on_gpu("grpo")
    learner.algorithm = exact.algorithm
    norms = [one_step(each, batch_of(ragged_groups()))["grad_norm"] for each in (exact, learner)]
    assert norms[1] == pytest.approx(norms[0], rel=0.1)


def test_ppo_has_a_model_of_its_own_as_critic_there() -> None:
    learner = on_gpu("ppo", critic_lr=1e-3)
    assert learner.critic is not None
    assert learner.critic.own
    seen = [one_step(learner, batch_of(ragged_groups())) for _ in range(5)]
    assert all(value == value for row in seen for value in row.values())
    assert seen[-1]["value/update_norm"] > 0
