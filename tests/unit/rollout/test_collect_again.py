"""Dynamic sampling: which groups are drawn again, from which streams, what is kept, and that no sample is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.history import History
from oneshot.rollout.collect import Drawn, collect, equal_rewards, until_they_differ
from oneshot.types import Completion, Group, Problem, Sampling, Verdict

ADD, MUL, DIV = (Problem(id=name, prompt=name, answer="1") for name in ("add", "mul", "div"))
SIZE = 2


class Drawing:
    """Response number n is right where `right` says so; every response holds its own number."""

    def __init__(self, right: Sequence[int]) -> None:
        self.right = set(right)
        self.streams: list[list[tuple[int, int]]] = []

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, streams: Sequence[tuple[int, int]]
    ) -> list[Completion]:
        self.streams.append(list(streams))
        return [
            Completion(tokens=(n, prompt[0]), logprobs=(-1.0, -1.0), text=str(int(n in self.right)), finished=True)
            for prompt, (_, n) in zip(prompts, streams, strict=True)
        ]


class Equal:
    name = "equal"

    def __call__(self, response: str, reference: str) -> Verdict:
        return Verdict(correct=response == reference, extracted=response, method="exact")


def drawn(engine: Drawing, problems: Sequence[Problem], most: int) -> Drawn:
    def render(problem: Problem) -> tuple[int, ...]:
        return ((ADD, MUL, DIV).index(problem),)

    sample = partial(
        collect, engine, render=render, verify=Equal(), sampling=Sampling(), step=7, group_size=SIZE, version=3
    )
    return until_they_differ(sample, problems, most=most)


def numbers(groups: Sequence[Group]) -> list[list[int]]:
    return [[c.tokens[0] for c in group.completions] for group in groups]


def test_groups_with_equal_rewards_are_drawn_again_from_streams_of_their_own() -> None:
    """Round 1: samples 0 to 5, of which group 1 differs. Round 2: 6 to 9 for groups 0 and 2; 0 differs. Round 3: 10."""
    engine = Drawing([2, 6, 10])
    seen = drawn(engine, [ADD, MUL, DIV], most=4)
    assert engine.streams == [[(7, n) for n in part] for part in (range(6), range(6, 10), range(10, 12))]
    assert numbers(seen.groups) == [[6, 7], [2, 3], [10, 11]]
    assert numbers(seen.dropped) == [[0, 1], [4, 5], [8, 9]]
    assert [(g.id, g.problem.id, g.prompt_tokens, g.policy_version) for g in seen.groups] == [
        (0, "add", (0,), 3),
        (1, "mul", (1,), 3),
        (2, "div", (2,), 3),
    ]
    assert [g.problem.id for g in seen.dropped] == ["add", "div", "div"]
    assert seen.metrics() == {
        "rollout/rounds": 3,
        "rollout/dropped_groups": 3,
        "rollout/equal_groups": 0,
        "rollout/responses": 12,
    }


def test_after_the_last_round_the_groups_are_used_as_they_are() -> None:
    seen = drawn(Drawing([2]), [ADD, MUL, DIV], most=2)
    assert numbers(seen.groups) == [[6, 7], [2, 3], [8, 9]]
    assert numbers(seen.dropped) == [[0, 1], [4, 5]]
    assert (seen.rounds, seen.metrics()["rollout/equal_groups"]) == (2, 2)


@pytest.mark.parametrize("most", [1, 5])
def test_one_round_is_plain_sampling(most: int) -> None:
    engine = Drawing([0, 2])
    seen = drawn(engine, [ADD, MUL], most=most)
    assert engine.streams == [[(7, n) for n in range(4)]]
    assert (numbers(seen.groups), seen.dropped, seen.rounds) == ([[0, 1], [2, 3]], [], 1)


def test_the_history_counts_every_sample() -> None:
    """One right of six of `add`: the kept group alone would say one of two."""
    seen, history = drawn(Drawing([4]), [ADD], most=4), History()
    history.observe(7, seen.everything)
    assert numbers(seen.groups) == [[4, 5]]
    assert history.counts("add").tolist() == [[7, 1, 6]]


@given(right=st.sets(st.integers(0, 40)), groups=st.integers(1, 4), most=st.integers(1, 4))
def test_no_sample_is_lost_or_drawn_twice(right: set[int], groups: int, most: int) -> None:
    engine = Drawing(sorted(right))
    seen = drawn(engine, [ADD] * groups, most=most)
    used = sorted(n for group in seen.everything for c in group.completions for n in [c.tokens[0]])
    assert used == list(range(len(used))) == [n for part in engine.streams for _, n in part]
    assert [group.id for group in seen.groups] == list(range(groups))
    assert 1 <= seen.rounds <= most
    assert all(map(equal_rewards, seen.dropped))
    if seen.rounds < most:
        assert not any(map(equal_rewards, seen.groups))
    first = [range(SIZE * i, SIZE * i + SIZE) for i in range(groups)]
    for place, group in enumerate(seen.groups):
        if len({n in right for n in first[place]}) == 2:
            assert numbers([group]) == [list(first[place])]  # one that differs is kept as it was first drawn
