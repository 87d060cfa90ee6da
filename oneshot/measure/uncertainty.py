"""How far a ranking can be trusted: ties, and intervals of scores and ranks from redrawn histories. Loads no torch.

A history is smoothed (moving average over 9 visits, at the edges over those there are) into the chance p_t behind each
visit, every visit is drawn anew as Binomial(n_t, p_t)/n_t, and the whole pool is scored and ranked again. Without the
smoothing the observed noise would be drawn a second time on top of itself and variances would come out too large.
Scores of answers: `answer_redraws.py`.

What the intervals hold is one run's noise only: another full run would differ more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oneshot.measure.answer_redraws import redrawn
from oneshot.measure.dynamics import smooth
from oneshot.measure.histories import Track
from oneshot.measure.probing import away
from oneshot.measure.selection import ANSWERS, RECENT, SCORES
from oneshot.measure.statistics import LEVEL, wilson

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

REDRAWS = 1_000
WINDOW = 9
SENTENCE = "one run's noise only: another full run would differ more"
_TABLE = 32
"""Up to so many samples a visit the draw compares one uniform number with the distribution function."""
_DIGITS = 9
"""Decimals by which redrawn scores are told apart: coarser than rounding, finer than any two shares."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Ranks from 1, [P] in the pool's order."""

    rank_P: IntArray
    """1 to P, each once: ties in the stable order."""
    first_P: IntArray
    last_P: IntArray
    """First and last rank of the examples with exactly this score."""

    @property
    def order(self) -> list[int]:
        """Places in the pool, best first."""
        return [int(place) for place in np.argsort(self.rank_P, kind="stable")]


def ranking(scores_P: FloatArray, *, descending: bool = True, stable_P: Sequence[int] | None = None) -> Ranking:
    """Rank scores. Ties keep the order of `stable_P` (default: the pool's); NaN comes last, as one tie."""
    keys = _keys(scores_P, descending)
    stable = np.arange(len(keys)) if stable_P is None else np.asarray(stable_P)
    ranks = np.empty(len(keys), dtype=np.int64)
    ranks[np.lexsort((stable, keys))] = np.arange(1, len(keys) + 1)
    first, last = tied(keys)
    return Ranking(rank_P=ranks, first_P=first, last_P=last)


def _keys(scores_P: FloatArray, descending: bool) -> FloatArray:
    """What sorts ascending; adding 0 turns -0 into 0, which is the same score."""
    return np.where(np.isnan(scores_P), np.inf, (-scores_P if descending else scores_P) + 0.0)


