"""Not-a-numbers, memory and disks that run out, damaged and foreign checkpoints: said, and the folder stays usable."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from oneshot.record import RunFolder
from oneshot.train import learner
from tests.e2e.conftest import OneShot
from tests.e2e.stopping import SAME, during_step, resume, to_the_byte, weights
from tests.tiny import save_tiny

MORE = ("--optim.micro-tokens", "4096")  # one micro-batch a step


def spoilt_from(step: int, until: int = 99, *, error: str = "") -> Callable[..., Any]:
    """A loss that is not a number in these steps (one call each), or an error."""
    original, calls = learner.policy_loss, [-1]  # the worst-case step before step 0 is one call too

    def policy_loss(*arguments: Any) -> Any:
        calls[0] += 1
        loss, parts = original(*arguments)
        if not step < calls[0] <= until:
            return loss, parts
        if error:
            raise RuntimeError(error)
        return loss * float("nan"), parts

    return policy_loss


def latest() -> RunFolder:
    return RunFolder.open("latest", Path("runs"))


def test_a_loss_that_is_not_a_number_costs_its_step_and_nothing_else(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(learner, "policy_loss", spoilt_from(2, 4))
        told = train("--steps", "5", *SAME, *MORE, "--save.every", "1", "--save.keep", "9")
    assert told.code == 0, told.err
    assert [row["dropped"] for row in told.run.metrics()] == [0, 0, 1, 1, 0]
    assert [row["loss"] is None for row in told.run.metrics()] == [False, False, True, True, False]
    assert weights(told.run, 2) == weights(told.run, 3) == weights(told.run, 4) != weights(told.run, 5)
    assert [event["step"] for event in told.run.events() if event["kind"] == "dropped"] == [2, 3]
    assert "warning: the update of step 3 was dropped" in told.err
    assert (told.run.path / "report.html").is_file()


def test_three_in_a_row_stop_the_run_with_the_last_good_weights(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(learner, "policy_loss", spoilt_from(2))
        told = train("--steps", "9", *SAME, *MORE)
    assert told.code == 5
    assert "E501 the loss or the gradient of 3 steps in a row was not finite (the last: step 5)." in told.err
    run = latest()
    assert (run.status()["state"], run.checkpoints(), len(run.metrics())) == ("failed", [5], 5)
    good = train("--steps", "2", *SAME, *MORE).run
    assert weights(run, 5) == weights(good, 2)
    assert resume(oneshot, run).code == 0
    assert len(run.metrics()) == 9


SAID = "DefaultCPUAllocator: can't allocate memory"


def test_memory_that_runs_out_once_costs_nothing(train: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--steps", "3", *SAME, "--optim.micro-tokens", "400")
    with monkeypatch.context() as patch:
        patch.setattr(learner, "policy_loss", spoilt_from(1, 2, error=SAID))
        told = train(*words)
    assert told.code == 0, told.err
    assert "warning: memory ran out in step 1; again, and from now on, with micro-batches of 100 tokens" in told.err
    (event,) = [event for event in told.run.events() if event["kind"] == "memory"]
    assert (event["step"], event["micro_tokens"]) == (1, 100)
    # The same run up to rounding: the first step is the same to the bit, the others nearly.
    straight = train(*words).run
    for one, other in zip(told.run.metrics(), straight.metrics(), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3, abs=1e-5)
    assert told.run.rollouts(1) == straight.rollouts(1)


def test_memory_that_runs_out_twice_is_a_clear_stop(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(learner, "policy_loss", spoilt_from(2, error=SAID))
        told = train("--steps", "4", *SAME, *MORE)
    assert told.code == 3
    run = latest()
    assert "E201 memory ran out in step 2, also with micro-batches of 1024 tokens." in told.err
    assert f"try: oneshot train --resume {run.path} --optim.micro-tokens 256\n" in told.err
    assert (run.checkpoints(), len(run.metrics())) == ([2], 2)  # saved, though nothing was due
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    assert to_the_byte(run) == to_the_byte(train("--steps", "4", *SAME, *MORE).run)


def test_memory_that_runs_out_while_sampling(train: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    during_step(monkeypatch, 1, lambda: monkeypatch.setattr("oneshot.stages.loop.collect", full))
    told = train("--steps", "4", *SAME)
    assert told.code == 3
    assert "E201 memory ran out while the responses of step 2 were sampled." in told.err
    assert latest().checkpoints() == [2]


@pytest.fixture
def small_files() -> Iterator[Callable[[], None]]:
    """From the call on no file may become larger than 50 kB, as on a full disk; afterwards it may again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_during_a_save(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch, small_files: Callable[[], None]
) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with monkeypatch.context() as patch:
        during_step(patch, 2, small_files)
        told = train("--steps", "4", *SAME, "--save.every", "1")
    resource.setrlimit(resource.RLIMIT_FSIZE, hard)
    assert told.code == 3
    assert "E202 the checkpoint " in told.err
    assert "could not be written" in told.err
    run = latest()
    assert run.checkpoints() == [1, 2]
    assert not list(run.path.rglob(".*"))
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    assert to_the_byte(run) == to_the_byte(train("--steps", "4", *SAME).run)


