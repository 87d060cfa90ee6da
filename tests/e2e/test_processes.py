"""Real processes and real signals: what a scheduler, a person at the keyboard and a power cut do to a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneshot.record import RunFolder
from tests.e2e.conftest import SMALL, OneShot

KINDS = {"sigterm": signal.SIGTERM, "sigint": signal.SIGINT, "sigkill": signal.SIGKILL}
Process = subprocess.Popen[str]


@pytest.fixture(scope="module")
def processes(tiny: Path, tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[dict[str, Process]]:
    """Three long runs, started together because starting takes longest."""
    folder = tmp_path_factory.mktemp("processes")
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "ONESHOT_HOME": str(folder)}
    command = [sys.executable, "-m", "oneshot", "train", "--model", str(tiny), "--example", "2 + 3?", "--answer", "5"]
    command += ["--reward", "number", "--allow-unsolved", "--steps", "100000", "--save.every", "1", *SMALL]
    command += ["--rollout.groups", "1", "--rollout.group-size", "2", "--json", "--yes"]
    started = {
        name: subprocess.Popen(
            [*command, "--out", str(folder / name)],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in KINDS
    }
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


def run_of(process: Process) -> RunFolder:
    """The run folder of a process, once it has recorded three steps."""
    assert isinstance(process.args, list)
    root = Path(process.args[-1])
    for _ in range(6000):  # a busy machine takes a minute to import torch three times
        assert process.poll() is None, process.communicate()
        if lines := [p for p in root.glob("*/metrics.jsonl") if p.read_bytes().count(b"\n") >= 3]:
            return RunFolder.open(str(lines[0].parent), root)
        time.sleep(0.05)
    raise AssertionError("the run did not get going")


@pytest.mark.parametrize(("name", "code", "why"), [("sigterm", 75, "a stop signal"), ("sigint", 130, "Ctrl-C")])
def test_stopped_by_a_signal(processes: dict[str, Process], oneshot: OneShot, name: str, code: int, why: str) -> None:
    process = processes[name]
    run = run_of(process)
    process.send_signal(KINDS[name])
    out, err = process.communicate(timeout=300)
    assert process.returncode == code
    told = json.loads(out)  # one object and nothing else
    assert told["exit_code"] == code
    assert told["message"].startswith(f"stopped by {why} after step ")
    assert told["tries"] == [f"oneshot train --resume {run.path}"]
    assert "Traceback" not in err
    assert "Warning" not in err
    assert run.status()["state"] == "stopped"
    steps = len(run.metrics())
    assert run.checkpoints()[-1] == steps
    assert run.rollout_steps() == list(range(steps))
    told = oneshot("train", "--resume", run.path, "--steps", str(steps + 2), "--yes")
    assert told.code == 0, told.err
    assert [row["step"] for row in run.metrics()] == list(range(steps + 2))
    assert [row["attempt"] for row in run.metrics()] == [1] * steps + [2] * 2


def test_a_stop_signal_does_not_wait_for_a_step_of_many_minutes(tiny: Path, tmp_path: Path, root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "ONESHOT_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "oneshot", "train", "--model", str(tiny), "--example", "2 + 3?", "--answer", "5"]
    command += ["--reward", "number", "--allow-unsolved", "--model.threads", "1", "--json", "--yes", "--steps", "2"]
    command += ["--rollout.groups", "5000", "--rollout.max-new-tokens", "60", "--out", "runs"]
    process = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for _ in range(2400):
        assert process.poll() is None, process.communicate()
        if any('"kind": "attempt"' in path.read_text() for path in tmp_path.glob("runs/*/events.jsonl")):
            break
        time.sleep(0.05)
    process.terminate()
    out, err = process.communicate(timeout=60)  # the step would take many minutes
    assert process.returncode == 75, err
    assert json.loads(out)["message"].startswith("stopped by a stop signal before the end of step 1; ")


def test_killed_between_or_inside_steps(processes: dict[str, Process], oneshot: OneShot) -> None:
    process = processes["sigkill"]
    run = run_of(process)
    process.kill()
    process.communicate()
    before = run.metrics()
    assert len(before) >= 3
    assert run.status()["state"] == "running"  # nobody was left to say otherwise
    steps = len(before) + 2
    told = oneshot("train", "--resume", run.path, "--steps", str(steps), "--yes")
    assert told.code == 0, told.err
    after = run.metrics()
    assert [row["step"] for row in after] == list(range(steps))
    redone = sum(row["attempt"] == 2 for row in after) - 2
    assert 0 <= redone <= 1  # saved after every step: at most the last one is done again
    kept = len(before) - redone
    assert after[:kept] == before[:kept]
    assert run.rollout_steps() == list(range(steps))
    assert not [path for path in run.path.rglob(".*") if path.name != ".gitignore"]
