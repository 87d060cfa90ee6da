"""Which example to train on: scores of recorded histories, as pure functions. Loads no torch.

A history is the list of an example's accuracies, one a visit, in step order; histories need not be of equal length.
Scores are exact where they can be (`exact.py`), so ties are ties. numpy.std, as the published code uses it, orders some
ties by its own rounding; outside ties the order is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from oneshot.measure.exact import mean, noise_variance, variance, whole
from oneshot.measure.histories import Track

FloatArray = npt.NDArray[np.float64]

RECENT = 10
"""Visits behind the recent slope."""
_DIGITS = 12
"""Decimals kept of scores that cannot be computed in whole numbers, so that rounding breaks no tie."""


def _each(histories: Sequence[Sequence[float]], score: Callable[[Sequence[float]], float]) -> FloatArray:
    """[P]: a score of each history, NaN where there are no visits."""
    return np.array([score(history) if len(history) else math.nan for history in histories], dtype=np.float64)


def _rounded(scores_P: FloatArray) -> FloatArray:
    rounded: FloatArray = scores_P.round(_DIGITS)
    return rounded


def historical_std(histories: Sequence[Sequence[float]]) -> FloatArray:
    """[P]: the population standard deviation of each history: the paper's historical variance (arXiv:2504.20571).

    Every visit counts, histories of unequal length are not trimmed, as in the published code.
    """
    return _each(histories, lambda history: math.sqrt(variance(history)))


def corrected_variance(histories: Sequence[Sequence[float]], samples: Sequence[Sequence[int]]) -> FloatArray:
    """[P]: the variance less its expected noise (`noise_variance`); signed, never floored; not in the paper.

    Negative means that the history moves less than sampling noise alone would. NaN where the noise is not known, and
    with fewer than two visits, which cannot vary: a score of 0 would rank them above every negative one.
    """
    found = []
    for history, sizes in zip(histories, samples, strict=True):
        noise = noise_variance(history, sizes) if len(history) > 1 and sizes else None
        found.append(math.nan if noise is None else float(variance(history) - noise))
    return np.array(found, dtype=np.float64)


def noise_share(histories: Sequence[Sequence[float]], samples: Sequence[Sequence[int]]) -> FloatArray:
    """[P]: expected noise / variance; above 1 where the corrected variance is negative, NaN at variance 0."""
    found = []
    for history, sizes in zip(histories, samples, strict=True):
        noise = noise_variance(history, sizes) if history and sizes else None
        spread = variance(history) if noise is not None else Fraction(0)
        found.append(float(noise / spread) if noise is not None and spread else math.nan)
    return np.array(found, dtype=np.float64)


def alignment(history: Sequence[float], curve: Sequence[float]) -> float:
    """1 - Σ(a - ā)² / Σ(1 - ā)²: how closely a history follows the pool's mean curve ā (LIMR, arXiv:2502.11886).

    (0, .5, 1) along (.2, .5, .8) is .913978. NaN where the mean is 1 throughout: there is nothing left to learn.
    """
    a, pool = np.asarray(history, dtype=np.float64), np.asarray(curve, dtype=np.float64)
    room = float(((1 - pool) ** 2).sum())
    return 1 - float(((a - pool) ** 2).sum()) / room if room else math.nan


def lim(histories: Sequence[Sequence[float]]) -> FloatArray:
    """[P]: `alignment` with the mean curve of these histories over the visits that all of them have.

    As published, every history is cut at the shortest; those without any visit are left out of that (NaN).
    """
    visits = min((len(history) for history in histories if len(history)), default=0)
    common = [history[:visits] for history in histories if len(history)]
    curve = [math.fsum(column) / len(common) for column in zip(*common, strict=True)]
    return _rounded(_each(histories, lambda history: alignment(history[:visits], curve)))


def mean_accuracy(histories: Sequence[Sequence[float]]) -> FloatArray:
    """[P]: the mean over visits, each visit with equal weight."""
    return _each(histories, lambda history: float(mean(history)))


def distance_to_half(histories: Sequence[Sequence[float]]) -> FloatArray:
    """[P]: |mean accuracy - 1/2|; small is good, because mixed groups carry the signal."""
    return _each(histories, lambda history: float(abs(mean(history) - Fraction(1, 2))))


def recent_slope(histories: Sequence[Sequence[float]], window: int = RECENT) -> FloatArray:
    """[P]: least-squares slope of the last `window` visits, in accuracy a visit; NaN with fewer than two visits.

    Descriptive: visits of one run are a random walk, so a slope is no test of anything.
    """
    assert window >= 2, window

    def slope(history: Sequence[float]) -> float:
        numerators, denominator = whole(history[-window:])
        visits = len(numerators)
        if visits < 2:
            return math.nan
        # Twice the centred visit numbers are whole: -3, -1, 1, 3.
        moment = sum((2 * t - visits + 1) * m for t, m in enumerate(numerators))
        return float(Fraction(6 * moment, denominator * visits * (visits**2 - 1)))

    return _each(histories, slope)


def answer_entropy(counts: Mapping[str, int]) -> float:
    """Entropy in nats of the answers of one visit: (a, a, b, c) gives 1.0397, one answer alone or none at all 0."""
    total = sum(counts.values())
    shares = [count / total for count in counts.values() if count]
    return 0.0 if len(shares) < 2 else -math.fsum(share * math.log(share) for share in shares)


def distinct_ratio(counts: Mapping[str, int], samples: int) -> float:
    """Distinct answers / samples of one visit: (a, a, b, c) gives .75. Responses without an answer add none."""
    assert samples >= 1, samples
    return sum(count > 0 for count in counts.values()) / samples


Feature = Callable[[Mapping[str, int], int], float]
"""(answer -> count, samples) of one visit to a number."""

ANSWERS: Mapping[str, Feature] = {
    "answer-entropy": lambda counts, n: answer_entropy(counts),
    "distinct-answers": distinct_ratio,
}
"""The scores of the answers of one visit, by their names in `SCORES`; the largest comes first."""


def _per_visit(tracks: Sequence[Track], feature: Feature) -> FloatArray:
    """[P]: the mean over visits of a feature of each visit's answers; NaN where none were recorded."""
    found = []
    for track in tracks:
        seen = [feature(counts, n) for counts, n in zip(track.answers, track.samples, strict=False)]
        found.append(math.fsum(seen) / len(seen) if seen else math.nan)
    return _rounded(np.array(found, dtype=np.float64))


