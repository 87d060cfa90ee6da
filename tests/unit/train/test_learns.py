"""Exact and useless is a failure: every algorithm solves a one-token task (docs/design.md)."""

from __future__ import annotations

import pytest
import torch

from oneshot.algos.zoo import ALGORITHMS
from oneshot.model.policy import Policy
from oneshot.rollout.collect import collect
from oneshot.rollout.native import NativeEngine
from oneshot.types import Problem, Sampling, Verdict
from tests.parts import batch_of, learner_of, one_step, tiny_policy

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


@pytest.mark.parametrize("name", ALGORITHMS.names())
def test_a_one_token_task_is_learned(name: str) -> None:
    policy = tiny_policy(seed=1)
    learner = learner_of(policy, ALGORITHMS.build(name), lr=3e-3)
    engine, verify = NativeEngine(policy), Good(policy)
    problems = [Problem(id="p", prompt="?", answer="good")] * 4
    before = success_rate(policy)
    assert before <= 0.3
    for step in range(100):
        groups = collect(
            engine, problems, lambda _: PROMPT, verify, Sampling(max_new_tokens=1, seed=0), step, group_size=8
        )
        one_step(learner, batch_of(groups))
        if success_rate(policy) >= 0.9:
            break
    assert success_rate(policy) >= 0.9, f"{before:.2f} -> {success_rate(policy):.2f} in {step + 1} updates"
