from __future__ import annotations

import numpy as np
import pytest

from oneshot.measure import selection
from oneshot.measure.histories import Track
from oneshot.measure.selection import SCORES
from oneshot.measure.statistics import wilson
from oneshot.measure.uncertainty import DRAWN, Drawn, intervals, redraws, smoothed


def track(history: list[float], samples: int = 8) -> Track:
    return Track(accuracies=tuple(history), samples=(samples,) * len(history))


def simulated(visits: int = 50, count: int = 40, samples: int = 8, seed: int = 0) -> tuple[list[Track], list[float]]:
    """Histories drawn around slowly rising chances, and the variance of each chance."""
    rng = np.random.default_rng(seed)
    tracks, truth = [], []
    for _ in range(count):
        low, high = np.sort(rng.random(2))
        chances = np.linspace(low, high, visits)
        tracks.append(track((rng.binomial(samples, chances) / samples).tolist(), samples))
        truth.append(float(chances.var()))
    return tracks, truth


def test_smoothing_is_the_mean_of_the_visits_there_are() -> None:
    history = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1.0]
    found = smoothed(track(history))
    assert found[0] == pytest.approx(1 / 5)
    assert found[5] == pytest.approx(1 / 9)
    assert found[-1] == pytest.approx(1 / 5)
    assert smoothed(Track()) == []


def test_certain_visits_stay_as_they_are() -> None:
    tracks = [track([0.0] * 12), track([1.0] * 7)]
    for drawn in redraws(tracks, count=20, seed=1):
        assert drawn.accuracy_PT[0].tolist() == [0] * 12
        assert drawn.accuracy_PT[1].tolist() == [1] * 7 + [0] * 5
        assert drawn.seen_PT[1].tolist() == [True] * 7 + [False] * 5


@pytest.mark.parametrize("samples", [2, 8, 32, 33, 200])
def test_visits_are_binomial_around_the_smoothed_chance(samples: int) -> None:
    """By table up to 32 samples, above by numpy."""
    one = track([0.25] * 5, samples)
    counts = np.concatenate([d.accuracy_PT[0] for d in redraws([one], count=4_000, seed=2)]) * samples
    assert counts == pytest.approx(counts.round())
    counts = counts.round()
    error = np.sqrt(samples * 0.25 * 0.75 / len(counts))
    assert abs(counts.mean() - samples / 4) < 5 * error
    assert counts.var() == pytest.approx(samples * 0.25 * 0.75, rel=0.06)
    assert set(np.unique(counts)) <= set(range(samples + 1))


def test_visits_of_different_size_are_drawn_by_their_own() -> None:
    mixed = Track(accuracies=(0.5, 0.5, 0.5), samples=(2, 4, 2))
    seen = np.stack([drawn.accuracy_PT[0] for drawn in redraws([mixed], count=500, seed=3)])
    assert set(np.unique(seen[:, 0])) == {0, 0.5, 1}
    assert set(np.unique(seen[:, 1])) == {0, 0.25, 0.5, 0.75, 1}


@pytest.mark.parametrize("name", DRAWN)
def test_a_redraw_is_scored_as_a_history_is(name: str) -> None:
    """The fast scores of padded arrays equal the exact ones, with histories of unequal length."""
    tracks = [track(list(t.accuracies[: 12 + place])) for place, t in enumerate(simulated(visits=30, count=15)[0])]
    for drawn in redraws(tracks, count=3, seed=4):
        again = [track(drawn.accuracy_PT[place, : len(t.accuracies)].tolist()) for place, t in enumerate(tracks)]
        assert DRAWN[name](drawn) == pytest.approx(SCORES[name].of(again, 0), abs=1e-9)


def test_the_root_of_rounding_breaks_no_tie() -> None:
    constant = Drawn(
        accuracy_PT=np.full((1, 49), 0.3), samples_PT=np.full((1, 49), 10.0), seen_PT=np.ones((1, 49), bool),
        visits_P=np.array([49.0]),
    )  # fmt: skip
    assert DRAWN["historical-variance"](constant).tolist() == [0.0]


def test_a_plug_in_bootstrap_is_biased_up_and_the_smoothed_one_is_not() -> None:
    """Redrawing the observed accuracies adds the noise a second time on top of itself."""
    tracks, _ = simulated()
    observed = float(np.mean(selection.historical_std([t.accuracies for t in tracks]) ** 2))

    def redrawn(window: int) -> float:
        draws = redraws(tracks, count=100, seed=5, window=window)
        return float(np.mean([DRAWN["historical-variance"](drawn) ** 2 for drawn in draws]))

    noise = observed - float(np.mean(selection.corrected_variance(
        [t.accuracies for t in tracks], [t.samples for t in tracks]
    )))  # fmt: skip
    assert redrawn(1) == pytest.approx(observed + noise, rel=0.05)
    assert redrawn(9) == pytest.approx(observed, rel=0.05)


