from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest

from oneshot.errors import UsageError
from oneshot.measure.best_checkpoint import split_half


def test_one_checkpoint_needs_no_correction() -> None:
    found = split_half([[1, 0, 1, 1, 0, 0, 1, 1]])
    assert (found.best, found.agreed) == (0, 1.0)
    assert found.on_all == 5 / 8
    assert found.corrected == pytest.approx(5 / 8, abs=0.01)


def test_two_complementary_checkpoints_by_hand() -> None:
    """Each is right where the other is wrong: the better half of one is the worse half of the other.

    P = 4, rows 1100 and 0011; choosing halves {0,1} and {2,3} choose the one that then scores 0; the four mixed halves
    tie at 1 of 2, the first is chosen and scores 1/2. Mean over the six halves: (2 x 0 + 4 x 1/2)/6 = 1/3.
    """
    found = split_half([[1, 1, 0, 0], [0, 0, 1, 1]], splits=20_000)
    assert (found.best, found.on_all, found.n, found.checkpoints) == (0, 0.5, 4, 2)
    assert found.corrected == pytest.approx(1 / 3, abs=0.01)
    assert found.optimism == pytest.approx(1 / 6, abs=0.01)
    assert found.agreed == pytest.approx(5 / 6, abs=0.01)


def test_against_every_half() -> None:
    table = np.random.default_rng(3).integers(0, 5, (4, 7)) / 4
    every = []
    for half in combinations(range(7), 3):
        rest = [i for i in range(7) if i not in half]
        every.append(table[int(table[:, half].sum(axis=1).argmax())][rest].mean())
    assert split_half(table.tolist(), splits=30_000).corrected == pytest.approx(np.mean(every), abs=0.006)


def test_noise_alone_is_corrected_away() -> None:
    """60 equal checkpoints: the best of them looks several points better than .5, the correction takes that back."""
    rng = np.random.default_rng(0)
    found = [split_half(rng.integers(0, 2, (60, 100)).tolist(), splits=200, seed=i) for i in range(40)]
    assert np.mean([run.on_all for run in found]) > 0.59
    assert np.mean([run.corrected for run in found]) == pytest.approx(0.5, abs=0.01)


def test_a_real_best_stays() -> None:
    rng = np.random.default_rng(1)
    table = np.vstack([rng.random((5, 400)) < 0.4, rng.random(400) < 0.7])
    found = split_half(table.tolist())
    assert (found.best, found.agreed) == (5, 1.0)
    assert found.corrected == pytest.approx(found.on_all, abs=0.01)


def test_seeded_and_json_able() -> None:
    table = np.random.default_rng(1).random((3, 20)).tolist()
    assert split_half(table) == split_half(table) != split_half(table, seed=1)
    keys = {"best", "on_all", "corrected", "optimism", "spread", "agreed", "checkpoints", "n", "splits"}
    assert set(json.loads(json.dumps(split_half(table).as_dict(), allow_nan=False))) == keys


def test_of_equal_checkpoints_the_earliest() -> None:
    row = [0.1, 0.2, 0.7, 0.4]
    assert split_half([row, row[::-1], row]).best == 0


@pytest.mark.parametrize("table", [[], [[1.0]], [[1, 0], [1]], [[], []]])
def test_what_cannot_be_split_is_refused(table: list[list[float]]) -> None:
    with pytest.raises(UsageError, match="two or more problems"):
        split_half(table)
