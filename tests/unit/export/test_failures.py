"""A tracker that fails, hangs or lost its server: one warning, and training and the other trackers go on."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from oneshot.export import tracking
from tests.unit.export.fakes import FAKES, Seen, wandb
from tests.unit.export.runs import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def broken(monkeypatch: pytest.MonkeyPatch, where: str) -> Seen:
    """W&B fails at one place, with an error class of its own."""

    class CommError(Exception):
        pass

    seen = wandb(monkeypatch)
    module = sys.modules["wandb"]
    working = module.init

    def fail(*_: Any, **__: Any) -> None:
        raise CommError("no route\nto host")

    def init(**how: Any) -> Any:
        made = working(**how)
        setattr(made, where, fail)
        return made

    monkeypatch.setattr(module, "init", fail if where == "init" else init)
    return seen


@pytest.mark.parametrize("where", ["init", "log", "finish"])
def test_a_tracker_that_fails_is_one_warning_and_the_others_go_on(
    where: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, where)
    healthy = FAKES["trackio"](monkeypatch)
    with run.tracking("wandb,trackio") as follow:
        for step in range(4):
            run.write(step)
            follow(step + 1, {})
        follow.close({"accuracy": 0.5})
    assert run.said == [
        "warning: tracking with wandb has stopped (CommError: no route to host). Training goes on; "
        "metrics.jsonl has everything."
    ]
    assert healthy.steps == [0, 1, 2, 3]
    assert healthy.summary == {"summary/accuracy": 0.5}


def test_a_step_that_failed_to_be_sent_is_sent_by_the_resumed_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        broken(patch, "log")
        run.write(0, 1)
        with run.tracking("wandb") as follow:
            follow(2, {})
    assert run.kept["wandb"]["step"] == -1
    seen = wandb(monkeypatch)
    with run.tracking("wandb") as follow:
        follow(2, {})
    assert seen.steps == [0, 1]


def test_a_tracker_that_hangs_is_left_behind(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb(monkeypatch)
    monkeypatch.setattr(tracking, "PATIENCE", 0.05)
    release = threading.Event()
    working = sys.modules["wandb"].init

    def init(**how: Any) -> Any:
        made = working(**how)
        made.log = lambda metrics, step: release.wait(30)
        return made

    monkeypatch.setattr(sys.modules["wandb"], "init", init)
    try:
        with run.tracking("wandb") as follow:
            for step in range(3):
                run.write(step)
                follow(step + 1, {})
    finally:
        release.set()
    assert run.said == [
        "warning: tracking with wandb has stopped (TimeoutError). Training goes on; metrics.jsonl has everything."
    ]
