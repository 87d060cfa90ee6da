"""Drift and the transfer map in the run folder: the last row of a step wins, and a resumed run cuts back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from oneshot.record import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path, "x", {}, [])
    made.start_attempt()
    return made


def test_an_old_run_has_none(run: RunFolder) -> None:
    assert (run.drift(), run.drift_answers(), run.transfer_map()) == ([], [], {})


def test_the_last_row_of_a_step_wins_and_steps_ascend(run: RunFolder) -> None:
    for step, kl in ((0, 0.0), (4, 0.2), (2, 0.1), (4, 0.3)):
        run.write_drift({"step": step, "kl": kl, "weight_distance": math.nan})
    assert [(row["step"], row["kl"]) for row in run.drift()] == [(0, 0.0), (2, 0.1), (4, 0.3)]
    assert run.drift()[0]["weight_distance"] is None


def test_a_resumed_run_keeps_the_rows_up_to_its_step(run: RunFolder) -> None:
    """A row's step counts the steps done: of a run that goes on after 2 steps the row of 2 stays."""
    for step in (0, 2, 4):
        run.write_drift({"step": step, "kl": 0.1 * step})
        run.event("drift", step=step, why="-")
    run.write_drift_answers([{"id": "a", "prompt": (1, 2), "answer": (3,), "finished": True}])
    run.start_attempt()
    run.cut_back(2)
    assert [row["step"] for row in run.drift()] == [0, 2]
    assert [event["step"] for event in run.events()] == [0, 2]
    moved = run.path / "logs" / "attempt_1" / "drift.jsonl"
    assert moved.read_text("utf-8").count("\n") == 1
    assert run.drift_answers() == [{"id": "a", "prompt": [1, 2], "answer": [3], "finished": True}]


def test_the_map_is_one_file(run: RunFolder) -> None:
    run.write_transfer_map({"samples": 8, "categories": {"": {"cosine": None}}})
    assert run.transfer_map()["categories"][""] == {"cosine": None}
    assert (run.path / "transfer_map.json").is_file()
