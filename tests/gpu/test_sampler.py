"""The sampler on CUDA: against `generate`, against itself with less machinery, and in other batches.

These tests have never run on a GPU. What they print (`pytest -s`, or on failure) is part of their use.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from oneshot.model.policy import Policy
from oneshot.rollout import attend
from oneshot.rollout.fixed import FixedDecoding, Means
from oneshot.rollout.graphs import cuda_capture
from oneshot.rollout.native import NativeEngine
from oneshot.types import Completion, Sampling
from tests.parts import tiny_policy

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch sees none")

HOT = Sampling(temperature=1.0, max_new_tokens=60, seed=3)
Request = tuple[tuple[int, ...], int]
"""A prompt and a sample number."""


def policy_of(dtype: torch.dtype = torch.float32, *, eos: Sequence[int] = range(0, 260, 20)) -> Policy:
    policy = tiny_policy(hidden=128, layers=3, eos=eos)
    policy.model.to("cuda", dtype)
    return policy


def requests_of(prompts: int, copies: int) -> list[Request]:
    draw = random.Random(5)
    made = [tuple(draw.randrange(260) for _ in range(draw.randrange(1, 41))) for _ in range(prompts)]
    return [(prompt, i * copies + s) for i, prompt in enumerate(made) for s in range(copies)]


def sample(engine: NativeEngine, requests: Sequence[Request], sampling: Sampling = HOT) -> list[Completion]:
    return engine.generate([p for p, _ in requests], sampling, [(0, number) for _, number in requests])


def by(policy: Policy, requests: Sequence[Request], means: Means, rows: int = 256) -> tuple[list[Completion], str]:
    """The responses and why nothing was recorded."""
    prompts, streams = [p for p, _ in requests], [(0, number) for _, number in requests]
    with torch.inference_mode():
        made = FixedDecoding(policy, rows, prompts, HOT, streams, None, means)
        return made.run(lambda: None), made.steps.refused


def flips(found: Sequence[Completion], expected: Sequence[Completion]) -> float:
    """First tokens that differ, as a share of the tokens up to there: what near ties a rounding turned over."""
    turned = compared = 0
    for one, other in zip(found, expected, strict=True):
        pairs = list(zip(one.tokens, other.tokens, strict=False))
        first = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
        turned += first is not None
        compared += len(pairs) if first is None else first + 1
    return turned / compared


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_every_fast_path_is_in_use(dtype: torch.dtype) -> None:
    engine = NativeEngine(policy_of(dtype))
    sample(engine, requests_of(4, 8))
    print(engine.how)
    assert engine.how == "fixed slots, 32 rows; attention by kernel, draws by kernel, steps by CUDA graphs"


def test_greedy_is_what_transformers_generates() -> None:
    policy, greedy = policy_of(), Sampling(temperature=0, max_new_tokens=40)
    requests = requests_of(40, 1)
    found = sample(NativeEngine(policy), requests, greedy)
    expected = []
    for prompt, _ in requests:
        ids = torch.tensor([prompt], device="cuda")
        out = policy.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=40,
            eos_token_id=sorted(policy.eos_ids),
            pad_token_id=0,
        )
        expected.append(tuple(out[0, len(prompt) :].tolist()))
    differ = [i for i, (c, tokens) in enumerate(zip(found, expected, strict=True)) if c.tokens != tokens]
    assert len(differ) <= 1, f"{len(differ)} of 40 responses differ: {differ}"  # a near tie may
    assert len({len(tokens) for tokens in expected}) > 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kernels", [False, True])
def test_recorded_steps_are_the_plain_ones(kernels: bool, dtype: torch.dtype) -> None:
    policy, requests = policy_of(dtype), requests_of(10, 20)
    plain, _ = by(policy, requests, Means(attend=kernels, draw=kernels))
    recorded, refused = by(policy, requests, Means(attend=kernels, draw=kernels, capture=cuda_capture()))
    assert not refused, refused
    assert [c.tokens for c in recorded] == [c.tokens for c in plain]
    for one, other in zip(recorded, plain, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_kernels_and_torch_draw_the_same() -> None:
    policy, requests = policy_of(), requests_of(10, 40)
    assert attend.why_not(policy) == ("", "")
    plain, _ = by(policy, requests, Means())
    for means in (Means(attend=True), Means(draw=True), Means(attend=True, draw=True)):
        found, _ = by(policy, requests, means)
        print(means, f"flip rate {flips(found, plain):.1e}")
        assert flips(found, plain) < 1e-3


def test_fixed_slots_and_a_growing_cache_draw_the_same() -> None:
    policy, requests = policy_of(), requests_of(10, 20)
    fixed, growing = (sample(NativeEngine(policy, fixed=fixed), requests) for fixed in (True, False))
    assert flips(fixed, growing) < 1e-3
    same = [(a, b) for a, b in zip(fixed, growing, strict=True) if a.tokens == b.tokens]
    assert len(same) > 180
    for found, expected in same:
        assert found.logprobs == pytest.approx(expected.logprobs, abs=1e-3)
        assert (found.text, found.finished) == (expected.text, expected.finished)


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-3), (torch.bfloat16, 0.1)], ids=str)
def test_the_same_responses_again_and_in_other_batches(dtype: torch.dtype, allowed: float) -> None:
    policy, requests = policy_of(dtype), requests_of(10, 40)
    first = sample(NativeEngine(policy), requests)
    again = sample(NativeEngine(policy), requests)
    assert [(c.tokens, c.logprobs) for c in again] == [(c.tokens, c.logprobs) for c in first]
    assert len({c.tokens for c in first}) > 300
    other = sample(NativeEngine(policy), requests, replace(HOT, seed=4))
    assert sum(a.tokens == b.tokens for a, b in zip(other, first, strict=True)) < 40
    for what, found, expected in (
        ("backwards", sample(NativeEngine(policy), requests[::-1])[::-1], first),
        ("64 rows, refilled", sample(NativeEngine(policy, batch=64), requests), first),
        ("a tenth of them", sample(NativeEngine(policy), requests[::10]), first[::10]),
    ):
        print(f"{dtype}, {what}: flip rate {flips(found, expected):.1e} a token")
        assert flips(found, expected) <= allowed, what


def test_the_cache_is_given_back() -> None:
    policy, requests = policy_of(eos=[-1]), requests_of(4, 64)
    engine = NativeEngine(policy)
    sample(engine, requests)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for _ in range(3):
        sample(engine, requests)
    assert torch.cuda.memory_allocated() <= before + (1 << 20)