def test_a_disk_without_room_is_told_before_a_resumed_run_begins(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train("--steps", "2", *SAME, "--save.every", "1").run
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))
        told = resume(oneshot, run, "--steps", "40", "--save.keep", "30")
    assert told.code == 3
    assert f"E202 {run.path} needs up to " in told.err
    assert "try: --save.keep 1\n" in told.err
    assert (len(run.metrics()), run.checkpoints()) == (2, [1, 2])
    assert resume(oneshot, run, "--steps", "4").code == 0


def test_a_damaged_checkpoint_is_passed_over_and_said(train: OneShot, oneshot: OneShot) -> None:
    run = train("--steps", "4", *SAME, "--save.every", "2").run
    whole = to_the_byte(run)
    with open(run.checkpoint_dir(4) / "model.safetensors", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    run.write_status(state="stopped")
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    said = (
        "warning: checkpoint-4 is damaged: model.safetensors is not what was written. The run goes on from checkpoint-2"
    )
    assert said in told.err
    assert said in RunFolder(run.path).log_path.read_text()
    assert to_the_byte(run) == whole
    assert (run.checkpoints_dir / "checkpoint-4.damaged").is_dir()


def test_the_folder_of_another_model_is_refused_by_both_names(train: OneShot, oneshot: OneShot, tmp_path: Path) -> None:
    run = train("--steps", "2", *SAME).run
    other = save_tiny(tmp_path / "other", hidden=16, layers=1)
    foreign = train("--model", other, "--steps", "2", *SAME).run
    for name in ("checkpoint-2", "last_state"):
        shutil.rmtree(run.checkpoints_dir / name)
        shutil.copytree(foreign.checkpoints_dir / name, run.checkpoints_dir / name)
    told = resume(oneshot, run, "--steps", "3")
    assert told.code == 2
    assert told.err.splitlines()[-4].startswith(f"E107 {run.checkpoint_dir(2)} holds a llama (hidden 16, layers 1, ")
    assert "but the run's model is a llama (hidden 32, layers 2, " in told.err


def test_the_log_holds_what_was_said_and_the_traceback(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash() -> None:
        raise RuntimeError("the machine went away")

    with monkeypatch.context() as patch:
        during_step(patch, 1, crash)
        told = train("--steps", "3", *SAME)
    run = latest()
    log = (run.path / "logs" / "attempt_1" / "main.log").read_text("utf-8")
    said = [line for line in told.err.splitlines() if line.startswith(("run folder", "the base model", "step 1/3"))]
    assert len(said) == 3
    assert all(line in log for line in said)
    assert log.count("Traceback (most recent call last)") == 1
    assert log.rstrip().endswith("RuntimeError: the machine went away")
    told = resume(oneshot, run, "--quiet")
    assert told.err == ""
    log = (run.path / "logs" / "attempt_2" / "main.log").read_text("utf-8")
    assert "step 3/3" in log  # what --quiet keeps from the screen is in the log
    assert "Traceback" not in log


def test_the_number_of_threads_is_recorded_and_kept(train: OneShot, oneshot: OneShot) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        run = train("--steps", "1", *SAME, "--model.threads", "0").run
        used = torch.get_num_threads()
        assert run.config()["model"]["threads"] == used
        run.write_json("config.json", {**run.config(), "model": {**run.config()["model"], "threads": used + 1}})
        told = resume(oneshot, run, "--steps", "2")
        assert told.code == 0, told.err
        assert torch.get_num_threads() == used + 1  # the run's own, not this machine's
        assert "equal up to rounding" not in told.err
        told = resume(oneshot, run, "--steps", "3", "--model.threads", "1")
        assert f"model.threads was {used + 1} and is 1 now: the run goes on, equal up to rounding" in told.err
        assert json.loads((run.path / "config.json").read_text())["model"]["threads"] == 1
        assert [event["threads"] for event in run.events() if event["kind"] == "attempt"] == [used, used + 1, 1]
    finally:
        torch.set_num_threads(before)
