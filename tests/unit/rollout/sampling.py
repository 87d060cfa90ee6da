"""Sampling by request, transformers' own greedy decoding, and what two samplings of the same may differ in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from oneshot.model.policy import Policy
from oneshot.rollout.native import NativeEngine
from oneshot.types import Completion, Sampling

Request = tuple[tuple[int, ...], int]
"""A prompt and a sample number."""


def sample(policy: Policy, requests: Sequence[Request], sampling: Sampling, **options: int) -> list[Completion]:
    """Completions in step 0."""
    engine = NativeEngine(policy, **options)
    return engine.generate([prompt for prompt, _ in requests], sampling, [(0, number) for _, number in requests])


def by_generate(policy: Policy, prompt: tuple[int, ...], limit: int) -> tuple[int, ...]:
    """transformers' own greedy decoding of one prompt."""
    ids = torch.tensor([prompt])
    out = policy.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=limit,
        eos_token_id=sorted(policy.eos_ids),
        pad_token_id=0,
    )
    return tuple(out[0, len(prompt) :].tolist())


def assert_close(found: Sequence[Completion], expected: Sequence[Completion]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
        assert (one.text, one.finished) == (other.text, other.finished)
