"""The numerical core on CUDA: sampler against learner, and gradients against the CPU in float64.

These tests have never run on a GPU; the code they look at has not either. `make gpu` runs them.
"""

from __future__ import annotations

import pytest
import torch

from oneshot.rollout.collect import collect
from oneshot.rollout.native import NativeEngine
from oneshot.types import Problem, Sampling, Verdict
from tests.parts import apart, batch_of, gradients, grpo, learner_of, one_step, ragged_groups, tiny_policy

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch sees none")

PROMPTS = {"a": (5, 17, 40, 41, 90, 7), "b": (9, 33, 8)}
FULL = {"kl": 0.05, "entropy": 0.01}


class Even:
    """Correct when the text has an even number of characters."""

    name = "even"

    def __call__(self, response: str, reference: str) -> Verdict:
        return Verdict(correct=len(response) % 2 == 0, extracted=None, method="exact")


@pytest.mark.parametrize("temperature", [0.6, 1.0])
def test_sampler_log_probs_are_learner_log_probs(temperature: float) -> None:
    policy = tiny_policy(eos=range(0, 260, 10))
    policy.model.cuda()
    problems = [Problem(id=key, prompt="?", answer="-") for key in PROMPTS]
    groups = collect(
        NativeEngine(policy),
        problems,
        lambda problem: PROMPTS[problem.id],
        Even(),
        Sampling(temperature=temperature, max_new_tokens=12, seed=1),
        0,
        group_size=16,
    )
    batch = batch_of(groups)
    learner = learner_of(policy, grpo(), temperature=temperature)
    with torch.no_grad():
        gap_BT = (learner._scored(batch, policy.model).cpu() - batch.sampler_logp_BT).abs()[batch.mask_BT]
    assert float(gap_BT.max()) < 1e-3


@pytest.mark.parametrize("packed", [True, False])
def test_gradients_are_those_of_the_cpu_in_float64(packed: bool) -> None:
    exact = learner_of(tiny_policy(dtype=torch.float64), grpo(**FULL), temperature=0.6, grad_clip=0)
    on_gpu = tiny_policy()
    on_gpu.model.cuda()
    learner = learner_of(on_gpu, grpo(**FULL), temperature=0.6, grad_clip=0)
    expected = one_step(exact, batch_of(ragged_groups(), packed=packed, micro_tokens=32))
    found = one_step(learner, batch_of(ragged_groups(), packed=packed, micro_tokens=32))
    for name in ("policy", "entropy", "entropy_t1", "grad_norm"):
        assert found[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-6), name
    assert apart(gradients(learner).cpu().double(), gradients(exact)) < 1e-3


def test_a_second_step_and_a_second_update_run() -> None:
    policy = tiny_policy()
    policy.model.cuda()
    learner = learner_of(policy, grpo(**FULL, updates=2))
    one_step(learner, batch_of(ragged_groups()))
    metrics = one_step(learner, batch_of(ragged_groups()))
    assert learner.version == 4
    assert metrics["kl"] > 0
    assert all(value == value for value in metrics.values())


def test_a_request_gets_the_same_response_in_any_order() -> None:
    policy = tiny_policy(eos=range(0, 260, 10))
    policy.model.cuda()
    engine, sampling = NativeEngine(policy), Sampling(max_new_tokens=12, seed=3)
    prompts = [prompt for prompt in PROMPTS.values() for _ in range(16)]
    streams = [(0, number) for number in range(32)]
    forward = engine.generate(prompts, sampling, streams)
    backward = engine.generate(prompts[::-1], sampling, streams[::-1])[::-1]
    assert [c.tokens for c in backward] == [c.tokens for c in forward]
