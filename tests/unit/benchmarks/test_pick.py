"""The comparison of a pick with random ones: in tiny sizes, resumed, and its arithmetic by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from oneshot.data.tasks import builtin
from tests.unit.benchmarks.scripts import smoke

NAMES = ["base", "pick", *(f"random {i}" for i in range(1, 6)), *(f"mixed {i}" for i in range(1, 6))]


@pytest.fixture(scope="module")
def pick_table(root: Path) -> Iterator[ModuleType]:
    """The script as a module; scripts import each other by their bare names."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(root / "benchmarks"))
    yield import_module("pick_table")
    del sys.modules["pick_table"]
    patch.undo()


def run(root: Path, results: Path) -> list[str]:
    return smoke(root, "pick", "--results", str(results))


def lines_of(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text("utf-8").splitlines()]


@pytest.mark.slow
def test_eleven_arms_that_go_on_where_they_were_stopped(root: Path, tmp_path: Path) -> None:
    results = tmp_path / "new" / "pick.jsonl"
    table = run(root, results)
    lines = lines_of(results)
    assert [line["arm"] for line in lines] == NAMES
    first, *arms = lines
    assert first["arms"] == [{key: arm[key] for key in ("arm", "problem", "successes", "samples")} for arm in arms]
    assert len({arm["problem"]["id"] for arm in arms}) == 11
    assert {arm["problem"]["meta"]["split"] for arm in arms} == {"train"}
    assert all(0 < arm["successes"] < arm["samples"] for arm in arms[6:])
    assert len(first["dev"]) == len(builtin.KINDS) == 8
    assert all(len(arm["accuracy"]) == 1 for arm in arms)
    for arm in arms:
        ones = arm["dev"].count("1") - first["dev"].count("1")
        assert arm["overall"]["estimate"] == pytest.approx(ones / 8)
        assert arm["own"]["n"] == 1
    assert len(table) == 1 + 11 + 4
    whole = results.read_bytes()
    results.write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    assert run(root, results) == table
    assert [(line["arm"], line.get("accuracy"), line["dev"]) for line in lines_of(results)] == [
        (line["arm"], line.get("accuracy"), line["dev"]) for line in lines
    ]
    before = results.read_bytes()
    assert run(root, results) == table
    assert results.read_bytes() == before


def test_a_comparison_by_hand(pick_table: ModuleType) -> None:
    """Two problems of a kind: one gained of add_bare, one lost of sub_bare, the other six kinds as before."""
    problems = builtin.dev_set(0, "add_bare", own=2, other=2)
    found = pick_table.compared(problems, "0111" + "1" * 12, "1101" + "1" * 12, "add_bare")
    assert (found["own"]["base"], found["own"]["trained"], found["own"]["n"]) == (0.5, 1.0, 2)
    assert found["overall"]["estimate"] == pytest.approx((0.5 - 0.5) / 8)
    assert (found["overall"]["gained"], found["overall"]["lost"]) == (1, 1)
