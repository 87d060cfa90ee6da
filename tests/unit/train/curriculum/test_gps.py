"""GPS's greedy choice: its limits by hand, and twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.train.curriculum.base import unit
from oneshot.train.curriculum.gps import diverse
from tests.unit.train.curriculum.simulated import pool, run, started, vectors

SQUARE = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])


def test_without_diversity_it_is_the_best_alone() -> None:
    utility = np.array([-0.2, -0.1, -0.3, -0.1])
    assert diverse(utility, SQUARE, 0.0, 3, []) == [1, 3, 0]


@given(st.lists(st.floats(-0.25, 0), min_size=4, max_size=4), st.integers(1, 4))
def test_a_vanishing_weight_agrees_with_none(utility: list[float], count: int) -> None:
    values = np.round(np.array(utility), 3)
    chosen = diverse(values, SQUARE, 1e-9, count, [])
    assert sorted(values[chosen]) == sorted(values[diverse(values, SQUARE, 0.0, count, [])])


def test_by_hand() -> None:
    flat = np.zeros(4)
    assert diverse(flat, SQUARE, 1.0, 2, []) == [0, 2]  # its opposite
    assert diverse(flat, SQUARE, 1.0, 1, [1]) == [3]  # away from the last step's
    # 0 is worth 0; then 2 gives -.3 + .5·1 = .2, and 1 gives -.1 + .5·.5 = .15.
    assert diverse(np.array([0, -0.1, -0.3, -0.9]), SQUARE, 0.5, 2, []) == [0, 2]
    assert diverse(np.array([0, -0.1, -0.3, -0.9]), SQUARE, 0.3, 2, []) == [0, 1]  # .05 against 0


@pytest.mark.parametrize("diversity", [1e-3, 0.1, 10])
def test_a_twin_comes_only_when_nothing_else_is_left(diversity: float) -> None:
    """However much the twin is worth; a sum over pairs would take it beside a far cluster."""
    embedding = np.array([[1, 0.0], [1, 0], [-1, 0.1], [-1, -0.1], [-1, 0.2]])
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    utility = np.array([0, 0, -0.2, -0.25, -0.2])
    assert sorted(diverse(utility, embedding, diversity, 4, [])) == [0, 2, 3, 4]
    assert sorted(diverse(utility, embedding, diversity, 5, [])) == [0, 1, 2, 3, 4]


def test_twins_in_a_pool_are_not_picked_together() -> None:
    embedding = np.repeat(vectors(5), 2, axis=0)
    rates = {f"p{i}": 0.5 for i in range(10)}
    chosen, _ = run(started("gps", pool(10), embedding=embedding), rates, range(12))
    assert all(len({int(p[1:]) // 2 for p in step}) == 4 for step in chosen)
    plain, _ = run(started("gps", pool(10), embedding=embedding, diversity=0), rates, range(12))
    assert any(len({int(p[1:]) // 2 for p in step}) < 4 for step in plain)


def test_twins_that_equal_the_pool_s_mean_are_twins_too() -> None:
    """Their vectors are 0, so that 1 − cos would call them half apart."""
    centre = unit(np.array([[1, 0.0], [-1, 0], [0, 0], [0, 0]], dtype=np.float32))
    assert not centre[2:].any()
    assert sorted(diverse(np.array([-0.2, -0.2, 0, 0]), centre, 0.1, 3, [])) in ([0, 1, 2], [0, 1, 3])
    # Away from the last step's: the twin of place 3 is at distance 0 and not at one half, .1 against .5 − .2.
    assert diverse(np.array([-0.2, -0.9, 0.1, -0.9]), centre, 1.0, 1, [3]) == [0]
    alike = unit(np.ones((3, 2), dtype=np.float32))
    assert diverse(np.array([0.0, 0.1, 0.2]), alike, 5.0, 2, []) == [2, 1]  # all one: the utility decides


def test_with_one_draw_and_no_diversity_it_is_mopps() -> None:
    rates = {f"p{i}": i / 12 for i in range(12)}
    plain = run(started("gps", pool(12), diversity=0, draws=1), rates, range(8))[0]
    assert plain == run(started("mopps", pool(12)), rates, range(8))[0]


def test_unit_vectors_have_no_common_part() -> None:
    found = unit(vectors(6) + 100)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert np.allclose(found, unit(vectors(6)), atol=1e-3)
    assert unit(np.ones((3, 2), dtype=np.float32)).tolist() == [[0, 0]] * 3
