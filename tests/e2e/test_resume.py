"""Stopping and going on: to the bit, after every way of stopping, and with nothing recorded lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from oneshot.record import RunFolder
from oneshot.stages.evals import evaluation
from tests.e2e.conftest import OneShot, write_pool
from tests.e2e.stopping import SAME, during_step, recorded, resume, weights


@pytest.fixture
def held(tmp_path: Path) -> Path:
    return write_pool(tmp_path / "held.jsonl", [{"prompt": f"{i} + 1?", "answer": str(i + 1)} for i in range(4)])


def test_three_steps_and_three_more_are_six_to_the_bit(train: OneShot, oneshot: OneShot) -> None:
    whole = train("--steps", "6", *SAME).run
    half = train("--steps", "3", *SAME, "--save.every", "1").run
    first = recorded(half)
    told = oneshot("train", "--resume", "--steps", "6", "--json", "--yes")  # the latest run
    assert told.code == 0, told.err
    run = told.run
    assert run.path == half.path
    assert weights(run, 6) == weights(whole, 6)
    assert recorded(run) == recorded(whole)
    assert recorded(run)[:3] == first[:3]
    assert [row["attempt"] for row in run.metrics()] == [1, 1, 1, 2, 2, 2]
    assert run.history_path.read_bytes() == whole.history_path.read_bytes()
    assert run.status()["state"] == "done"
    assert run.config()["optim"]["steps"] == 6
    assert told.json["training"]["last"] == whole.summary()["training"]["last"]
    assert len([e for e in run.events() if e["kind"] == "preflight"]) == 1  # the base rate is known


def test_a_forbidden_change_is_refused_and_changes_nothing(train: OneShot, oneshot: OneShot) -> None:
    run = train("--steps", "1", "--allow-unsolved").run
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    for more in (("--optim.lr", "1"), ("--seed", "1"), ("--rollout.group-size", "2"), ("--algorithm.clip-low", "0.1")):
        told = resume(oneshot, run, "--steps", "2", *more)
        assert told.code == 2
        assert told.err.startswith("E107 ")
        assert "Nothing was changed." in told.err
    told = resume(oneshot, run)
    assert told.code == 2
    assert told.err.startswith(f"E107 {run.path} has done 1 steps; 1 are asked for")
    assert f"try: oneshot train --resume {run.path} --steps 2\n" in told.err
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("kind", "code", "why"), [(signal.SIGTERM, 75, "a stop signal"), (signal.SIGINT, 130, "Ctrl-C")]
)
def test_a_stop_signal_saves_the_step_and_the_run_goes_on_to_the_bit(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch, kind: int, code: int, why: str
) -> None:
    whole = train("--steps", "5", *SAME).run
    with monkeypatch.context() as patch:
        during_step(patch, 1, lambda: os.kill(os.getpid(), kind))
        told = train("--steps", "5", *SAME)
    assert told.code == code
    run = RunFolder.open("latest", Path("runs"))
    when = "now" if kind == signal.SIGTERM else "after this step"
    assert f"stopping {when} and saving" in told.err
    assert f"\nstopped by {why} after step 2; everything up to it is saved in {run.path}.\n" in told.err
    assert f"try: oneshot train --resume {run.path}\n" in told.err
    assert run.status()["state"] == "stopped"
    assert run.checkpoints() == [2]
    assert [row["step"] for row in run.metrics()] == [0, 1]
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    assert recorded(run) == recorded(whole)
    assert weights(run, 5) == weights(whole, 5)


def test_a_stop_signal_with_json_is_one_object(train: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    during_step(monkeypatch, 0, lambda: os.kill(os.getpid(), signal.SIGTERM))
    told = train("--steps", "5", *SAME, "--json")
    assert (told.code, told.json["exit_code"], told.json["schema"]) == (75, 75, "oneshot.error/1")
    assert told.json["tries"][0].startswith("oneshot train --resume runs/")


def test_a_second_ctrl_c_stops_at_once_and_the_run_goes_on_from_its_last_checkpoint(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        during_step(patch, 3, twice)
        told = train("--steps", "5", *SAME, "--save.every", "2")
    assert told.code == 130
    run = RunFolder.open("latest", Path("runs"))
    assert run.status()["state"] == "stopped"
    assert [row["step"] for row in run.metrics()] == [0, 1, 2]
    assert run.checkpoints() == [2]
    assert resume(oneshot, run).code == 0
    assert [(row["step"], row["attempt"]) for row in run.metrics()] == [(0, 1), (1, 1), (2, 2), (3, 2), (4, 2)]


@pytest.mark.parametrize("checkpoint", ["base", "checkpoint-2"])
def test_a_signal_during_an_evaluation_loses_no_step(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch, held: Path, checkpoint: str
) -> None:
    """Before training it stops at once; after the last step everything is saved and only the summary is missing."""
    evaluate, seen = evaluation.evaluate, []

    def signalled(*args: Any, **kwargs: Any) -> Any:
        seen.append(1)
        if len(seen) == (1 if checkpoint == "base" else 2):
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "evaluate", signalled)
        told = train("--steps", "2", *SAME, "--evals.source", held)
    assert told.code == 75
    run = RunFolder.open("latest", Path("runs"))
    assert run.status()["state"] == "stopped"
    assert run.summary() == {}
    assert len(run.metrics()) == (0 if checkpoint == "base" else 2)
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    assert run.status()["state"] == "done"
    assert run.summary()["paired"]["n"] == 4
    assert [row["attempt"] for row in run.metrics()] == ([2, 2] if checkpoint == "base" else [1, 1])
