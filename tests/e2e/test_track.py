"""`oneshot train --track`: what a tracker gets of a whole run, of a stopped one, and of one that fails."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.conftest import OneShot
from tests.unit.export import fakes
from tests.unit.export.fakes import FAKES


@pytest.fixture(autouse=True)
def no_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


def test_all_trackers_get_every_step_and_the_summary(train: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {name: fake(monkeypatch) for name, fake in FAKES.items()}
    told = train("--steps", "3", "--allow-unsolved", "--track", ",".join(FAKES))
    assert told.code == 0, told.err
    assert told.out == f"{told.run.path}\n"
    recorded = told.run.metrics()
    for name in FAKES:
        assert seen[name].steps == [0, 1, 2], (name, told.err)
        assert [row["train/accuracy"] for row in recorded] == [m["train/accuracy"] for _, m in seen[name].logged]
        assert str(seen[name].config["rollout.group_size"]) == "4"
        assert "summary/training/last" in seen[name].summary
        assert len(seen[name].closed) == 1
    assert seen["mlflow"].closed == ["FINISHED"]


def test_a_resumed_run_continues_its_tracker_run(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = fakes.mlflow(monkeypatch)
    run = train("--steps", "2", "--allow-unsolved", "--track", "mlflow").run
    told = oneshot("train", "--resume", run.path, "--steps", "4")
    assert told.code == 0, told.err
    assert seen.steps == [0, 1, 2, 3]
    assert [how["run_id"] for how in seen.opened if "run_id" in how] == ["abc123"]


def test_a_tracker_that_fails_stops_nothing(train: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.wandb(monkeypatch)
    monkeypatch.setattr(sys.modules["wandb"], "init", lambda **_: 1 / 0)
    told = train("--steps", "2", "--allow-unsolved", "--track", "wandb")
    assert told.code == 0
    assert told.err.count("tracking with wandb has stopped (ZeroDivisionError") == 1


def test_a_missing_package_or_a_wrong_name_is_said_at_once(train: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    told = train("--track", "wandb")
    assert (told.code, told.err.split()[0]) == (3, "E204")
    assert "pip install 'oneshot-rlvr[wandb]'" in told.err
    told = train("--track", "wanbd")
    assert (told.code, told.err.split()[0]) == (2, "E102")


def test_preflight_lines_and_event(train: OneShot) -> None:
    told = train("--steps", "1", "--allow-unsolved", "-v")
    lines = told.err.splitlines()
    before = lines[lines.index(next(line for line in lines if line.startswith("run folder"))) + 1 :]
    before = before[: next(i for i, line in enumerate(before) if line.startswith("step 1/1"))]
    assert len([line for line in before if not line.startswith(("prompt, special", "warning"))]) <= 8
    assert "prompt, special tokens shown: '<|user|>What is 2 + 3?" in told.err
    (event,) = [e for e in told.run.events() if e["kind"] == "preflight"]
    assert event["gap"]["mean"] < 1e-3
    assert event["forecast"]["time"]["steps"] == 1
    assert event["worst_case"]["tokens"] > 0
