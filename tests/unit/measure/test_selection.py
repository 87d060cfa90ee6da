from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.cli import verbs
from oneshot.measure import selection
from oneshot.measure.answer_redraws import FEATURES
from oneshot.measure.exact import mean, noise_variance, share, variance
from oneshot.measure.histories import Track
from oneshot.measure.selection import ANSWERS, SCORES, alignment, answer_entropy, distinct_ratio
from oneshot.measure.uncertainty import DRAWN, ranking

EIGHTHS = st.lists(st.integers(0, 8).map(lambda k: k / 8), min_size=1, max_size=40)


def test_shares_are_the_fractions_that_were_meant() -> None:
    assert share(0.2) == Fraction(1, 5)
    assert share(1 / 3) == Fraction(1, 3)
    assert share(0.123456789012) == Fraction(0.123456789012)


def test_variance_by_hand() -> None:
    assert variance([0, 0.5, 1]) == Fraction(1, 6)
    assert variance([0.375]) == 0
    assert mean([0.2, 0.4]) == Fraction(3, 10)


@given(EIGHTHS)
def test_variance_is_numpys_population_variance_and_a_mirror_has_the_same(history: list[float]) -> None:
    assert float(variance(history)) == pytest.approx(float(np.var(history)), abs=1e-15)
    assert variance(history) == variance([1 - accuracy for accuracy in history]) == variance(history[::-1])


def test_historical_std_takes_unequal_lengths_and_no_visits() -> None:
    scores = selection.historical_std([[0, 1], [0.5, 0.5, 0.5], []])
    assert scores[:2].tolist() == [0.5, 0.0]
    assert math.isnan(scores[2])


def test_noise_by_hand() -> None:
    # T = 2, n = 8: (1/2) · ((1/4)/7 + 0)/2 = 1/112, of a variance of 1/16.
    assert noise_variance([0.5, 1.0], [8, 8]) == Fraction(1, 112)
    assert selection.corrected_variance([[0.5, 1.0]], [[8, 8]]).tolist() == [float(Fraction(1, 16) - Fraction(1, 112))]
    assert selection.noise_share([[0.5, 1.0]], [[8, 8]]).tolist() == [1 / 7]


def test_noise_of_visits_of_different_size() -> None:
    # (1/2) · ((1/4)/3 + (1/4)/1)/2 = 1/12
    assert noise_variance([0.5, 0.5], [4, 2]) == Fraction(1, 12)
    assert noise_variance([0.5, 1.0], [8, 1]) is None


def test_corrected_variance_is_signed_and_exactly_zero_where_it_is() -> None:
    histories = [[0.5] * 3, [0.0] * 3, [], [0.5], [0.25]]
    corrected = selection.corrected_variance(histories, [[8] * 3, [8] * 3, [], [], [8]])
    assert corrected[0] < 0
    assert corrected[1] == 0
    assert np.isnan(corrected[2:]).all(), "one visit is no 0, which would rank above the first"


@given(st.integers(2, 9), st.integers(2, 6), st.integers(0, 10**6))
def test_corrected_variance_is_unbiased(samples: int, visits: int, seed: int) -> None:
    """For a chance that moves from visit to visit: the mean over many histories is the variance of the chances."""
    rng = np.random.default_rng(seed)
    chances = rng.random(visits)
    drawn = rng.binomial(samples, chances, size=(2_000, visits)) / samples
    found = selection.corrected_variance(drawn.tolist(), [[samples] * visits] * len(drawn))
    error = found.std() / math.sqrt(len(found))
    assert abs(found.mean() - chances.var()) < 5 * error + 1e-9


def test_lim_golden() -> None:
    assert alignment((0, 0.5, 1), (0.2, 0.5, 0.8)) == pytest.approx(0.913978, abs=5e-7)
    assert math.isnan(alignment((1, 1), (1, 1)))


def test_lim_is_cut_at_the_shortest_history_and_passes_over_the_unvisited() -> None:
    whole = selection.lim([[0, 0.5, 1, 0], [0.4, 0.5, 0.6]])
    assert whole.tolist() == selection.lim([[0, 0.5, 1], [0.4, 0.5, 0.6]]).tolist()
    # Both lie .2 from the mean curve (.2, .5, .8) twice: 1 - .08/.93.
    assert whole.tolist() == pytest.approx([1 - 0.08 / 0.93] * 2)
    assert selection.lim([[0, 0.5, 1], [], [0.4, 0.5, 0.6]])[[0, 2]].tolist() == whole.tolist()


