"""Tokens are told as they are drawn, and are those that `NativeEngine` gives."""

from __future__ import annotations

import pytest

from oneshot.model.policy import Policy, load
from oneshot.rollout.native import NativeEngine
from oneshot.rollout.streamed import StreamedEngine
from oneshot.types import Sampling
from tests.tiny import save_tiny

PROMPTS = [(5, 6, 7), (9, 8), (5, 6, 7), (30,), *[(i, i + 1) for i in range(40, 60)]]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = save_tiny(tmp_path_factory.mktemp("streamed") / "tiny")
    return load(str(folder), home=folder, offline=True)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_is_told_is_what_is_made(policy: Policy, temperature: float) -> None:
    told: dict[int, list[int]] = {}
    sampling = Sampling(temperature=temperature, max_new_tokens=12, seed=3)
    streams = [(0, i) for i in range(len(PROMPTS))]
    engine = StreamedEngine(policy, lambda place, token: told.setdefault(place, []).append(token))
    engine.batch = 16  # so that rows are refilled
    made = engine.generate(PROMPTS, sampling, streams)
    assert made == NativeEngine(policy, batch=16, fixed=False).generate(PROMPTS, sampling, streams)
    assert [tuple(told[i]) for i in range(len(PROMPTS))] == [c.tokens for c in made]
    assert engine.decoded_tokens == sum(len(c.tokens) for c in made)
    assert engine.generate([], sampling, []) == []


def test_who_is_told_may_give_up(policy: Policy) -> None:
    def third(place: int, token: int) -> None:
        told.append(token)
        if len(told) == 3:
            raise KeyboardInterrupt

    told: list[int] = []
    engine = StreamedEngine(policy, third)
    with pytest.raises(KeyboardInterrupt):
        engine.generate([(5, 6, 7)], Sampling(temperature=1.0, max_new_tokens=12), [(0, 0)])
    assert len(told) == 3