def tied(keys_P: FloatArray) -> tuple[IntArray, IntArray]:
    """[P], [P]: first and last rank of each key among all, the smallest key first."""
    ordered = np.sort(keys_P)
    first = np.searchsorted(ordered, keys_P, side="left") + 1
    return first.astype(np.int64), np.searchsorted(ordered, keys_P, side="right").astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One redraw of a pool; P examples, T visits of the longest history, right-padded with 0."""

    accuracy_PT: FloatArray
    samples_PT: FloatArray
    """1 where there is no visit."""
    seen_PT: npt.NDArray[np.bool_]
    visits_P: FloatArray


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """95 % of the redraws; NaN where a track has no visits or its samples are unknown, or no redraw could differ."""

    score_low_P: FloatArray
    score_high_P: FloatArray
    rank_low_P: FloatArray
    rank_high_P: FloatArray
    """Ranks of a tie reach from its first to its last."""


def smoothed(track: Track, window: int = WINDOW) -> list[float]:
    """The chance of success behind each visit: the moving average, each visit with equal weight."""
    return smooth(track.accuracies, window) if track.accuracies else []


def redraws(tracks: Sequence[Track], *, count: int, seed: int, window: int = WINDOW) -> Iterator[Drawn]:
    """`count` redraws of tracks that all have visits with known samples. Equal seeds give equal numbers."""
    visits = np.array([len(track.accuracies) for track in tracks])
    shape = (len(tracks), int(visits.max()))
    seen = np.arange(shape[1]) < visits[:, None]
    chance, samples = np.zeros(shape), np.ones(shape)
    chance[seen] = np.clip([p for track in tracks for p in smoothed(track, window)], 0, 1)
    samples[seen] = [n for track in tracks for n in track.samples]
    draw = _drawer(chance, samples.astype(np.int64), np.random.default_rng(seed))
    for _ in range(count):
        yield Drawn(accuracy_PT=draw() / samples, samples_PT=samples, seen_PT=seen, visits_P=visits.astype(np.float64))


def _drawer(chance: FloatArray, samples: IntArray, rng: np.random.Generator) -> Callable[[], npt.NDArray[np.int64]]:
    """A function that draws Binomial(samples, chance) in every cell."""
    most = int(samples.max())
    if most > _TABLE:
        return lambda: rng.binomial(samples, chance)
    # The number of successes is the number of values j < n whose P(X <= j) lies at or below a uniform number. A chance
    # of 1 gives 0 for all of them (always below), a chance of 0 gives 1 (never).
    below = np.full((most, *chance.shape), 2.0)
    for n in np.unique(samples):
        cells = samples == n
        p, total = chance[cells], np.zeros(int(cells.sum()))
        for j in range(int(n)):
            total = total + math.comb(int(n), j) * p**j * (1 - p) ** (n - j)
            below[j][cells] = total
    steps = list(below.astype(np.float32))

    def draw() -> npt.NDArray[np.int64]:
        uniform = rng.random(chance.shape, dtype=np.float32)
        successes = np.zeros(chance.shape, dtype=np.uint8)
        for step in steps:
            successes += uniform >= step
        return successes.astype(np.int64)

    return draw


def _mean(drawn: Drawn) -> FloatArray:
    mean: FloatArray = drawn.accuracy_PT.sum(axis=1) / drawn.visits_P
    return mean


def _variance(drawn: Drawn) -> FloatArray:
    squares = np.einsum("pt,pt->p", drawn.accuracy_PT, drawn.accuracy_PT)
    # Rounded, because the root of a rounding error of 1e-17 would be 3e-9 and break the tie of the constant histories.
    spread: FloatArray = (squares / drawn.visits_P - _mean(drawn) ** 2).round(13)
    return np.maximum(spread, 0.0)


def _corrected(drawn: Drawn) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = drawn.accuracy_PT * (1 - drawn.accuracy_PT) / (drawn.samples_PT - 1)
    noise = np.where(drawn.seen_PT, noise, 0)
    noise[drawn.seen_PT & (drawn.samples_PT < 2)] = math.nan
    total: FloatArray = _variance(drawn) - noise.sum(axis=1) * (drawn.visits_P - 1) / drawn.visits_P**2
    return np.where(drawn.visits_P < 2, math.nan, total)


def _lim(drawn: Drawn) -> FloatArray:
    common = drawn.accuracy_PT[:, : int(drawn.visits_P.min())]
    curve = common.mean(axis=0)
    room = float(((1 - curve) ** 2).sum())
    if not room:
        return np.full(len(common), math.nan)
    aligned: FloatArray = 1 - ((common - curve) ** 2).sum(axis=1) / room
    return aligned


def _slope(drawn: Drawn) -> FloatArray:
    places = np.arange(drawn.accuracy_PT.shape[1])
    start = np.maximum(drawn.visits_P - RECENT, 0)[:, None]
    inside = drawn.seen_PT & (places >= start)
    count = inside.sum(axis=1)
    centred = np.where(inside, places - start - (count[:, None] - 1) / 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope: FloatArray = (centred * drawn.accuracy_PT).sum(axis=1) * 12 / (count * (count**2.0 - 1))
    return slope


DRAWN: Mapping[str, Callable[[Drawn], FloatArray]] = {
    "historical-variance": lambda drawn: np.sqrt(_variance(drawn)),
    "corrected-variance": _corrected,
    "lim": _lim,
    "mean-accuracy": _mean,
    "distance-to-half": lambda drawn: np.abs(_mean(drawn) - 0.5),
    "recent-slope": _slope,
}
"""The scores of a redraw, by the names of `SCORES`; those of answers are in `answer_redraws.py`, chance has none."""


def intervals(
    name: str, tracks: Sequence[Track], *, count: int = REDRAWS, seed: int = 0, window: int = WINDOW
) -> Intervals | None:
    """95 % intervals of a score and of its ranks, [P]; None where the score has none or nothing was redrawn.

    Tracks without visits are not redrawn; ranks are among the others. The bounds are the redraws themselves at 2.5 %
    and 97.5 % (inverted distribution function), so bounds of ranks are whole numbers. A score may lie outside its own
    interval: a history that moves more, or less, from visit to visit than its smoothed chance and sampling make likely.

    A history that was 0 throughout, or 1, is redrawn as it is, though its chance is not certain: the mean has Wilson's
    interval over all samples, other scores none, and its ranks move with the others only.
    """
    answers = name in ANSWERS
    known = [p for p, track in enumerate(tracks) if track.samples and (track.answers if answers else track.accuracies)]
    if not (answers or name in DRAWN) or not known or count < 1:
        return None
    there = [tracks[place] for place in known]
    drawn = redrawn(name, there, count=count, seed=seed) if answers else _scored(name, there, count, seed, window)
    scores = np.round(drawn, _DIGITS)
    first, last = np.empty(scores.shape, np.int32), np.empty(scores.shape, np.int32)
    for row, of_redraw in enumerate(scores):
        first[row], last[row] = tied(_keys(of_redraw, SCORES[name].descending))
    tail = (1 - LEVEL) / 2
    bounds: list[FloatArray] = []
    for values, share in ((scores, tail), (scores, 1 - tail), (first, tail), (last, 1 - tail)):
        bound = np.full(len(tracks), math.nan)
        bound[known] = np.quantile(values, share, axis=0, method="inverted_cdf")
        bounds.append(bound)
    for place, unmoved in zip(known, _unmoved(there, scores, answers), strict=True):
        if unmoved:
            bounds[0][place], bounds[1][place] = _undrawn(name, tracks[place])
    return Intervals(score_low_P=bounds[0], score_high_P=bounds[1], rank_low_P=bounds[2], rank_high_P=bounds[3])


def _scored(name: str, tracks: Sequence[Track], count: int, seed: int, window: int) -> FloatArray:
    """[count, P]: a score of every redraw of the accuracies."""
    return np.stack([DRAWN[name](drawn) for drawn in redraws(tracks, count=count, seed=seed, window=window)])


def _unmoved(tracks: Sequence[Track], scores: FloatArray, answers: bool) -> list[bool]:
    """[P]: whether nothing of a track could be drawn otherwise: always solved or never, or always the same answers."""
    if answers:
        return [bool(same) for same in (scores == scores[0]).all(axis=0)]
    return [len(set(track.accuracies)) == 1 and track.accuracies[0] in (0, 1) for track in tracks]


def _undrawn(name: str, track: Track) -> tuple[float, float]:
    """The interval of a score of which every redraw is the same."""
    if name not in ("mean-accuracy", "distance-to-half"):
        return math.nan, math.nan
    total = sum(track.samples)
    rate = wilson(total if track.accuracies[0] else 0, total)
    return (rate.low, rate.high) if name == "mean-accuracy" else away(rate.low, rate.high)