def test_mean_and_distance_to_half() -> None:
    histories = [[0.25, 0.75], [0.1, 0.2], [1.0], []]
    assert selection.mean_accuracy(histories)[:3].tolist() == [0.5, 0.15, 1.0]
    assert selection.distance_to_half(histories)[:3].tolist() == [0.0, 0.35, 0.5]
    assert np.isnan(selection.mean_accuracy(histories)[3])


def test_slope_is_least_squares_over_the_last_visits() -> None:
    assert selection.recent_slope([[0.0, 0.25, 0.5]]).tolist() == [0.25]
    history = [1.0] * 5 + [0.1, 0.4, 0.2, 0.9]
    slope = float(np.polyfit(range(4), history[-4:], 1)[0])
    assert selection.recent_slope([history], window=4).tolist() == pytest.approx([slope])
    assert np.isnan(selection.recent_slope([[0.5], []])).all()


def test_answers_by_hand() -> None:
    counts = {"a": 2, "b": 1, "c": 1}
    assert answer_entropy(counts) == pytest.approx(1.0397, abs=5e-5)
    assert distinct_ratio(counts, 4) == 0.75
    assert distinct_ratio(counts, 8) == 0.375, "responses without an answer count as samples"
    assert answer_entropy({"a": 4}) == answer_entropy({}) == 0
    assert distinct_ratio({}, 4) == 0


def test_answer_scores_are_means_over_visits() -> None:
    track = Track(accuracies=(0.5, 1), samples=(4, 4), answers=({"a": 2, "b": 1, "c": 1}, {"a": 4}))
    assert SCORES["distinct-answers"].of([track, Track()], 0)[0] == (0.75 + 0.25) / 2
    assert SCORES["answer-entropy"].of([track], 0)[0] == pytest.approx(1.039721 / 2, abs=1e-6)
    assert math.isnan(SCORES["answer-entropy"].of([track, Track()], 0)[1])


def test_chance_follows_the_seed_and_nothing_else() -> None:
    tracks = [Track(accuracies=(i / 8,), samples=(8,)) for i in range(5)]
    first = SCORES["random"].of(tracks, 3)
    assert first.tolist() == SCORES["random"].of([Track()] * 5, 3).tolist()
    assert first.tolist() != SCORES["random"].of(tracks, 4).tolist()


def test_ranks_are_stable_and_ties_are_told() -> None:
    scores = np.array([0.5, 0.9, 0.5, math.nan, 0.0, -0.0, math.nan])
    found = ranking(scores)
    assert found.rank_P.tolist() == [2, 1, 3, 6, 4, 5, 7]
    assert list(zip(found.first_P, found.last_P, strict=True)) == [
        (2, 3), (1, 1), (2, 3), (6, 7), (4, 5), (4, 5), (6, 7)
    ]  # fmt: skip
    assert found.order == [1, 0, 2, 4, 5, 3, 6]
    turned = ranking(scores, stable_P=[6, 5, 4, 3, 2, 1, 0])
    assert turned.order == [1, 2, 0, 5, 4, 6, 3]
    assert ranking(scores, descending=False).order == [4, 5, 0, 2, 1, 3, 6]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_every_rank_is_given_once_and_lies_in_its_tie(values: list[int]) -> None:
    found = ranking(np.array(values, dtype=np.float64))
    assert sorted(found.rank_P.tolist()) == list(range(1, len(values) + 1))
    assert (found.first_P <= found.rank_P).all() and (found.rank_P <= found.last_P).all()
    assert all(found.last_P - found.first_P + 1 == [values.count(value) for value in values])


def test_the_tables_of_names_agree() -> None:
    assert tuple(SCORES) == verbs._SCORES
    assert set(DRAWN) | set(FEATURES) == {name for name, score in SCORES.items() if score.needs}
    assert set(ANSWERS) == set(FEATURES) == {name for name, score in SCORES.items() if score.needs == "answers"}
    assert all(SCORES[name].descending for name in ANSWERS)
