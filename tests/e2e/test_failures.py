"""What goes wrong in the middle of a run: a crash, a health rule, a full disk. Nothing that was recorded is lost."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from oneshot.record import RunFolder
from oneshot.report import page
from tests.e2e.conftest import OneShot
from tests.e2e.stopping import SAME, during_step, recorded, resume, weights


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_over(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash() -> None:
        raise RuntimeError("the machine went away")

    with monkeypatch.context() as patch:
        during_step(patch, 1, crash)
        told = train("--steps", "3", *SAME)
    assert (told.code, told.err.splitlines()[-2]) == (1, "E000 internal error: RuntimeError: the machine went away")
    run = RunFolder.open("latest", Path("runs"))
    assert run.status()["state"] == "failed"
    assert resume(oneshot, run).code == 0
    assert [(row["step"], row["attempt"]) for row in run.metrics()] == [(0, 2), (1, 2), (2, 2)]


def test_an_example_refused_in_the_preflight_is_asked_about_again(
    train: OneShot, oneshot: OneShot, graded: Callable[..., None]
) -> None:
    graded(lambda response, reference: False)
    assert train("--steps", "1").code == 4
    run = RunFolder.open("latest", Path("runs"))
    assert resume(oneshot, run).code == 4
    assert run.metrics() == []
    assert resume(oneshot, run, "--allow-unsolved").code == 0


def test_a_health_rule_saves_before_it_stops_the_run(
    train: OneShot, oneshot: OneShot, graded: Callable[..., None]
) -> None:
    """Right 33 times (the check of the reference and the preflight), then never again."""
    left = [32]

    def right(response: str, reference: str) -> bool:
        left[0] -= 1
        return left[0] >= 0 and left[0] != 5  # one failure, or the example would count as always solved

    graded(right)
    told = train("--steps", "9")
    assert told.code == 5
    assert "E501 no success in" in told.err
    assert "try: --yes" in told.err
    run = RunFolder.open("latest", Path("runs"))
    assert run.status()["state"] == "failed"
    assert run.checkpoints() == [len(run.metrics())]
    assert [e["kind"] for e in run.events() if e["kind"] == "health"] == ["health"]
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    assert "warning: no success in" in told.err


def test_a_full_disk_costs_nothing_that_was_recorded(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        during_step(patch, 2, lambda: patch.setattr(os, "fsync", full))
        told = train("--steps", "4", *SAME, "--save.every", "1")
    assert told.code == 3
    assert "E202 the disk is full: " in told.err
    assert "try: df -h" in told.err
    assert "is intact." in told.err
    run = RunFolder.open("latest", Path("runs"))
    assert [row["step"] for row in run.metrics()] == [0, 1]
    assert run.rollout_steps() == [0, 1]
    assert not list(run.path.rglob("*.tmp"))
    assert run.checkpoints() == [1, 2]
    # Its state could not be written either, but its process is gone (here: it is this one).
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    whole = train("--steps", "4", *SAME).run
    assert recorded(run) == recorded(whole)
    assert weights(run, 4) == weights(whole, 4)


def test_too_small_a_disk_is_told_before_the_first_step(train: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("oneshot.model.storage.shutil.disk_usage", lambda path: usage)
    told = train("--steps", "1", "--allow-unsolved")
    assert told.code == 3
    assert "E202 runs/" in told.err
    assert "MiB but only 0.0 MiB are free" in told.err
    assert RunFolder.open("latest", Path("runs")).metrics() == []


def test_a_failure_after_training_keeps_the_training(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: RunFolder) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(page, "write", broken)
        told = train("--steps", "2", *SAME)
    assert told.code == 1
    run = RunFolder.open("latest", Path("runs"))
    assert (run.status()["state"], run.checkpoints()) == ("failed", [2])
    assert resume(oneshot, run).code == 0  # nothing is trained again
    assert [row["attempt"] for row in run.metrics()] == [1, 1]
    assert (run.path / "report.html").is_file()


def test_a_run_another_process_writes_is_left_alone(train: OneShot, oneshot: OneShot) -> None:
    run = train("--steps", "1", "--allow-unsolved").run
    alive = {**run.status(), "state": "running", "pid": os.getppid()}
    (run.path / "status.json").write_text(json.dumps(alive), "utf-8")
    told = resume(oneshot, run, "--steps", "2", yes=False)
    assert told.code == 2
    assert told.err.startswith(f"E104 {run.path} is being written by process {os.getppid()} right now.\n  try: ")
    assert run.status() == alive
