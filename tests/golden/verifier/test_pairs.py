"""Every labelled pair of an answer and a reference gets its label: ours, and the shared examples where they are."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oneshot.rewards.functions import VERIFIERS

ROWS = {"pairs_dev.jsonl": 873, "pairs_heldout.jsonl": 777, "pairs_adversary.jsonl": 326, "pairs_second.jsonl": 1322}
FILES = tuple(ROWS)
SLOWEST = 10.0
"""Seconds one pair may take: a guard against hanging, not a measurement."""
Row = dict[str, Any]


def rows_of(path: Path) -> list[Row]:
    return [{**json.loads(line), "line": n} for n, line in enumerate(path.read_text("utf-8").splitlines(), 1)]


def response_of(row: Row) -> str:
    """The response as written, or `prefix + unit * count + suffix` where it is too long to be written out."""
    if "repeat" not in row:
        return str(row["response"])
    prefix, unit, count, suffix = row["repeat"]
    return f"{prefix}{unit * count}{suffix}"


def wrongly_graded(rows: list[Row]) -> Iterator[str]:
    graders = {name: VERIFIERS.build(name) for name in ("math", "math-lenient", "number", "choice")}
    for row in rows:
        start = time.perf_counter()
        verdict = graders[row.get("grader", "math")](response_of(row), row["gold"])
        took = time.perf_counter() - start
        if verdict.correct is not row["expected"] or took > SLOWEST:
            shown = f"{response_of(row)[:80]!r} for {row['gold'][:80]!r}"
            where = f"line {row['line']}"
            yield f"{where}: {shown} is {verdict.status}/{verdict.method}, not {row['expected']} ({took:.1f} s)"


PAIRS = {name: rows_of(Path(__file__).with_name(name)) for name in FILES}
GROUPS = [(name, category) for name, rows in PAIRS.items() for category in sorted({row["category"] for row in rows})]


@pytest.mark.parametrize(("name", "category"), GROUPS)
def test_every_pair_gets_its_label(name: str, category: str) -> None:
    wrong = list(wrongly_graded([row for row in PAIRS[name] if row["category"] == category]))
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", FILES)
def test_the_pairs_are_all_there_and_no_category_is_one_sided(name: str) -> None:
    rows = PAIRS[name]
    assert len(rows) == ROWS[name]
    assert {row["grader"] for row in rows} >= {"math", "math-lenient"}
    labels = Counter((row["category"], row["expected"]) for row in rows)
    assert all(labels[category, label] >= 3 for file, category in GROUPS if file == name for label in (True, False))


@pytest.mark.parametrize("name", FILES[:2])
def test_a_pair_without_a_box_is_no_answer_when_strict(name: str) -> None:
    math = VERIFIERS.build("math")
    boxless = [row for row in PAIRS[name] if row["category"] == "no box" and row["grader"] == "math-lenient"]
    assert len(boxless) >= 10
    assert {math(response_of(row), row["gold"]).correct for row in boxless} == {False}


def test_shared_examples(shared_data: Path) -> None:
    """All 65; the one without a box is graded with `math-lenient`, and false under `math`."""
    path = shared_data / "verifier_examples.jsonl"
    if not path.is_file():
        pytest.skip(f"{path} is not there; ONESHOT_SHARED=FOLDER names another place")
    rows = rows_of(path)
    boxless = [row for row in rows if "no box" in row["note"]]
    assert (len(rows), len(boxless)) == (65, 1)
    wrong = list(wrongly_graded([{**row, "grader": "math-lenient" if row in boxless else "math"} for row in rows]))
    assert not wrong, "\n" + "\n".join(wrong)
    assert list(wrongly_graded([{**row, "expected": False} for row in boxless])) == []
