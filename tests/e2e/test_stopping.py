"""A scheduler's SIGTERM gives the running step up, wherever it is, and the run goes on as if nothing had been."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from oneshot.record import RunFolder
from oneshot.rollout import collect
from oneshot.rollout.native import NativeEngine
from oneshot.stages.evals import evaluation
from oneshot.train import learner
from tests.e2e.conftest import OneShot, write_pool
from tests.e2e.stopping import SAME, resume, to_the_byte

MORE = ("--optim.micro-tokens", "64", "--rollout.max-new-tokens", "6")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def at_call(number: int, original: Callable[..., Any], act: Callable[[], None] = terminate) -> Callable[..., Any]:
    """`original` that does something before its call of this number, from 1."""
    calls = [0]

    def called(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            act()
        return original(*arguments, **named)

    return called


@pytest.fixture(scope="module")
def whole() -> list[dict[str, Any]]:
    """What the uninterrupted run recorded; filled by the first test that needs it."""
    return []


def uninterrupted(train: OneShot, whole: list[dict[str, Any]]) -> dict[str, Any]:
    if not whole:
        told = train("--steps", "4", *SAME, *MORE)
        assert told.code == 0, told.err
        whole.append(to_the_byte(told.run))
    return whole[0]


# The preflight generates first, grades 32 responses and learns from one micro-batch.
# A step has 8 of them in at least 2 micro-batches.
PLACES: dict[str, tuple[Any, str, int, int]] = {
    "before the first token": (NativeEngine, "generate", 1 + 3, 2),
    "between verdicts": (collect, "graded", 32 + 2 * 8 + 4, 2),
    "in a backward pass": (learner, "policy_loss", 1 + 2 * 2 + 1, 2),
    "while the optimiser steps": (torch.optim.AdamW, "step", 3, 3),
    "in the first step": (learner, "policy_loss", 1 + 1, 0),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_last_finished_step_is_saved_at_once(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch, whole: list[dict[str, Any]], place: str
) -> None:
    expected = uninterrupted(train, whole)
    holder, name, number, done = PLACES[place]
    with monkeypatch.context() as patch:
        patch.setattr(holder, name, at_call(number, getattr(holder, name)))
        told = train("--steps", "4", *SAME, *MORE)
    assert told.code == 75, told.err
    run = RunFolder.open("latest", Path("runs"))
    assert [row["step"] for row in run.metrics()] == list(range(done))
    assert run.checkpoints() == ([done] if done else [])
    assert [event["step"] for event in run.events() if event["kind"] == "stop"] == [done]
    said = f"after step {done}; everything up to it is saved" if done else "before the end of step 1; its start is"
    assert f"stopped by a stop signal {said} in {run.path}" in told.err
    assert run.status()["state"] == "stopped"
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    assert to_the_byte(run) == expected


def test_the_same_seed_gives_the_same_bytes(train: OneShot, whole: list[dict[str, Any]]) -> None:
    assert to_the_byte(train("--steps", "4", *SAME, *MORE).run) == uninterrupted(train, whole)


def crash() -> None:
    raise RuntimeError("the machine went away")


@pytest.mark.parametrize(("act", "code"), [(terminate, 75), (crash, 1)])
def test_an_evaluation_that_was_cut_off_is_made_up_for(
    train: OneShot,
    oneshot: OneShot,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    act: Callable[[], None],
    code: int,
) -> None:
    held = write_pool(tmp_path / "held.jsonl", [{"prompt": f"{i} + 1?", "answer": str(i + 1)} for i in range(3)])
    words = ("--steps", "4", *SAME, "--evals.source", held, "--evals.every", "2", "--save.every", "1")
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "evaluate", at_call(2, evaluation.evaluate, act))
        assert train(*words).code == code
    run = RunFolder.open("latest", Path("runs"))
    assert run.evals() == [("held", "base")]
    assert len(run.metrics()) == 2
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    assert "continuing after step 2" in told.err
    assert run.evals() == [("held", "base"), ("held", "checkpoint-2"), ("held", "checkpoint-4")]
    straight = train(*words).run
    for name in ("checkpoint-2", "checkpoint-4"):
        assert run.read_eval("held", name)[1] == straight.read_eval("held", name)[1]


def test_what_a_killed_attempt_recorded_after_its_checkpoint_is_moved_not_lost(
    train: OneShot, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch, whole: list[dict[str, Any]]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(learner, "policy_loss", at_call(2 * 3 + 1, learner.policy_loss, crash))
        assert train("--steps", "4", *SAME, *MORE, "--save.every", "2").code == 1
    run = RunFolder.open("latest", Path("runs"))
    before = (run.path / "metrics.jsonl").read_bytes()
    rollout = (run.path / "rollouts" / "step_000002.jsonl.gz").read_bytes()
    assert resume(oneshot, run).code == 0
    moved = run.path / "logs" / "attempt_1"
    kept = b"".join((run.path / "metrics.jsonl").read_bytes().splitlines(keepends=True)[:2])
    assert kept + (moved / "metrics.jsonl").read_bytes() == before
    assert (moved / "rollouts" / "step_000002.jsonl.gz").read_bytes() == rollout
    (event,) = [event for event in run.events() if event["kind"] == "resume"]
    assert (event["step"], event["redone"], event["attempt"]) == (2, 1, 2)
    assert to_the_byte(run) == uninterrupted(train, whole)
