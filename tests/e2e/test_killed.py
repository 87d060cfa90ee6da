"""kill -9 at many moments, most of them while saving: resumed each time, the run ends as if nothing had been."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from oneshot.record import RunFolder
from tests.e2e.conftest import SMALL
from tests.e2e.stopping import SAME, own, to_the_byte

STEPS = 24


class Forker:
    """Starts commands and waits for their end."""

    def __init__(self, folder: Path, root: Path, *, home: Path | None = None) -> None:
        own = {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "ONESHOT_HOME": str(home or folder)}
        environment = {**os.environ, **own}
        self.errors = open(folder / "stderr", "w+")  # noqa: SIM115 closed below
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.forker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
            cwd=folder,
            text=True,
        )

    def start(self, argv: list[str], *, die_at: int = 0) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"argv": argv, "die_at": die_at}) + "\n")
        self.process.stdin.flush()
        return int(self._answer("started"))

    def end(self) -> int:
        return int(self._answer("ended"))

    def _answer(self, word: str) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        assert line[:1] == [word], (line, self.said())
        return line[1]

    def said(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()


@pytest.fixture
def forker(tmp_path: Path, root: Path) -> Iterator[Forker]:
    made = Forker(tmp_path, root)
    yield made
    made.close()


def words(tiny: Path, out: Path) -> list[str]:
    train = ["train", "--model", str(tiny), "--example", "What is 2 + 3?", "--answer", "5", "--reward", "number"]
    size = ["--rollout.groups", "2", "--rollout.group-size", "4", "--steps", str(STEPS), "--save.every", "2"]
    return [*train, *SMALL, *size, *SAME, "--out", str(out)]


def saving(run: Path) -> bool:
    """Whether a save is going on: its temporary folder is there."""
    return any((run / "checkpoints").glob(".*"))


def wait_for(seen: Callable[[], bool], pid: int, *, seconds: float = 30) -> None:
    """Until `seen`, or until the process has ended."""
    until = time.monotonic() + seconds
    while not seen() and time.monotonic() < until and Path(f"/proc/{pid}").exists():
        time.sleep(0.0005)


def state(run: RunFolder) -> list[Any]:
    """Moments and counters of the last state."""
    saved = torch.load(run.last_state_dir / "optimizer.pt", weights_only=True)
    return [saved["param_groups"], *(t.tolist() for moments in saved["state"].values() for t in moments.values())]


def kill_once(forker: Forker, run: RunFolder, kind: int, rng: random.Random) -> int:
    """Resume the run and kill it: before a call that changes the disk, inside a save, or at any time."""
    argv = ["train", "--resume", str(run.path), "--yes"]
    # What an attempt does before it saves for the first time takes about 30 of these calls, a save about 60.
    pid = forker.start(argv, die_at=rng.randrange(1, 150) if kind == 0 else 0)
    if kind == 1:
        wait_for(lambda: saving(run.path), pid)
        time.sleep(rng.uniform(0, 0.02))
    elif kind == 2:
        time.sleep(rng.uniform(0.02, 0.7))
    if kind:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    status = forker.end()
    assert status in (0, -signal.SIGKILL), forker.said()
    return status


def killed_until_done(forker: Forker, start: list[str], out: Path, rng: random.Random) -> tuple[RunFolder, int, int]:
    """A run that was killed up to 24 times, and then was left to end; kills, and how many of them inside a save."""
    forker.start(start, die_at=60)  # after the example is written, before the first checkpoint is whole
    assert forker.end() == -signal.SIGKILL
    run, kills, inside = RunFolder.open("latest", out), 1, 0
    while kills < 24 and run.status()["state"] != "done":
        if kill_once(forker, run, kills % 3, rng) == 0:
            break
        kills += 1
        inside += saving(run.path)
    if run.status()["state"] != "done":
        forker.start(["train", "--resume", str(run.path), "--yes"])
        assert forker.end() == 0, forker.said()
    return run, kills, inside


def assert_alike(run: RunFolder, whole: RunFolder) -> None:
    """To the bit, without holes or leftovers; and what was done twice was done alike, and the first doing is kept."""
    assert to_the_byte(run) == to_the_byte(whole)
    assert state(run) == state(whole)
    assert [row["step"] for row in run.metrics()] == list(range(STEPS))
    assert not list(run.path.rglob(".*"))
    saved = [event["step"] for event in run.events() if event["kind"] == "save"]
    assert saved == sorted(set(saved))
    resumed = [event["step"] for event in run.events() if event["kind"] == "resume"]
    assert resumed == sorted(resumed)  # no kill cost a step that was saved
    assert not [event for event in run.events() if event["kind"] == "damaged"]
    final = {row["step"]: row for row in run.metrics()}
    for path in run.path.glob("logs/*/metrics.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            same = {key: value for key, value in row.items() if not own(key)}
            assert same == {key: value for key, value in final[row["step"]].items() if not own(key)}


@pytest.mark.slow
def test_killed_at_many_moments(forker: Forker, tiny: Path, tmp_path: Path) -> None:
    forker.start(words(tiny, tmp_path / "whole"))
    assert forker.end() == 0, forker.said()
    whole = RunFolder.open("latest", tmp_path / "whole")
    rng, kills, inside, runs = random.Random(0), 0, 0, 0
    while kills < 20 and runs < 8:  # a fast machine may end a run before it was killed often enough
        out = tmp_path / f"killed-{runs}"
        run, killed, saving_then = killed_until_done(forker, words(tiny, out), out, rng)
        assert_alike(run, whole)
        kills, inside, runs = kills + killed, inside + saving_then, runs + 1
    print(f"{kills} kills of {runs} runs, {inside} of them inside a save")
    assert kills >= 20
    assert inside >= 5
