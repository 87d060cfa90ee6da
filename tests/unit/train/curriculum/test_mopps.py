"""MoPPS: the posterior by hand, its limits, and that it finds the examples it is after."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.history import History, Visit
from oneshot.train.curriculum.base import nearest
from oneshot.train.curriculum.mopps import Posterior
from tests.unit.train.curriculum.simulated import pool, run, started


def seen(decay: float, *visits: tuple[int, int]) -> tuple[float, float]:
    """(α, β) after visits of (successes, samples)."""
    posterior = Posterior(1, decay)
    for step, (successes, samples) in enumerate(visits):
        posterior.update(0, Visit(step, "p0", samples, successes, ()))
    return float(posterior.alpha_P[0]), float(posterior.beta_P[0])


def rate(decay: float, *visits: tuple[int, int]) -> float:
    """The posterior's mean."""
    alpha, beta = seen(decay, *visits)
    return alpha / (alpha + beta)


def test_by_hand() -> None:
    assert seen(0.5, (2, 8)) == (3, 7)
    assert seen(0.5, (2, 8), (4, 8)) == (6, 8)
    assert rate(0.5, (2, 8)) == pytest.approx(0.3)
    assert rate(0.5, (2, 8), (4, 8)) == pytest.approx(0.428571, abs=1e-6)
    assert rate(0.5) == 0.5


@given(st.lists(st.tuples(st.integers(0, 8), st.just(8)), min_size=1, max_size=6))
def test_limits(visits: list[tuple[int, int]]) -> None:
    successes, samples = sum(s for s, _ in visits), sum(n for _, n in visits)
    assert seen(1.0, *visits) == (1 + successes, 1 + samples - successes)  # the exact conjugate posterior
    assert seen(0.0, *visits) == (1 + visits[-1][0], 1 + 8 - visits[-1][0])  # the last visit alone


def test_one_sample_counts_as_one() -> None:
    """Where the released code's precedence makes every posterior 8."""
    assert seen(1.0, (1, 1)) == (2, 1)
    assert seen(1.0, (0, 1)) == (1, 2)


def test_only_the_visited_decay() -> None:
    posterior = Posterior(2, 0.5)
    posterior.update(0, Visit(0, "p0", 8, 8, ()))
    posterior.update(1, Visit(1, "p1", 8, 0, ()))
    assert posterior.alpha_P.tolist() == [9, 1]
    assert posterior.beta_P.tolist() == [1, 9]


def test_nearest_by_hand() -> None:
    values = np.array([0.9, 0.4, 0.6, 0.1, 0.5])
    assert nearest(values, 0.5, 3) == [4, 1, 2]  # .4 and .6 tie: file order
    assert nearest(values, 1.0, 1) == [0]


def test_it_comes_to_pick_what_is_solved_half_the_time() -> None:
    rates = {f"p{i}": 0.5 if i % 10 == 0 else 0.02 if i % 2 else 0.98 for i in range(100)}
    chosen, _ = run(started("mopps", pool(100), groups=5), rates, range(60))
    late = [p for step in chosen[40:] for p in step]
    assert np.mean([rates[p] == 0.5 for p in late]) > 0.7
    assert len({p for step in chosen for p in step}) > 60  # it looked at most of them before


def test_a_step_picks_different_examples_that_share_the_groups() -> None:
    chosen, _ = run(started("mopps", pool(9), groups=8, pick=2), {f"p{i}": 0.5 for i in range(9)}, range(4))
    assert all(len(step) == 8 and sorted(step.count(p) for p in set(step)) == [4, 4] for step in chosen)
    chosen, _ = run(started("mopps", pool(9), groups=5), {f"p{i}": 0.5 for i in range(9)}, range(4))
    assert all(len(set(step)) == 5 for step in chosen)


def test_draws_follow_the_seed_and_the_step() -> None:
    def first(seed: int, step: int) -> list[str]:
        return [p.id for p in started("mopps", pool(30), seed=seed).next(step, History())]

    assert first(1, 0) == first(1, 0)
    assert first(1, 0) != first(2, 0)
    assert first(1, 0) != first(1, 1)
