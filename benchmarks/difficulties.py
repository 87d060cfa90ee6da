"""Problems of a known difficulty, and the responses of one model or two: what `coverage.py` draws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLES, KEPT = 8, 0.6
"""Responses a problem, where there are several; how often a problem has the same rate for both models."""
BETAS = {"hard": (0.25, 1.4), "mixed": (0.3, 0.5), "easy": (2.0, 1.0), "rare": (0.1, 3.0), "solved": (20.0, 1.0)}
"""A difficulty is a Beta distribution of the rate at which a problem is solved."""
SUITES: dict[str, tuple[tuple[int, int, str], ...]] = {
    "math6, rare AIME": (
        (500, 1, "mixed"),
        (30, SAMPLES, "rare"),
        (30, SAMPLES, "rare"),
        (40, SAMPLES, "hard"),
        (272, 1, "hard"),
        (675, 1, "hard"),
    ),
    "two rare of four": ((30, 1, "rare"), (30, 1, "rare"), (500, 1, "mixed"), (675, 1, "hard")),
}
"""(problems, samples, difficulty) of every task of suites whose sizes are given."""
Rates = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def mean_of(kind: str) -> float:
    """The mean rate of a difficulty."""
    a, b = BETAS[kind]
    return a / (a + b)


def solved(rng: np.random.Generator, kind: str, n: int, samples: int) -> Counts:
    """[n]: right responses to each problem."""
    return rng.binomial(samples, rng.beta(*BETAS[kind], n))


def solved_twice(rng: np.random.Generator, kinds: tuple[str, str], n: int, samples: int) -> tuple[Counts, Counts]:
    """[n], [n]: right responses of two models to the same problems.

    A kept rate is drawn from the first distribution with chance 1/2, else from the second, and is both models': so
    kept problems add nothing to the true difference.
    """
    first, second = rng.beta(*BETAS[kinds[0]], n), rng.beta(*BETAS[kinds[1]], n)
    kept, either = rng.random(n) < KEPT, rng.random(n) < 0.5
    common = np.where(either, first, second)
    before, after = np.where(kept, common, first), np.where(kept, common, second)
    return rng.binomial(samples, before), rng.binomial(samples, after)


def gap(kinds: tuple[str, str]) -> float:
    """The true difference of a pair."""
    return (1 - KEPT) * (mean_of(kinds[1]) - mean_of(kinds[0]))
