from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.errors import UsageError
from oneshot.measure.pass_at_k import SUBSETS, majorities, majority, majority_curve

Answers = list[str | None]


def graded(answers: Answers, truth: str = "a") -> list[bool]:
    return [answer == truth for answer in answers]


def brute_force(answers: Answers, k: int, truth: str = "a") -> float:
    """Every subset, by its own small rules: votes for texts only."""
    total, subsets = 0.0, list(combinations(answers, k))
    for subset in subsets:
        votes = Counter(answer for answer in subset if answer is not None)
        best = [answer for answer, count in votes.items() if count == max(votes.values())]
        total += best.count(truth) / len(best) if best else 0.0
    return total / len(subsets)


ANSWERS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=9)


@given(ANSWERS, st.data())
def test_every_subset(answers: Answers, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(answers)))
    assert majority(answers, graded(answers), k) == pytest.approx(brute_force(answers, k))


def test_by_hand() -> None:
    assert majority(["a", "a", "b"], graded(["a", "a", "b"]), 3) == 1.0
    assert majority(["a", "b", "b"], graded(["a", "b", "b"]), 3) == 0.0
    # Pairs of a, a, b: aa wins, ab and ab tie
    assert majority(["a", "a", "b"], graded(["a", "a", "b"]), 2) == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_ties_share_the_vote() -> None:
    assert majority(["a", "b"], [True, False], 2) == 0.5
    assert majority(["a", "b", "c"], [True, False, False], 3) == pytest.approx(1 / 3)


def test_no_answer_votes_for_nothing_and_cannot_win() -> None:
    assert majority([None, None, None, "a"], [False, False, False, True], 4) == 1.0
    assert majority([None, None], [False, False], 2) == 0.0
    # A subset without any answer is worth 0: of one response each, 1 in 4
    assert majority([None, None, None, "a"], [False, False, False, True], 1) == 0.25


def test_at_k_1_it_is_the_accuracy() -> None:
    answers: Answers = ["a", "b", "a", None, "c"]
    assert majority(answers, graded(answers), 1) == pytest.approx(2 / 5)


def test_equal_answers_are_one_cluster() -> None:
    asked: list[tuple[str, str]] = []

    def same(first: str, second: str) -> bool:
        asked.append((first, second))
        return first.strip("0") == second.strip("0")

    answers: Answers = [".5", ".50", "7", "7", ".5", None]
    right = [True, True, False, False, True, False]
    assert majority(answers, right, 6) == 0.5  # as texts, .5 and 7 have two each
    assert majority(answers, right, 6, same) == 1.0
    assert asked == [(".5", ".50"), (".5", "7")], "equal texts are not asked about"


def test_a_cluster_whose_members_are_graded_differently_is_worth_their_share() -> None:
    assert majority(["a", "a", "a", "b"], [True, True, False, False], 4) == pytest.approx(2 / 3)


def test_many_subsets_are_drawn_with_a_seed() -> None:
    """12 of 24 by hand: a has 9 votes, b 8, so a wins somewhat more often than b; ties count half."""
    answers: Answers = ["a"] * 9 + ["b"] * 8 + [None] * 7
    rng = np.random.default_rng(9)
    draws = [rng.permutation(24)[:12] for _ in range(40_000)]
    a = np.array([np.sum(draw < 9) for draw in draws])
    b = np.array([np.sum((draw >= 9) & (draw < 17)) for draw in draws])
    truth = np.mean(a > b) + np.mean(a == b) / 2
    found = majority(answers, graded(answers), 12, seed=1)
    assert found == majority(answers, graded(answers), 12, seed=1) != majority(answers, graded(answers), 12, seed=2)
    assert found == pytest.approx(truth, abs=4 * 0.5 / np.sqrt(SUBSETS))
    assert majority(answers, graded(answers), 24) == 1.0, "one subset needs no draw"


def test_voting_helps_a_model_that_is_mostly_right_and_hurts_one_that_is_mostly_wrong() -> None:
    good: Answers = ["a"] * 10 + ["b"] * 6
    poor: Answers = ["a"] * 6 + ["b"] * 10
    rising, falling = ([majorities(x, graded(x), [1, 5, 15])[k] for k in (1, 5, 15)] for x in (good, poor))
    assert rising == sorted(rising) and rising[0] == pytest.approx(10 / 16)
    assert falling == sorted(falling, reverse=True)


def test_curve_over_problems() -> None:
    problems = [(["a", "a", "b"], [True, True, False]), ([None, "b", "b"], [False] * 3)]
    curve = majority_curve(problems, [1, 3])
    assert [curve[k].estimate for k in (1, 3)] == pytest.approx([1 / 3, 1 / 2])
    assert curve[3].method == "wilson"  # one vote a problem
    assert curve[1].n == 2


@pytest.mark.parametrize(("grades", "k"), [(2, 0), (2, 3), (1, 1)])
def test_nonsense_is_refused(grades: int, k: int) -> None:
    with pytest.raises(UsageError, match="maj@k"):
        majority(["a", "b"], [True] * grades, k)
