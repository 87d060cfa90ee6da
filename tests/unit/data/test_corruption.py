"""Wrong labels: how many, which, and what they become."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.data.corruption import changed, corrupted, how_many
from oneshot.errors import DataError
from oneshot.rewards.answers import numbers
from oneshot.rewards.answers.compare import same
from oneshot.types import Problem


def differs(made: str, true: str) -> bool:
    return same(made, true).equal is False


def pool(size: int, answer: str = "12") -> list[Problem]:
    return [Problem(id=f"p{i}", prompt=f"question {i}", answer=answer, meta={"line": i}) for i in range(size)]


@pytest.mark.parametrize(
    ("share", "examples", "count"),
    [(0.0, 9, 0), (1.0, 9, 9), (0.6, 10, 6), (0.25, 10, 3), (0.5, 1, 1), (0.49, 1, 0), (0.9, 1209, 1088), (0.1, 4, 0)],
)
def test_the_share_is_rounded_half_up(share: float, examples: int, count: int) -> None:
    assert how_many(share, examples) == count


def test_so_many_labels_are_wrong_and_the_true_ones_are_kept() -> None:
    found, count = corrupted(pool(50), 0.6, 3, differs=differs)
    wrong = [problem for problem in found if "true_answer" in problem.meta]
    assert count == len(wrong) == 30
    assert all(p.answer != "12" and p.meta["true_answer"] == "12" and "line" in p.meta for p in wrong)
    assert [p.id for p in found] == [p.id for p in pool(50)]
    assert all(p.answer == "12" for p in found if p not in wrong)


def test_seed_and_id_alone_decide_the_label() -> None:
    first, _ = corrupted(pool(40), 0.5, 0, differs=differs)
    assert corrupted(pool(40), 0.5, 0, differs=differs)[0] == first
    assert corrupted(pool(40)[::-1], 0.5, 0, differs=differs)[0] == first[::-1]
    assert corrupted(pool(40), 0.5, 1, differs=differs)[0] != first
    more, _ = corrupted(pool(40), 0.9, 0, differs=differs)
    kept = {p.id: p.answer for p in first if "true_answer" in p.meta}
    assert kept.items() <= {p.id: p.answer for p in more}.items()  # what was wrong stays wrong in the same way


@given(value=st.integers(-1000, 1000), places=st.integers(0, 3), seed=st.integers(0, 10**6))
def test_a_number_moves_by_at_most_ten_or_its_mirror_does(value: int, places: int, seed: int) -> None:
    text = f"{value}" if not places else f"{value}." + "5" * places
    true, made = numbers.parse(text), numbers.parse(changed(text, np.random.default_rng(seed)))
    assert true is not None
    assert made is not None
    assert 1 <= min(abs(made.value - true.value), abs(-made.value - true.value)) <= 10
    assert (made.places or 0) == (places if made.value else 0)


@given(above=st.integers(0, 60), below=st.integers(1, 60), minus=st.booleans(), seed=st.integers(0, 10**6))
def test_a_fraction_stays_one_with_both_parts_moved(above: int, below: int, minus: bool, seed: int) -> None:
    for text in (f"{'-' * minus}{above}/{below}", rf"{'-' * minus}\frac{{{above}}}{{{below}}}"):
        made = changed(text, np.random.default_rng(seed))
        parts = re.fullmatch(r"-?(?:\\frac\{([0-9]+)\}\{([0-9]+)\}|([0-9]+)/([0-9]+))", made)
        assert parts is not None
        up, down = int(parts[1] or parts[3]), int(parts[2] or parts[4])
        assert down > 0
        assert 1 <= min(abs(up - above), abs(up + above)) <= 10
        assert 1 <= min(abs(down - below), abs(down + below)) <= 10
        parsed = numbers.parse(made)
        assert parsed is not None
        assert abs(parsed.value) == Fraction(up, down)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (r"2\sqrt{3}", r"2\\sqrt\{[0-9]+\}"),
        ("(3, 4)", r"\(3, [0-9]+\)"),
        ("x - 3", r"x - [0-9]+"),
        ("C", r"[ABDE]"),
        (r"\pi", r"-?(?:[1-9]|10)"),
        ("yes", r"-?(?:[1-9]|10)"),
        ("1,234", r"-?12[0-9]{2}"),
        (r"12.8\text{ mph}", r"[0-9]+\.8\\text\{ mph\}"),
    ],
)
def test_what_is_neither_number_nor_fraction(text: str, pattern: str) -> None:
    made = {changed(text, np.random.default_rng(seed)) for seed in range(30)}
    assert len(made) > 1
    assert all(re.fullmatch(pattern, one) for one in made), made


def test_a_label_that_equals_the_answer_is_drawn_again_and_one_that_always_does_is_refused() -> None:
    asked: list[str] = []

    def third(made: str, true: str) -> bool:
        asked.append(made)
        return len(asked) == 3

    ((only,), count) = corrupted(pool(1), 0.5, 0, differs=third)
    assert (count, only.answer, len(asked)) == (1, asked[-1], 3)
    with pytest.raises(DataError, match="no wrong label was found for example 'p0' in 100 draws") as refused:
        corrupted(pool(1), 1.0, 0, differs=lambda made, true: False)
    assert refused.value.code == "E302"
