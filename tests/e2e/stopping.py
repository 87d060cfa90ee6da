"""What the tests of stopping, failing and resuming share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from oneshot.record import RunFolder
from tests.e2e.conftest import OneShot, Told

SAME = ("--allow-unsolved", "--yes", "--optim.lr", "1e-3", "--algorithm.kl", "0.01", "--optim.warmup", "2")
"""`--yes`, because a random model is cut at the limit nearly always, which a health rule would stop."""


def weights(run: RunFolder, step: int) -> bytes:
    return (run.checkpoint_dir(step) / "model.safetensors").read_bytes()


def recorded(run: RunFolder) -> list[dict[str, Any]]:
    """Every rollout, and every metric that is no time."""
    own = ("time", "step_time", "grader/seconds", "attempt")
    metrics = [
        {k: v for k, v in row.items() if k not in own and not k.startswith("time/")} for row in run.metrics()
    ]  # fmt: skip
    return [*metrics, *(row for step in run.rollout_steps() for row in run.rollouts(step))]


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
