"""Several optimiser steps a pass: each on whole groups of its own, weighted by its own responses."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from oneshot.algos.weighting import WEIGHTINGS
from oneshot.data.minibatches import in_parts, order
from oneshot.data.packing import pack
from oneshot.train.learner import Learner
from oneshot.types import TokenBatch
from tests.parts import batch_of, grpo, learner_of, one_step, ragged_groups, tiny_policy

PACK = partial(pack, max_response=16, micro_tokens=1024)
FULL = {"kl": 0.05, "entropy": 0.01}


def divided(count: int) -> TokenBatch:
    return in_parts(ragged_groups(), count, PACK)


def weights_of(learner: Learner) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in learner.parameters])


@pytest.mark.parametrize("weighting", WEIGHTINGS.names())
def test_two_mini_batches_are_two_steps_on_their_own_responses(weighting: str) -> None:
    """By hand: packed apart, with the advantages, old and reference log-probs of before the first step."""
    changes: dict[str, Any] = {**FULL, "weighting": WEIGHTINGS.build(weighting)}
    learner, manual = (learner_of(tiny_policy(), grpo(**changes, minibatches=n), seed=4) for n in (3, 3))
    one_step(learner, divided(3))
    groups, needs = ragged_groups(), manual.algorithm.needs
    assert needs == {"old", "reference"}
    parts = [manual.score(PACK([g]), needs) for g in groups]  # all scored before the first step
    manual.algorithm = grpo(**changes)
    for i in order(4, 0, 0, 3):
        manual.update(parts[i], manual.algorithm.credit(parts[i]))
    torch.testing.assert_close(weights_of(learner), weights_of(manual), rtol=1e-5, atol=1e-7)
    assert (learner.version, learner.batches) == (3, 1)
    whole = learner_of(tiny_policy(), grpo(**changes))
    one_step(whole, batch_of(groups))
    assert not torch.allclose(weights_of(whole), weights_of(learner), rtol=1e-3, atol=1e-5)


def test_each_pass_has_an_order_of_its_own_and_a_seed_decides() -> None:
    def end(seed: int) -> torch.Tensor:
        learner = learner_of(tiny_policy(), grpo(updates=2, minibatches=3), seed=seed)
        for _ in range(2):
            one_step(learner, divided(3))
        return weights_of(learner)

    assert torch.equal(end(1), end(1))
    assert not torch.equal(end(1), end(2))


def test_the_ratio_is_to_the_log_probs_before_the_first_step() -> None:
    learner = learner_of(tiny_policy(), grpo(minibatches=3), seed=4)
    seen = one_step(learner, divided(3))
    assert abs(seen["ratio/mean"] - 1) > 1e-5
    plain = one_step(learner_of(tiny_policy(), grpo()), divided(1))
    assert plain["ratio/mean"] == pytest.approx(1.0)
    # The sampler is compared with the weights that sampled: the mean over mini-batches of their own token means.
    parts = [learner_of(tiny_policy(), grpo()) for _ in range(3)]
    own = [one_step(each, PACK([g]))["mismatch/logprob"] for each, g in zip(parts, ragged_groups(), strict=True)]
    assert seen["mismatch/logprob"] == pytest.approx(sum(own) / 3, rel=1e-5)


def test_learning_rate_and_entropy_follow_their_own_counts() -> None:
    learner = learner_of(tiny_policy(), grpo(updates=2, minibatches=3), warmup=12)
    assert [one_step(learner, divided(3))["learning_rate"] for _ in range(2)] == pytest.approx([5e-4, 1e-3])
    assert learner.version == 12


def test_a_dropped_mini_batch_ends_its_batch() -> None:
    learner = learner_of(tiny_policy(), grpo(minibatches=3), seed=4)
    batch = learner.score(divided(3), learner.algorithm.needs)
    advantages = learner.algorithm.credit(batch)
    second = order(4, 0, 0, 3)[1]
    start = sum(batch.parts[:second])
    advantages[start] = float("nan")
    seen = learner.update(batch, advantages)
    assert (seen["dropped"], seen["learning_rate"]) == (1.0, 0.0)
    assert (learner.version, learner.batches, learner.intact) == (1, 1, True)


def test_with_fewer_groups_than_mini_batches_each_group_is_one() -> None:
    learner = learner_of(tiny_policy(), grpo(minibatches=8))
    one_step(learner, divided(8))
    assert learner.version == 3


def test_one_mini_batch_is_the_batch_to_the_bit() -> None:
    one, other = (learner_of(tiny_policy(), grpo(**FULL), seed=seed) for seed in (0, 9))
    first, second = one_step(one, divided(1)), one_step(other, replace(batch_of(ragged_groups())))
    assert first == second
    assert torch.equal(weights_of(one), weights_of(other))
