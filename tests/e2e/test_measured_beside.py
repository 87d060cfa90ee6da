"""Drift and the transfer map in whole runs: they change nothing, and a resumed run measures what it would have."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from oneshot.record import RunFolder
from tests.e2e.conftest import OneShot, write_pool
from tests.e2e.stopping import SAME, during_step, recorded, resume, weights

MAP = ("--evals.transfer-map", "2")


@pytest.fixture
def held(tmp_path: Path) -> tuple[str, str, str, str]:
    rows = [{"prompt": f"{i} + 1?", "answer": str(i + 1), "category": "ab"[i % 2]} for i in range(4)]
    path = write_pool(tmp_path / "held.jsonl", rows)
    return "--evals.source", str(path), "--evals.every", "2"


def timeless(run: RunFolder) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in run.drift()]


def test_a_run_with_both_is_the_run_without_to_the_bit(train: OneShot, held: tuple[str, ...]) -> None:
    plain = train("--steps", "4", *SAME, *held, "--evals.drift", "false").run
    told = train("--steps", "4", *SAME, *held, *MAP)
    measured = told.run
    assert "transfer map: 2 responses to each of 4 dev problems" in told.err
    assert recorded(measured) == recorded(plain)
    assert weights(measured, 4) == weights(plain, 4)
    assert (plain.drift(), plain.transfer_map()) == ([], {})
    rows = measured.drift()
    assert [row["checkpoint"] for row in rows] == ["base", "checkpoint-2", "checkpoint-4"]
    assert rows[0]["kl"] == rows[0]["weight_distance"] == 0.0
    assert 0 < rows[1]["weight_distance"] < rows[2]["weight_distance"]
    assert min(row["kl"] for row in rows[1:]) > 0
    assert set(measured.transfer_map()["categories"]) == {"a", "b"}


def test_a_stopped_run_measures_what_it_would_have(
    train: OneShot, oneshot: OneShot, held: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its base weights are read anew, its answers are on record; a row beyond the checkpoint is measured again."""
    whole = train("--steps", "4", *SAME, *held).run
    with monkeypatch.context() as patch:
        during_step(patch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert train("--steps", "4", *SAME, *held).code == 75
    run = RunFolder.open("latest", Path("runs"))
    run.write_drift({**run.drift()[-1], "step": 4, "kl": 7.0})  # as a killed attempt may have left it
    assert resume(oneshot, run).code == 0
    assert timeless(run) == timeless(whole)
    assert run.drift_answers() == whole.drift_answers()


def test_a_map_without_a_dev_set_is_refused_before_anything_is_loaded(train: OneShot) -> None:
    told = train("--steps", "1", *MAP)
    assert told.code == 2
    assert told.err.startswith("E105 evals.transfer_map asks for the categories of a dev set")
    assert not Path("runs").exists()
