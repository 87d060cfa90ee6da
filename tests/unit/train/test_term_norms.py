"""The gradient norm of each term: by leaving the others out, and without a trace in the step."""

from __future__ import annotations

import pytest
import torch

from tests.parts import batch_of, gradients, grpo, learner_of, lowered, one_step, ragged_groups, tiny_policy

FULL = {"kl": 0.5, "entropy": 0.1, "policy": 0.7}
ALONE = {
    "policy": {"kl": 0.0, "entropy": 0.0},
    "kl": {"policy": 0.0, "entropy": 0.0},
    "entropy": {"policy": 0.0, "kl": 0.0},
}


def test_each_term_s_norm_is_that_of_a_step_with_it_alone() -> None:
    """In the second step, where KL has a slope; over several micro-batches."""
    batch, seen = batch_of(ragged_groups(), micro_tokens=24), {}
    learner = learner_of(tiny_policy(), grpo(**FULL), grad_clip=0, term_norms_every=1)
    first = one_step(learner, batch)
    assert first["grad_norm/kl"] == pytest.approx(0.0, abs=1e-6)
    weights = {name: tensor.clone() for name, tensor in learner.policy.model.state_dict().items()}
    seen = one_step(learner, batch)
    for name, others in ALONE.items():
        single = learner_of(tiny_policy(), grpo(**FULL), grad_clip=0)
        single.policy.model.load_state_dict(weights)
        single.algorithm = grpo(**{**FULL, **others})
        norm = one_step(single, batch)["grad_norm"]
        assert seen[f"grad_norm/{name}"] == pytest.approx(norm, rel=1e-4), name
        assert norm > 1e-3


def test_measuring_changes_no_bit_of_the_step() -> None:
    batch = batch_of(ragged_groups(), micro_tokens=24)
    plain, measured = (learner_of(tiny_policy(), grpo(**FULL), term_norms_every=every) for every in (0, 2))
    for number in range(3):
        without, found = one_step(plain, batch), one_step(measured, batch)
        extra = {name for name in found if name.startswith("grad_norm/")}
        assert bool(extra) is (number % 2 == 0)
        assert {name: value for name, value in found.items() if name not in extra} == without
        assert torch.equal(gradients(plain), gradients(measured))


def test_terms_that_are_off_have_no_norm() -> None:
    learner = learner_of(tiny_policy(), grpo(entropy=0.1, policy=0.0), term_norms_every=1)
    seen = one_step(learner, batch_of(ragged_groups()))
    assert {name for name in seen if name.startswith("grad_norm/")} == {"grad_norm/entropy"}
    assert seen["grad_norm/entropy"] == pytest.approx(seen["grad_norm"], rel=1e-6)


def test_with_masters_the_measurement_is_no_part_of_their_gradient() -> None:
    results = []
    for every in (0, 1):
        policy = tiny_policy()
        learner = learner_of(policy, grpo(**FULL), masters=lowered(policy), term_norms_every=every)
        one_step(learner, batch_of(ragged_groups()))
        results.append([m.detach().clone() for m in learner.optimizer.masters])
    assert all(map(torch.equal, *results))
