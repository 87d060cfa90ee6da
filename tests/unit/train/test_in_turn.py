"""The default curriculum: who is trained on next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oneshot.history import History
from oneshot.train.curriculum.in_turn import InTurn
from oneshot.types import Problem


def ids(examples: int, groups: int, step: int) -> str:
    problems = [Problem(id=letter, prompt="?", answer="1") for letter in "abcdefg"[:examples]]
    return "".join(problem.id for problem in InTurn(problems, groups).next(step, History()))


def test_by_hand() -> None:
    assert ids(1, 4, 7) == "aaaa"
    assert [ids(2, 4, step) for step in (0, 1)] == ["abab", "abab"]
    assert [ids(3, 4, step) for step in (0, 1, 2, 3)] == ["abca", "bcab", "cabc", "abca"]
    assert [ids(5, 2, step) for step in (0, 1, 2)] == ["ab", "cd", "ea"]


@given(examples=st.integers(1, 7), groups=st.integers(1, 9), steps=st.integers(1, 20))
def test_shares_are_even_to_one_group(examples: int, groups: int, steps: int) -> None:
    seen = "".join(ids(examples, groups, step) for step in range(steps))
    counts = [seen.count(letter) for letter in "abcdefg"[:examples]]
    assert len(seen) == groups * steps
    assert max(counts) - min(counts) <= 1


def test_it_has_no_state() -> None:
    curriculum = InTurn([Problem(id="a", prompt="?", answer="1")], 2)
    assert curriculum.state_dict() == {}
    curriculum.load_state_dict({})
    assert len(curriculum.next(0, History())) == 2
