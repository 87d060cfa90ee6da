"""A task of one token that every way of training has to solve."""

from __future__ import annotations

from functools import partial

import torch

from oneshot.data.minibatches import in_parts
from oneshot.data.packing import pack
from oneshot.model.policy import Policy
from oneshot.rollout.collect import collect
from oneshot.rollout.native import NativeEngine
from oneshot.train.learner import Learner
from oneshot.types import Problem, Sampling, Verdict
from tests.parts import one_step

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
