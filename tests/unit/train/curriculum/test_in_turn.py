"""The default curriculum: even shares, remainders by turn, and shuffled epochs of a pool."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.errors import UsageError
from oneshot.history import History
from oneshot.train.curriculum.in_turn import InTurn
from oneshot.types import Problem


def ids(examples: int, groups: int, step: int, seed: int = 0) -> str:
    problems = [Problem(id=letter, prompt="?", answer="1") for letter in "abcdefghijkl"[:examples]]
    return "".join(problem.id for problem in InTurn(problems, groups, seed).next(step, History()))


def test_by_hand() -> None:
    assert ids(1, 4, 7) == "aaaa"
    assert [ids(2, 4, step) for step in (0, 1)] == ["abab", "abab"]
    assert [ids(3, 4, step) for step in (0, 1, 2, 3)] == ["abca", "bcab", "cabc", "abca"]


@pytest.mark.parametrize(("examples", "each"), [(1, 128), (2, 64), (4, 32), (8, 16)])
def test_the_paper_s_128_groups(examples: int, each: int) -> None:
    assert set(Counter(ids(examples, 128, 3)).values()) == {each}
    assert len(Counter(ids(examples, 128, 3))) == examples


def test_the_remainder_goes_to_each_in_turn() -> None:
    extra = [Counter(ids(3, 128, step)).most_common(1)[0] for step in range(3)]
    assert Counter(ids(3, 128, 0)) == {"a": 43, "b": 43, "c": 42}
    assert Counter("".join(ids(3, 128, step) for step in range(3))) == {"a": 128, "b": 128, "c": 128}
    assert [count for _, count in extra] == [43, 43, 43]


@given(examples=st.integers(1, 9), groups=st.integers(1, 9), steps=st.integers(1, 20), seed=st.integers(0, 3))
def test_shares_are_even_to_one_group(examples: int, groups: int, steps: int, seed: int) -> None:
    seen = "".join(ids(examples, groups, step, seed) for step in range(steps))
    counts = [seen.count(letter) for letter in "abcdefghi"[:examples]]
    assert len(seen) == groups * steps
    assert max(counts) - min(counts) <= 1


@given(examples=st.integers(4, 12), seed=st.integers(0, 5))
def test_a_pool_is_gone_through_once_an_epoch(examples: int, seed: int) -> None:
    seen = "".join(ids(examples, 3, step, seed) for step in range(2 * examples))  # six epochs
    epochs = [seen[i : i + examples] for i in range(0, len(seen), examples)]
    assert len(epochs) == 6
    assert all(sorted(epoch) == sorted("abcdefghijkl"[:examples]) for epoch in epochs)


def test_epochs_differ_and_follow_the_seed_and_the_step_alone() -> None:
    def epochs(seed: int) -> list[str]:
        return [ids(12, 4, 3 * e, seed) + ids(12, 4, 3 * e + 1, seed) + ids(12, 4, 3 * e + 2, seed) for e in range(4)]

    assert len(set(epochs(0))) == 4
    assert epochs(0) != epochs(1)
    assert epochs(1) == epochs(1)
    assert all(epoch != "abcdefghijkl" for epoch in epochs(0))


def test_a_pool_of_exactly_the_groups_needs_no_epochs() -> None:
    assert ids(4, 4, 0, seed=9) == "abcd"
    assert ids(5, 4, 0, seed=0) != ids(5, 4, 0, seed=1)


def test_it_has_no_state_and_refuses_another_s() -> None:
    curriculum = InTurn([Problem(id="a", prompt="?", answer="1")], 2)
    assert curriculum.state_dict() == {}
    curriculum.load_state_dict({})
    assert len(curriculum.next(0, History())) == 2
    with pytest.raises(
        UsageError, match="trained with the curriculum 'mopps' and cannot go on with 'in-turn'"
    ) as caught:
        curriculum.load_state_dict({"curriculum": "mopps"})
    assert caught.value.code == "E107"
