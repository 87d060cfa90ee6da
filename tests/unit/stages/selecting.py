"""A small pool with a record, and runs on it, for tests of `oneshot select`; no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oneshot.record import RunFolder
from oneshot.types import Problem

POOL = [
    {"index": 10, "problem": "One?", "answer": "1"},
    {"index": 11, "problem": "Two?", "answer": "2"},
    {"index": 12, "problem": "Three?", "answer": "3"},
    {"index": 13, "problem": "Two?", "answer": "2"},
    {"index": 14, "problem": "Five?", "answer": ""},
]
RECORD = {
    "12": [0, 0, 0, 0],
    "10": [0, 0.5, 0.5, 1],
    "11": [1, 1, 1, 0.875],
    "14": [0, 0, 0, 0],
    "13": [0.5, 0.625, 0.5, 0.5],
}
Told = tuple[int, str, str]


def write(name: str, rows: list[dict[str, Any]]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def picks(name: str = "picks.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text("utf-8").splitlines()]


def run_of(rows: list[dict[str, Any]], problems: list[Problem]) -> RunFolder:
    run = RunFolder.create(Path("runs"), "x", {}, ())
    run.write_example(problems)
    run.history_path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return run


def visit(step: int, key: str, successes: int, samples: int = 4, **answers: int) -> dict[str, Any]:
    return {"step": step, "problem_id": key, "samples": samples, "successes": successes, "answers": answers}


VISITS = [visit(0, "10", 0, x=4), visit(0, "11", 2, a=1, b=1), visit(1, "10", 4, y=4), visit(2, "10", 1, 8, z=8)]
