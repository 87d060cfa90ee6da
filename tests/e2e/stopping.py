"""What the tests of stopping, failing and resuming share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from oneshot.record import RunFolder
from tests.e2e.conftest import OneShot, Told

SAME = ("--allow-unsolved", "--yes", "--optim.lr", "1e-3", "--algorithm.kl", "0.01", "--optim.warmup", "2")
"""`--yes`, because a random model is cut at the limit nearly always, which a health rule would stop."""


def weights(run: RunFolder, step: int) -> bytes:
    return (run.checkpoint_dir(step) / "model.safetensors").read_bytes()


def own(key: str) -> bool:
    """Whether a metric is one of a clock or an attempt, which two equal runs do not share."""
    return key in ("time", "step_time", "grader/seconds", "attempt") or key.startswith("time/")


def recorded(run: RunFolder) -> list[dict[str, Any]]:
    """Every rollout, and every metric that is no time."""
    metrics = [{k: v for k, v in row.items() if not own(k)} for row in run.metrics()]
    return [*metrics, *(row for step in run.rollout_steps() for row in run.rollouts(step))]


def to_the_byte(run: RunFolder) -> dict[str, bytes | list[str]]:
    """Lines of metrics.jsonl as they stand there without what a clock decides, and whole files."""
    lines = (run.path / "metrics.jsonl").read_text("utf-8").splitlines()
    found: dict[str, bytes | list[str]] = {
        path.relative_to(run.path).as_posix(): path.read_bytes() for path in sorted((run.path / "rollouts").iterdir())
    }
    found["metrics"] = [json.dumps({k: v for k, v in json.loads(line).items() if not own(k)}) for line in lines]
    found["history"] = run.history_path.read_bytes()
    found["state"] = (run.last_state_dir / "state.json").read_bytes()
    found["weights"] = weights(run, run.checkpoints()[-1])
    return found


def resume(oneshot: OneShot, run: RunFolder, *more: str, yes: bool = True) -> Told:
    return oneshot("train", "--resume", run.path, *more, *(["--yes"] if yes else []))


def during_step(monkeypatch: pytest.MonkeyPatch, at: int, act: Callable[[], None]) -> None:
    """Do something while a step is being recorded."""
    record = RunFolder.step

    def step(run: RunFolder, number: int, *rest: Any) -> None:
        if number == at:
            act()
        record(run, number, *rest)

    monkeypatch.setattr(RunFolder, "step", step)
