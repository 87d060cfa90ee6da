"""The model that is sampled from, and what is seen of its forwards."""

from __future__ import annotations

import pytest
import torch

from oneshot.model.policy import Policy
from tests.parts import tiny_policy


@pytest.fixture(scope="module")
def policy() -> Policy:
    """Ends in one token of about ten, so that rows finish at different times."""
    return tiny_policy(eos=range(0, 260, 10))


@pytest.fixture
def shapes(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shape of the token ids of every forward of a tiny model."""
    seen: list[tuple[int, ...]] = []
    original = type(policy.decoder).forward

    def spy(self: object, input_ids: torch.Tensor, **options: object) -> object:
        seen.append(tuple(input_ids.shape))
        return original(self, input_ids=input_ids, **options)

    monkeypatch.setattr(type(policy.decoder), "forward", spy)
    return seen