def random_scores(count: int, seed: int) -> FloatArray:
    """[P]: one uniform number a row; the same seed gives the same order, whatever was recorded."""
    return np.random.default_rng(seed).random(count)


@dataclass(frozen=True, kw_only=True)
class Score:
    """A way to rank a pool. `of` gets the tracks in the pool's order and the seed."""

    help: str
    of: Callable[[Sequence[Track], int], FloatArray]
    descending: bool = True
    """The largest score comes first."""
    needs: str = "visits"
    """What the tracks must hold: `visits`, `two` (visits), `samples` (of two visits, known), `answers` or nothing."""


def _histories(tracks: Sequence[Track]) -> list[tuple[float, ...]]:
    return [track.accuracies for track in tracks]


SCORES: Mapping[str, Score] = {
    "historical-variance": Score(
        help="the paper's: the standard deviation of the accuracy over the visits",
        of=lambda tracks, seed: historical_std(_histories(tracks)),
        needs="two",
    ),
    "corrected-variance": Score(
        help="the variance less what sampling noise alone is expected to give",
        of=lambda tracks, seed: corrected_variance(_histories(tracks), [track.samples for track in tracks]),
        needs="samples",
    ),
    "lim": Score(
        help="how closely the history follows the pool's mean curve (LIMR)",
        of=lambda tracks, seed: lim(_histories(tracks)),
    ),
    "mean-accuracy": Score(
        help="the mean over the visits, the most solved first",
        of=lambda tracks, seed: mean_accuracy(_histories(tracks)),
    ),
    "distance-to-half": Score(
        help="|mean accuracy - 0.5|, the nearest first",
        of=lambda tracks, seed: distance_to_half(_histories(tracks)),
        descending=False,
    ),
    "recent-slope": Score(
        help=f"the slope of the last {RECENT} visits",
        of=lambda tracks, seed: recent_slope(_histories(tracks)),
        needs="two",
    ),
    "answer-entropy": Score(
        help="how much the answers differ: their entropy in nats, mean over the visits",
        of=lambda tracks, seed: _per_visit(tracks, ANSWERS["answer-entropy"]),
        needs="answers",
    ),
    "distinct-answers": Score(
        help="distinct answers / samples, mean over the visits",
        of=lambda tracks, seed: _per_visit(tracks, ANSWERS["distinct-answers"]),
        needs="answers",
    ),
    "random": Score(
        help="chance, by --seed",
        of=lambda tracks, seed: random_scores(len(tracks), seed),
        needs="",
    ),
}
"""Name -> score; the first is the default."""
