"""A whole step against the loss written out the plain way: one forward a response, log_softmax, autograd, float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from oneshot.algos.algorithm import configured
from oneshot.algos.zoo import ALGORITHMS
from oneshot.types import Group
from tests.parts import apart, batch_of, gradients, learner_of, one_step, ragged_groups, tiny_policy

T, KL, ENTROPY = 0.6, 0.3, 0.05
MAX_RESPONSE = 16  # as `batch_of` has it


def z_scores(rewards: list[float]) -> list[float]:
    mean = sum(rewards) / len(rewards)
    std = (sum((r - mean) ** 2 for r in rewards) / (len(rewards) - 1)) ** 0.5
    return [(r - mean) / (std + 1e-6) for r in rewards]


def tempered(model: Any, prompt: tuple[int, ...], response: tuple[int, ...]) -> Tensor:
    """[t, V] log-probabilities at T of every response position."""
    logits = model(input_ids=torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
    return (logits / T).log_softmax(-1)


def plain_terms(model: Any, reference: Any, groups: list[Group], centre: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over all tokens: −ρA at ρ = 1 (only its gradient matters), k3, entropy."""
    policy, kl, entropy = (torch.zeros((), dtype=torch.float64) for _ in range(3))
    for group in groups:
        advantages = centre([c.reward for c in group.completions])
        for completion, advantage in zip(group.completions, advantages, strict=True):
            logp_tV = tempered(model, group.prompt_tokens, completion.tokens)
            index = torch.tensor(completion.tokens)[:, None]
            logp_t = logp_tV.gather(1, index)[:, 0]
            with torch.no_grad():
                reference_t = tempered(reference, group.prompt_tokens, completion.tokens).gather(1, index)[:, 0]
            d_t = reference_t - logp_t
            policy = policy - ((logp_t - logp_t.detach()).exp() * advantage).sum()
            kl = kl + (d_t.exp() - d_t - 1).sum()
            entropy = entropy - (logp_tV.exp() * logp_tV).sum()
    return policy, kl, entropy


@pytest.mark.parametrize("name", ["grpo", "dr_grpo"])
def test_a_step_of_the_learner(name: str) -> None:
    groups = ragged_groups()
    algorithm = configured(ALGORITHMS.build(name), {"kl": KL, "entropy": ENTROPY, "policy": 0.7})
    learner = learner_of(tiny_policy(dtype=torch.float64), algorithm, temperature=T, grad_clip=0, lr=0.0)
    model, reference = learner.policy.model, learner.reference
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # away from the reference, so that KL has a value and a slope
        for parameter in learner.parameters:
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    metrics = one_step(learner, batch_of(groups))

    tokens = sum(len(c.tokens) for g in groups for c in g.completions)
    rows = sum(len(g.completions) for g in groups)
    centre = z_scores if name == "grpo" else lambda rewards: [r - sum(rewards) / len(rewards) for r in rewards]
    policy, kl, entropy = plain_terms(model, reference, groups, centre)
    policy = policy / (tokens if name == "grpo" else rows * MAX_RESPONSE)
    kl, entropy = kl / tokens, entropy / tokens
    loss = 0.7 * policy + KL * kl - ENTROPY * entropy
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, learner.parameters)])

    seen = {"loss": loss, "policy": policy, "kl": kl, "entropy": entropy}
    for key, value in seen.items():
        assert metrics[key] == pytest.approx(float(value.detach()), rel=1e-6, abs=1e-8), key
    assert metrics["kl"] > 1e-3
    assert apart(gradients(learner), expected) < 1e-6  # weights and advantages are float32
