"""Sampling can be given up before every token, and leaves the engine as good as new."""

from __future__ import annotations

import pytest

from oneshot.rollout.native import NativeEngine
from oneshot.types import Completion, Sampling
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


@pytest.mark.parametrize("fixed", [False, True])
def test_each_response_is_told_once_with_its_place(fixed: bool) -> None:
    engine = NativeEngine(tiny_policy(eos=range(0, 260, 10)), batch=16, fixed=fixed)
    prompts, sampling = [(5, 17, 40)] * 40, Sampling(max_new_tokens=24, seed=1)
    streams, told = [(0, i) for i in range(40)], list[tuple[int, Completion]]()
    expected = engine.generate(prompts, sampling, streams)
    engine.finished = lambda place, made: told.append((place, made))
    assert engine.generate(prompts, sampling, streams) == expected
    assert len(told) == 40
    assert dict(told) == dict(enumerate(expected))
    assert [place for place, _ in told] != list(range(40)), "they are told in the order in which they end"


@pytest.mark.parametrize("fixed", [False, True])
def test_what_was_finished_before_giving_up_was_told(fixed: bool) -> None:
    engine = NativeEngine(tiny_policy(eos=range(0, 260, 10)), batch=16, fixed=fixed)
    told = dict[int, Completion]()

    def give_up() -> None:
        if len(told) >= 5:
            raise GivenUp

    engine.check, engine.finished = give_up, told.__setitem__
    with pytest.raises(GivenUp):
        engine.generate([(5, 17, 40)] * 40, Sampling(max_new_tokens=24, seed=1), [(0, i) for i in range(40)])
    assert 5 <= len(told) < 40
    engine.check = lambda: None
    again = engine.generate([(5, 17, 40)] * 40, Sampling(max_new_tokens=24, seed=1), [(0, i) for i in range(40)])
    assert dict(enumerate(again)) == told
