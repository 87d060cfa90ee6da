"""kill -9 with the embedded model, inside a save and in the middle of a step: it ends as if nothing had been.

Needs the model in its cache (`oneshot doctor --fetch`). Takes minutes and a few GB of disk: each save writes the
weights, and twice as much of moments.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from oneshot.config.environment import home
from oneshot.model import embedded
from oneshot.record import RunFolder
from tests.e2e.stopping import SAME, to_the_byte
from tests.e2e.test_killed import Forker, saving, wait_for

STEPS = 4
HANG = 900
"""Seconds after which a process is killed whatever it does."""


@pytest.fixture
def cache() -> Path:
    """Where the embedded model is cached."""
    found = home()
    if not (embedded.folder(found) / "config.json").is_file():
        pytest.skip(f"the embedded model is not in {embedded.folder(found)}; oneshot doctor --fetch puts it there")
    return found


@pytest.fixture
def forker(tmp_path: Path, root: Path, cache: Path) -> Iterator[Forker]:
    made = Forker(tmp_path, root, home=cache)
    yield made
    made.close()


def words(out: Path) -> list[str]:
    train = ["train", "--model", embedded.NAME, "--offline", "--model.threads", "1", "--reward", "number"]
    example = ["--example", "What is 2 + 3?", "--answer", "5"]
    size = ["--rollout.groups", "1", "--rollout.group-size", "4", "--rollout.max-new-tokens", "8"]
    return [*train, *example, *size, "--steps", str(STEPS), "--save.every", "2", *SAME, "--out", str(out)]


def kill_when(forker: Forker, argv: list[str], seen: Callable[[], bool]) -> None:
    """Run a command and kill it once `seen`."""
    pid = forker.start(argv)
    wait_for(seen, pid, seconds=HANG)
    os.kill(pid, signal.SIGKILL)
    assert forker.end() == -signal.SIGKILL, forker.said()


def only(out: Path) -> RunFolder:
    """The run in `out`, or a folder without anything while there is none."""
    runs = [path for path in out.glob("*") if (path / "config.json").is_file()] if out.is_dir() else []
    return RunFolder(runs[0] if runs else out)


def assert_same_moments(run: RunFolder, whole: RunFolder) -> None:
    states = [torch.load(r.last_state_dir / "optimizer.pt", weights_only=True, mmap=True) for r in (run, whole)]
    assert states[0]["param_groups"] == states[1]["param_groups"]
    assert states[0]["state"].keys() == states[1]["state"].keys()
    for number, moments in states[0]["state"].items():
        assert all(torch.equal(value, states[1]["state"][number][name]) for name, value in moments.items())


@pytest.mark.slow
def test_killed_inside_a_save_and_in_the_middle_of_a_step(forker: Forker, tmp_path: Path) -> None:
    forker.start(words(tmp_path / "whole"))
    assert forker.end() == 0, forker.said()
    whole, out = only(tmp_path / "whole"), tmp_path / "killed"
    kill_when(forker, words(out), lambda: saving(only(out).path))
    run = only(out)
    again = ["train", "--resume", str(run.path), "--yes", "--offline"]
    # Then once more after step 3 is recorded: step 4 is being sampled, learned or saved.
    kill_when(forker, again, lambda: len(run.metrics()) >= 3)
    assert run.status()["state"] == "running"
    forker.start(again)
    assert forker.end() == 0, forker.said()
    assert to_the_byte(run) == to_the_byte(whole)
    assert_same_moments(run, whole)
    assert [row["step"] for row in run.metrics()] == list(range(STEPS))
    assert not list(run.path.rglob(".*"))
    assert [event["attempt"] for event in run.events() if event["kind"] == "attempt"] == [1, 2, 3]
