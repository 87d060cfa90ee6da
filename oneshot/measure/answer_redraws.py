"""How far a score of answers can be trusted: the answers of every visit redrawn. Loads no torch.

Each visit's answers are drawn anew, as Multinomial(samples, observed shares), responses without an answer being one
more kind. A redraw of what was seen can lose answers and never find a new one, so its scores lie too low; the redraws
of an example are therefore moved so that their mean is its score. The spread is what is taken from them.

Not in the papers. As everywhere, the intervals hold one run's noise only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from oneshot.measure.histories import Track
from oneshot.measure.selection import SCORES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DrawnFeature = Callable[[IntArray, int], FloatArray]
"""(counts [R, A] of A answers in R redraws, samples of the visit) to [R]."""


def _entropy(counts_RA: IntArray, samples: int) -> FloatArray:
    """`selection.answer_entropy` of each row: log n - Σ k log k / n, 0 without answers."""
    k_log_k = np.arange(samples + 1) * np.log(np.maximum(np.arange(samples + 1), 1))
    total_R = counts_RA.sum(axis=1)
    entropy_R: FloatArray = np.log(np.maximum(total_R, 1)) - k_log_k[counts_RA].sum(axis=1) / np.maximum(total_R, 1)
    return np.maximum(entropy_R, 0)


def _distinct(counts_RA: IntArray, samples: int) -> FloatArray:
    """`selection.distinct_ratio` of each row."""
    share_R: FloatArray = (counts_RA > 0).sum(axis=1) / samples
    return share_R


FEATURES: Mapping[str, DrawnFeature] = {"answer-entropy": _entropy, "distinct-answers": _distinct}
"""As `selection.ANSWERS`, for many redraws at once."""


def redrawn(name: str, tracks: Sequence[Track], *, count: int, seed: int) -> FloatArray:
    """[count, P]: a score of answers of every redraw; the tracks must all have answers and samples."""
    rng = np.random.default_rng(seed)
    scores_P = SCORES[name].of(tracks, seed)
    found = np.empty((count, len(tracks)))
    for place, track in enumerate(tracks):
        total_R = np.zeros(count)
        for counts, samples in zip(track.answers, track.samples, strict=True):
            total_R += FEATURES[name](_drawn(counts, samples, count, rng), samples)
        mean_R = total_R / len(track.answers)
        found[:, place] = mean_R - mean_R.mean() + scores_P[place]
    most = 1.0 if name == "distinct-answers" else np.inf
    return np.clip(found, 0, most)


def _drawn(counts: Mapping[str, int], samples: int, count: int, rng: np.random.Generator) -> IntArray:
    """[count, A] of one visit; the responses without an answer are drawn with the others and then left out."""
    seen = [number for number in counts.values() if number]
    shares = np.array([*seen, samples - sum(seen)], dtype=np.float64) / samples
    return rng.multinomial(samples, shares, size=count)[:, :-1]
