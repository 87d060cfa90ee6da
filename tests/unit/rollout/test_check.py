"""Sampling can be given up before every token, and leaves the engine as good as new."""

from __future__ import annotations

import pytest

from oneshot.rollout.native import NativeEngine
from oneshot.types import Sampling
from tests.parts import tiny_policy


class GivenUp(Exception):
    pass


def test_given_up_before_any_token() -> None:
    engine = NativeEngine(tiny_policy(eos=(259,)))
    prompts, sampling, streams = [(5, 17, 40)] * 3, Sampling(max_new_tokens=6, seed=1), [(0, i) for i in range(3)]
    expected, asked = engine.generate(prompts, sampling, streams), [0]

    def counted() -> None:
        asked[0] += 1

    engine.check = counted
    assert engine.generate(prompts, sampling, streams) == expected
    assert asked[0] >= max(len(c.tokens) for c in expected)
    for place in range(asked[0]):
        left = [place]

        def give_up(left: list[int] = left) -> None:
            if left[0] == 0:
                raise GivenUp
            left[0] -= 1

        engine.check = give_up
        with pytest.raises(GivenUp):
            engine.generate(prompts, sampling, streams)
    engine.check = counted
    assert engine.generate(prompts, sampling, streams) == expected
