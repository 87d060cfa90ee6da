"""The simulation of coverage: its truths by numbers, its pairs, and a run in tiny sizes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from oneshot.measure.statistics import wilson
from tests.unit.benchmarks.scripts import result_of, smoke

OWN = ("coverage", "difficulties", "sides")


@pytest.fixture(scope="module")
def coverage(root: Path) -> Iterator[ModuleType]:
    """The script as a module; scripts import each other by their bare names. A package has this one's name, too."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(root / "benchmarks"))
    others = {name: sys.modules.pop(name) for name in OWN if name in sys.modules}
    yield import_module("coverage")
    for name in OWN:
        sys.modules.pop(name, None)
    sys.modules.update(others)
    patch.undo()


def test_the_truths(coverage: ModuleType) -> None:
    """Against means of many draws; the cases draw what they say they do."""
    rng = np.random.default_rng(0)
    for case in coverage.cases():
        estimates = [case.draw(rng, 4_000)[0].estimate for _ in range(6)]
        assert np.mean(estimates) == pytest.approx(case.truth, abs=0.015), case


def test_suites_of_given_sizes(coverage: ModuleType) -> None:
    """Two of four tasks with 0 or 1 of 30 right: an SE of 0 for 0 of 30 held the truth in 88 % only."""
    assert [n for _, n in coverage.shaped()] == [1547, 1235]
    for case, n in coverage.shaped():
        row = coverage.measure(case, n, 400)
        assert row["coverage"] >= 0.93, row


def test_pass_at_k_of_a_uniform_rate(coverage: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(coverage.BETAS, "uniform", (1.0, 1.0))
    assert coverage.tries("uniform").truth == pytest.approx(1 - 1 / 5)


def test_pairs_are_correlated_and_differ_by_the_gap(coverage: ModuleType) -> None:
    before, after = coverage.solved_twice(np.random.default_rng(1), ("hard", "easy"), 40_000, 8)
    assert (after - before).mean() / 8 == pytest.approx(coverage.gap(("hard", "easy")), abs=0.01)
    assert coverage.gap(("hard", "easy")) == pytest.approx(0.4 * (2 / 3 - 0.25 / 1.65))
    assert np.corrcoef(before, after)[0, 1] > 0.4


def test_newcombes_width_by_hand(coverage: ModuleType) -> None:
    """56 of 70 and 48 of 80, the first example of the paper: .0524 to .3339 for the difference of .2."""
    assert coverage.unpaired_width(wilson(48, 80), wilson(56, 70)) == pytest.approx(0.3339 - 0.0524, abs=1e-4)


def test_goals(coverage: ModuleType) -> None:
    row = {"interval": "x", "kinds": "hard", "problems": 200, "truth": 0.5, "coverage": 0.92}
    assert not coverage.good(row)
    assert coverage.good(row | {"coverage": 0.93}) and coverage.good(row | {"coverage": 0.97})
    assert not coverage.good(row | {"coverage": 0.98})
    assert coverage.good(row | {"problems": 100}) and coverage.good(row | {"kinds": "rare to rare"})


def test_a_run_in_tiny_sizes(root: Path) -> None:
    *table, last = smoke(root, "coverage")
    result = result_of([last], "coverage")
    suites = sum(row["interval"].startswith("mean of a suite") for row in result["rows"])
    assert suites == 2 and len(table) == 2 + suites + (len(result["rows"]) - suites) / 2
    for row in result["rows"]:
        assert row["coverage"] + row["too_high"] + row["too_low"] == pytest.approx(1)
        assert row["coverage"] >= 0.6
    assert sum("ratio" in row for row in result["rows"]) == 2 * 8