def test_equal_seeds_give_equal_intervals() -> None:
    tracks, _ = simulated(count=5)
    first, second, third = (intervals("historical-variance", tracks, count=50, seed=seed) for seed in (1, 1, 2))
    assert first is not None and second is not None and third is not None
    assert first.score_low_P.tolist() == second.score_low_P.tolist() != third.score_low_P.tolist()


def test_intervals_of_ranks_hold_whole_ties() -> None:
    tracks = [track([0.0] * 20), track([0.0, 1.0] * 10), track([0.0] * 20), track([1.0] * 20)]
    found = intervals("historical-variance", tracks, count=50)
    assert found is not None
    assert found.rank_low_P.tolist() == [2, 1, 2, 2]
    assert found.rank_high_P.tolist() == [4, 1, 4, 4]
    assert np.isnan(found.score_high_P[[0, 2, 3]]).all(), "redrawn as they are, which is no certainty"
    assert not np.isnan(found.score_high_P[1])


def test_what_was_never_visited_has_no_interval_and_takes_no_rank() -> None:
    tracks, _ = simulated(count=3)
    alone = intervals("mean-accuracy", tracks, count=30)
    beside = intervals("mean-accuracy", [tracks[0], Track(), *tracks[1:]], count=30)
    assert alone is not None and beside is not None
    assert np.isnan(beside.rank_low_P[1])
    assert beside.rank_high_P[[0, 2, 3]].tolist() == alone.rank_high_P.tolist()


def test_no_interval_without_redraws_samples_or_a_score_that_has_one() -> None:
    tracks, _ = simulated(count=3)
    assert intervals("historical-variance", tracks, count=0) is None
    assert intervals("random", tracks) is None
    assert intervals("answer-entropy", tracks) is None
    assert intervals("historical-variance", [Track(accuracies=(0.5, 1.0))]) is None
    assert intervals("historical-variance", [Track()]) is None


def test_a_visit_of_one_sample_leaves_the_corrected_variance_open() -> None:
    tracks = [track([0.0, 1.0], 1), track([0.25, 0.5])]
    found = intervals("corrected-variance", tracks, count=20)
    assert found is not None
    assert np.isnan(found.score_low_P[0])
    assert not np.isnan(found.score_low_P[1])


def test_intervals_of_the_mean_hold_the_truth_about_as_often_as_they_say() -> None:
    chances = np.random.default_rng(6).random(300)
    rng = np.random.default_rng(7)
    tracks = [track((rng.binomial(8, [p] * 30) / 8).tolist()) for p in chances]
    found = intervals("mean-accuracy", tracks, count=400)
    assert found is not None
    inside = (found.score_low_P <= chances) & (chances <= found.score_high_P)
    assert 0.9 < inside.mean() < 0.985


@pytest.mark.parametrize(("value", "k"), [(0.0, 0), (1.0, 24)])
def test_always_the_same_is_not_certain(value: float, k: int) -> None:
    """3 visits of 8 samples, all wrong or all right: Wilson's 0 to .138 or .862 to 1, so .362 to .5 from one half."""
    tracks = [track([value] * 3), track([0.25, 0.5, 0.5])]
    rate = wilson(k, 24)
    mean, half = (intervals(name, tracks, count=20) for name in ("mean-accuracy", "distance-to-half"))
    assert mean is not None and half is not None
    assert (mean.score_low_P[0], mean.score_high_P[0]) == (rate.low, rate.high)
    assert rate.high - rate.low == pytest.approx(0.138, abs=1e-3)
    assert half.score_low_P[0] == pytest.approx(0.362, abs=1e-3)
    assert half.score_high_P[0] == 0.5
    for name in ("historical-variance", "corrected-variance", "lim", "recent-slope"):
        other = intervals(name, tracks, count=20)
        assert other is not None
        assert np.isnan(other.score_low_P[0])
        assert not np.isnan(other.score_low_P[1])


def test_one_visit_leaves_the_corrected_variance_open_in_a_redraw_too() -> None:
    found = intervals("corrected-variance", [track([0.5]), track([0.25, 0.5, 0.5])], count=20)
    assert found is not None
    assert np.isnan(found.score_low_P[0])
    assert found.rank_low_P.tolist() == [2, 1]
