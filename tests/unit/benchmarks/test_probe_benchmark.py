"""The probe's benchmark: its arithmetic by hand, the rules it compares, and a run in tiny sizes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.unit.benchmarks.scripts import result_of, smoke


@pytest.fixture(scope="module")
def probe(root: Path) -> Iterator[ModuleType]:
    """The script as a module; scripts import each other by their bare names."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(root / "benchmarks"))
    before = set(sys.modules)
    yield import_module("probe")
    for name in {"probe", "sides"} & (set(sys.modules) - before):
        del sys.modules[name]
    patch.undo()


def test_where_a_curve_crosses_the_goal(probe: ModuleType) -> None:
    """Recall .2 at 100 and .6 at 400: .4 lies half-way between their logarithms, at 200."""
    spent = np.array([100.0, 400.0, 900.0])
    assert probe.crossing(spent, np.array([0.2, 0.6, 0.5])) == pytest.approx(200)
    assert probe.crossing(spent, np.array([0.5, 0.6, 0.7])) == 100
    assert np.isnan(probe.crossing(spent, np.array([0.1, 0.2, 0.39])))


def test_a_judgement_by_hand(probe: ModuleType) -> None:
    """Picked are 4/8 and 5/8, whose rates are .45 and .2; the nearest are .45 and .52."""
    rates = np.array([0.45, 0.2, 0.52, 0.9])
    counts = np.array([4, 5, 1, 8]), np.array([8, 8, 8, 8])
    recall, away, seen, spent = probe.judge(rates, counts, 2)
    assert (recall, spent) == (0.5, 32)
    assert away == pytest.approx((0.05 + 0.3) / 2)
    assert seen == pytest.approx(0.125 / 2)


@pytest.mark.parametrize("rule", ["uniform", "probe", "halves", "racing", "thompson"])
def test_no_rule_spends_more_than_its_budget(probe: ModuleType, rule: str) -> None:
    rates = probe.pool("uniform", 90, 5)
    for budget in (400, 1_000, 5_000):
        successes, samples = probe.RULES[rule](rates, 5, budget, np.random.default_rng(0))
        assert 0.8 * budget <= samples.sum() <= budget
        assert (successes <= samples).all()
        assert (samples > 0).all()


def test_pools_are_seeded_and_of_two_kinds(probe: ModuleType) -> None:
    first, again, other = (probe.pool("beta(.3,.5)", 4_000, seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert first.mean() == pytest.approx(0.3 / 0.8, abs=0.03)
    assert probe.pool("uniform", 4_000, 0).mean() == pytest.approx(0.5, abs=0.03)


def test_a_run_in_tiny_sizes(root: Path) -> None:
    *table, last = smoke(root, "probe")
    result = result_of([last], "probe")
    assert len(table) == 2 + len(result["rows"]) == 14
    shipped = [row for row in result["rows"] if row["rule"] == "shipped"]
    assert len(shipped) == 2
    for row in shipped:
        probe = next(other for other in result["rows"] if (other["pool"], other["rule"]) == (row["pool"], "probe"))
        assert 0 < row["at"]["samples"] <= probe["at"]["samples"], "it may be content earlier"
        assert row["at"]["away"] < 0.3
    for row in result["rows"]:
        if row in shipped:
            continue
        assert row["ratio"] > 0
        assert row["ratio"] == pytest.approx(1) or row["rule"] != "uniform"
        assert row["ratio_low"] <= row["ratio_high"]
        assert row["at"]["recall"] >= result["recall"]


def test_the_budgets_grow_by_a_quarter_and_end(probe: ModuleType) -> None:
    found = probe.averages()
    assert found[:5] == [8, 10, 12, 15, 19]
    assert found[-1] <= probe.MOST < found[-1] * 1.3
