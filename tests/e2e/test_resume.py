"""Stopping and going on: to the bit, after every way of stopping, and with nothing recorded lost."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneshot.record import RunFolder
from oneshot.report import page
from oneshot.stages import evaluation
from tests.e2e.conftest import OneShot, Told, write_pool

SAME = ("--allow-unsolved", "--yes", "--optim.lr", "1e-3", "--algorithm.kl", "0.01", "--optim.warmup", "2")
"""`--yes`, because a random model is cut at the limit nearly always, which a health rule would stop."""


def weights(run: RunFolder, step: int) -> bytes:
    return (run.checkpoint_dir(step) / "model.safetensors").read_bytes()


def recorded(run: RunFolder) -> list[dict[str, Any]]:
    """Every rollout, and every metric that is no time."""
    metrics = [{k: v for k, v in row.items() if "time" not in k and k != "attempt"} for row in run.metrics()]
    return [*metrics, *(row for step in run.rollout_steps() for row in run.rollouts(step))]


@pytest.fixture
def held(tmp_path: Path) -> Path:
    return write_pool(tmp_path / "held.jsonl", [{"prompt": f"{i} + 1?", "answer": str(i + 1)} for i in range(4)])


def resume(oneshot: OneShot, run: RunFolder, *more: str, yes: bool = True) -> Told:
    return oneshot("train", "--resume", run.path, *more, *(["--yes"] if yes else []))


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


def during_step(monkeypatch: pytest.MonkeyPatch, at: int, act: Callable[[], None]) -> None:
    """Do something while a step is being recorded."""
    record = RunFolder.step

    def step(run: RunFolder, number: int, *rest: Any) -> None:
        if number == at:
            act()
        record(run, number, *rest)

    monkeypatch.setattr(RunFolder, "step", step)


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
    assert "stopping after this step and saving" in told.err
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
    assert [row["attempt"] for row in run.metrics()] == [1, 1]


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
    assert not [path for path in run.path.rglob("*.tmp")]
    assert run.checkpoints() == [1, 2]
    # Its state could not be written either, but its process is gone (here: it is this one).
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    whole = train("--steps", "4", *SAME).run
    assert recorded(run) == recorded(whole)
    assert weights(run, 4) == weights(whole, 4)


def test_too_small_a_disk_is_told_before_the_first_step(train: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("oneshot._store.disk.shutil.disk_usage", lambda path: usage)
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
