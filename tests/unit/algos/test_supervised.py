"""Imitation: the gradient of the mean log-probability of what was paid, whatever the groups and settings."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from oneshot.algos.algorithm import configured
from oneshot.algos.supervised import imitation
from oneshot.algos.zoo import ALGORITHMS
from tests.toy import MASK, START, batch, gradient_of, log_probs, on_policy


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "rloo", "gspo", "reinforce_pp", "max_rl"])
def test_the_gradient_is_that_of_maximum_likelihood(name: str) -> None:
    algorithm = configured(ALGORITHMS.build(name), {"kl": 0.5, "entropy": 0.3, "policy": 0.0, "importance_cap": 2.0})
    leaf = START.clone().requires_grad_()
    (expected,) = torch.autograd.grad(-log_probs(leaf)[MASK].mean(), leaf)
    scored = on_policy(batch(rewards=(1,) * 8))
    torch.testing.assert_close(gradient_of(imitation(algorithm), scored), expected)


def test_only_what_was_paid_is_imitated_and_the_denominator_stays() -> None:
    made = imitation(ALGORITHMS.build("grpo"))
    leaf = START.clone().requires_grad_()
    (expected,) = torch.autograd.grad(-log_probs(leaf)[0][MASK[0]].sum() / MASK.sum(), leaf)
    torch.testing.assert_close(gradient_of(made, on_policy(batch(rewards=(1, 0, 0, 0, 0, 0, 0, 0)))), expected)


def test_nothing_but_the_responses_is_asked_for_and_updates_stay() -> None:
    made = imitation(configured(ALGORITHMS.build("grpo"), {"kl": 0.5, "updates": 2}))
    assert made.updates == 2
    assert made.needs == {"old"}
    assert imitation(replace(made, updates=1)).needs == frozenset()
