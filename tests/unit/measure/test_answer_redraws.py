"""Redrawn answers: the fast features are the exact ones, and the spread is that of sampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.measure.answer_redraws import FEATURES, redrawn
from oneshot.measure.histories import Track
from oneshot.measure.selection import ANSWERS, SCORES
from oneshot.measure.uncertainty import intervals


def visit(*counts: int, samples: int = 0) -> Track:
    """One visit with so many of each answer."""
    answers = {str(i): count for i, count in enumerate(counts)}
    return Track(accuracies=(0.0,), samples=(samples or sum(counts),), answers=(answers,))


@pytest.mark.parametrize("name", FEATURES)
@given(counts=st.lists(st.integers(0, 6), min_size=1, max_size=6), unanswered=st.integers(0, 3))
def test_a_feature_of_a_redraw_is_that_of_a_visit(name: str, counts: list[int], unanswered: int) -> None:
    samples = sum(counts) + unanswered + 1
    expected = ANSWERS[name]({str(i): count for i, count in enumerate(counts)}, samples)
    assert FEATURES[name](np.array([counts]), samples).tolist() == pytest.approx([expected], abs=1e-12)


@pytest.mark.parametrize("name", FEATURES)
def test_redraws_are_centred_on_the_score_and_seeded(name: str) -> None:
    tracks = [visit(3, 2, 2, 1), Track(accuracies=(0, 0), samples=(4, 8), answers=({"a": 1, "b": 1}, {"a": 7}))]
    found = redrawn(name, tracks, count=4_000, seed=1)
    assert found.mean(axis=0) == pytest.approx(SCORES[name].of(tracks, 0), abs=0.02)
    assert found.tolist() == redrawn(name, tracks, count=4_000, seed=1).tolist()
    assert found.min() >= 0
    assert (found.std(axis=0) > 0.01).all()


def test_the_spread_worked_by_hand() -> None:
    """Two answers, once each: a redraw has both with chance 1/2, so the ratio is 1/2 or 1, moved up by 1/4."""
    found = redrawn("distinct-answers", [visit(1, 1)], count=4_000, seed=2)[:, 0]
    assert (found.min(), found.max()) == (pytest.approx(0.75, abs=0.02), 1)
    assert len(np.unique(found)) == 2
    assert (found < 0.9).mean() == pytest.approx(0.5, abs=0.03)


def test_where_no_redraw_can_differ_there_is_no_interval() -> None:
    tracks = [visit(8), visit(5, 3), Track(), visit(0, samples=4), visit(2, samples=4)]
    found = intervals("answer-entropy", tracks, count=50)
    assert found is not None
    assert np.isnan(found.score_low_P).tolist() == [True, False, True, True, True]
    assert np.isnan(found.rank_low_P).tolist() == [False, False, True, False, False]


def test_no_answers_no_intervals() -> None:
    assert intervals("distinct-answers", [Track(accuracies=(0.5,), samples=(8,))]) is None
    assert intervals("distinct-answers", [visit(5, 3)], count=0) is None


def test_intervals_hold_what_another_sample_would_give_on_average_about_as_often_as_they_say() -> None:
    rng, chances = np.random.default_rng(3), [0.4, 0.3, 0.2, 0.1]
    entropy = ANSWERS["answer-entropy"]
    others = rng.multinomial(32, chances, 4_000).tolist()
    expected = np.mean([entropy({str(i): count for i, count in enumerate(row)}, 32) for row in others])
    tracks = [visit(*map(int, row)) for row in rng.multinomial(32, chances, 300)]
    found = intervals("answer-entropy", tracks, count=300)
    assert found is not None
    inside = (found.score_low_P <= expected) & (expected <= found.score_high_P)
    assert 0.88 < inside.mean() < 0.99
