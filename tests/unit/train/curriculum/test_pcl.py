"""PCL: the value head in closed form, its limits, and that more of the samples carry signal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from oneshot.history import History
from oneshot.train.curriculum.base import nearest, unit
from oneshot.train.curriculum.pcl import Pcl, fitted
from tests.unit.train.curriculum.simulated import pool, run, sampled, started, vectors


def test_one_feature_by_hand() -> None:
    """Two examples at ±1 with 8 samples each, 6 and 2 right: w = Σ n x (r − .5) / (Σ n + ridge) = 4 / (16 + ridge)."""
    x = np.array([[1.0], [-1.0], [0.5]])
    samples, successes = np.array([8.0, 8, 0]), np.array([6.0, 2, 0])
    assert fitted(x, samples, successes, 4.0) == pytest.approx([0.7, 0.3, 0.6])
    assert fitted(x, samples, successes, 1e-9) == pytest.approx([0.75, 0.25, 0.625])
    assert fitted(x, samples, successes, 1e12) == pytest.approx([0.5, 0.5, 0.5])


def test_the_closed_form_is_the_minimum_whichever_matrix_is_smaller() -> None:
    rng = np.random.default_rng(0)
    for examples, width in ((30, 4), (5, 20)):
        x = rng.normal(size=(examples, width))
        n = rng.integers(1, 9, examples).astype(float)
        s = np.minimum(n, rng.integers(0, 9, examples))
        mean = s.sum() / n.sum()
        w = np.linalg.lstsq(x, fitted(x, n, s, 2.0) - mean, rcond=None)[0]
        slope = 2 * (x.T @ (n * (x @ w - (s / n - mean)))) + 2 * 2.0 * w
        assert np.abs(slope).max() < 1e-8


def test_nothing_is_known_at_first() -> None:
    assert fitted(unit(vectors(3)), np.zeros(3), np.zeros(3), 1.0).tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("rate", [0, 0.25, 1])
def test_a_constant_target_is_learned_exactly(rate: float) -> None:
    visited = np.array([8.0] * 5 + [0] * 7)
    found = fitted(unit(vectors(12)), visited, visited * rate, 1.0)
    assert found == pytest.approx([rate] * 12)  # those never visited too


def test_an_oracle_recovers_the_intermediate_set() -> None:
    rates = np.array([0.0, 0.45, 1.0, 0.5, 0.9, 0.6, 0.2, 0.05])
    assert sorted(nearest(rates, 0.5, 3)) == [1, 3, 5]


def test_with_one_candidate_a_pick_it_is_uniform_sampling() -> None:
    rates = {f"p{i}": i / 11 for i in range(12)}
    blind = {f"p{i}": 0.0 for i in range(12)}
    chosen = run(started("pcl", pool(12), wide=1), rates, range(300))[0]
    same_sets = zip(chosen, run(started("pcl", pool(12), wide=1), blind, range(300))[0], strict=True)
    assert all(set(one) == set(other) for one, other in same_sets)  # whatever was solved
    counts = np.array([sum(f"p{i}" in step for step in chosen) for i in range(12)])
    assert np.abs(counts - 100).max() < 4 * np.sqrt(300 * 1 / 3 * 2 / 3)


def effective(chosen: Sequence[Sequence[str]], rates: dict[str, float], late: int) -> float:
    """Share of groups with mixed rewards from step `late` on."""
    by_id = {p.id: p for p in pool(len(rates))}
    groups = [g for t in range(late, len(chosen)) for g in sampled([by_id[p] for p in chosen[t]], rates, t)]
    right = [sum(c.verdict.correct for c in g.completions if c.verdict) for g in groups]
    return float(np.mean([0 < r < 8 for r in right]))


def test_more_samples_carry_signal_than_with_uniform_sampling() -> None:
    """Rates follow one direction of the embedding, as they would if difficulty were written in the prompt."""
    embedding = vectors(200, width=6)
    rates = {f"p{i}": float(1 / (1 + np.exp(-5 * embedding[i, 0]))) for i in range(200)}
    shares = []
    for wide in (1, 8):
        chosen = run(started("pcl", pool(200), embedding=embedding, groups=8, wide=wide), rates, range(40))[0]
        shares.append(effective(chosen, rates, 10))
    assert shares[1] > shares[0] + 0.15
    assert shares[1] > 0.9


def test_old_visits_weigh_less() -> None:
    problems = pool(6)
    curriculum, history = started("pcl", problems, decay=0.5, pick=1), History()
    assert isinstance(curriculum, Pcl)
    history.observe(0, sampled([problems[0]], {"p0": 1.0}, 0))
    history.observe(2, sampled([problems[1]], {"p1": 0.0}, 2))
    curriculum.next(3, history)
    assert curriculum.samples_P.tolist() == [2, 8, 0, 0, 0, 0]
    assert curriculum.successes_P.tolist() == [2, 0, 0, 0, 0, 0]
