"""Activations that are computed again: the same numbers to the bit, less memory, and a sampler that never notices."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from oneshot.model.checkpointing import keep_all, recompute, recomputes
from oneshot.model.lora import adapt
from oneshot.model.policy import Policy
from oneshot.rollout.native import NativeEngine
from oneshot.types import Sampling
from tests.live import Live
from tests.parts import batch_of, grpo, learner_of, one_step, ragged_groups, tiny_policy


def stepped(policy: Policy) -> tuple[Tensor, dict[str, float]]:
    """Weights and metrics after one step with KL and entropy, in several micro-batches."""
    learner = learner_of(policy, grpo(kl=0.01, entropy=0.01), temperature=0.7)
    metrics = one_step(learner, batch_of(ragged_groups(), micro_tokens=24))
    return torch.cat([p.detach().flatten() for p in learner.parameters]), metrics


def test_a_step_is_the_same_to_the_bit() -> None:
    plain, again = tiny_policy(layers=3), tiny_policy(layers=3)
    assert recompute(again.model) == 3
    (weights, metrics), (expected, wanted) = stepped(again), stepped(plain)
    assert torch.equal(weights, expected)
    assert metrics == wanted


def test_the_gradient_is_the_same_to_the_bit_and_takes_less_memory() -> None:
    peaks, found = [], []
    for on in (False, True):
        policy = tiny_policy(layers=6)
        if on:
            recompute(policy.model)
        ids = torch.arange(4, 100)[None]
        with Live() as live:
            policy.decoder(input_ids=ids, use_cache=False).last_hidden_state.square().mean().backward()
        peaks.append(live.peak)
        found.append({name: p.grad for name, p in policy.model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(grad, found[1][name]) for name, grad in found[0].items())
    assert peaks[1] < 0.6 * peaks[0], peaks


def test_so_is_a_step_of_an_adapter() -> None:
    found = []
    for on in (False, True):
        policy = adapt(tiny_policy(), rank=4, seed=3)
        if on:
            recompute(policy.model)
        found.append(stepped(policy))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_stays_off_and_every_module_in_evaluation_mode(dropout: float) -> None:
    policy = tiny_policy()
    for module in policy.model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = dropout
    recompute(policy.model)
    ids = torch.arange(4, 40)[None]
    first, second = (policy.decoder(input_ids=ids, use_cache=False).last_hidden_state for _ in range(2))
    assert first.requires_grad
    assert torch.equal(first, second)
    assert not any(module.training for module in policy.model.modules())


def test_the_sampler_keeps_its_cache() -> None:
    plain, again = tiny_policy(), tiny_policy()
    recompute(again.model)
    sampling, streams = Sampling(max_new_tokens=12), [(0, i) for i in range(5)]
    drawn = [NativeEngine(policy).generate([(1, 58, 75, 2)] * 5, sampling, streams) for policy in (plain, again)]
    assert drawn[0] == drawn[1]


def test_a_copy_is_independent_and_it_can_be_taken_back() -> None:
    policy = tiny_policy()
    recompute(policy.model)
    twin = copy.deepcopy(policy.model)
    assert recomputes(twin)
    with torch.no_grad():
        for p in twin.parameters():
            p.zero_()
    ids = torch.arange(4, 20)[None]
    assert not twin.get_decoder()(input_ids=ids).last_hidden_state.any()
    assert policy.decoder(input_ids=ids).last_hidden_state.any()
    keep_all(policy.model)
    assert not recomputes(policy.model)
    assert recomputes(twin)


def test_an_architecture_without_such_layers_is_left_alone() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    assert recompute(model) == 0
    assert not recomputes(model)
