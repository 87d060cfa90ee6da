"""The checkpoint that is best on dev is saved and kept, in a run that was killed and resumed as in one that was not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from oneshot.record import RunFolder
from oneshot.stages.evals import best
from oneshot.stages.evals.evaluation import results
from oneshot.stages.setup import Setup
from oneshot.stages.training import readings
from oneshot.types import EvalRow, Problem
from tests.e2e.conftest import OneShot, write_pool
from tests.e2e.stopping import SAME, during_step, recorded, resume, weights

RIGHT = {"base": 4, 1: 1, 2: 3, 3: 2, 4: 3, 5: 0, 6: 2}
"""Right answers of four on dev: step 2 is best, and step 4 as good but later."""
EVERY = (*SAME, "--evals.every", "1", "--save.keep", "1")


class Killed(BaseException):
    """Stands for a SIGKILL, as far as one process can."""


def kill() -> None:
    raise Killed


def script(patch: pytest.MonkeyPatch, right: dict[Any, int]) -> None:
    """Let the dev set come out as it is told; what is recorded has the form of a real reading."""

    def measure(
        setup: Setup, problems: Sequence[Problem], run: RunFolder, task: str, checkpoint: str
    ) -> Sequence[EvalRow]:
        step = checkpoint if checkpoint == "base" else int(checkpoint.rpartition("-")[2])
        rows = [
            EvalRow(
                id=problem.id,
                category=problem.category,
                prompt=problem.prompt,
                answer=problem.answer,
                response="",
                extracted="1",
                correct=number < right[step],
                status="ok",
                cut=False,
                tokens=1,
                meta={"boxed": False, "correct_short": False},
            )
            for number, problem in enumerate(problems)
        ]
        run.write_eval(task, checkpoint, results(rows), rows)
        return rows

    patch.setattr(readings, "measure", measure)


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script(monkeypatch, RIGHT)
    return write_pool(tmp_path / "held.jsonl", [{"prompt": f"{i} + 1?", "answer": str(i + 1)} for i in range(4)])


def saves(run: RunFolder) -> list[int]:
    return [event["step"] for event in run.events() if event["kind"] == "save"]


def test_the_best_is_saved_when_it_comes_and_stays(train: OneShot, held: Path) -> None:
    run = train("--steps", "6", *EVERY, "--evals.source", held).run
    assert saves(run) == [1, 2, 6]  # the first is best at first; nothing else beats step 2
    assert run.checkpoints() == [2, 6]
    assert best.best_checkpoint(run) == 2
    assert run.summary()["best_on_dev"] == {"step": 2, "value": 0.75, "kept": True}
    every = train("--steps", "2", *EVERY, "--evals.source", held, "--save.every", "1").run
    assert weights(run, 2) == weights(every, 2)


def test_without_it_only_the_last_ones_stay(train: OneShot, oneshot: OneShot, held: Path) -> None:
    run = train("--steps", "6", *EVERY, "--evals.source", held, "--save.best", "false", "--save.every", "3").run
    assert (saves(run), run.checkpoints()) == ([3, 6], [6])
    assert run.summary()["best_on_dev"] == {"step": 2, "value": 0.75, "kept": False}
    assert best.best_checkpoint(run) == 6
    assert best.not_kept(run).startswith("checkpoint-2 was better on held (75.0%, checkpoint-6 50.0%)")
    told = oneshot("eval", run.path, "--checkpoints", "best")
    assert "note: checkpoint-2 was better on held (75.0%, checkpoint-6 50.0%), but was not kept" in told.err
    assert "was better" not in oneshot("eval", run.path, "--checkpoints", "last").err


def test_nothing_is_chosen_without_steps_between_readings(train: OneShot, held: Path) -> None:
    run = train("--steps", "2", *SAME, "--evals.source", held).run
    assert run.checkpoints() == [2]
    assert [checkpoint for _, checkpoint in run.evals()] == ["base", "checkpoint-2"]


@pytest.mark.parametrize("killed", [1, 2, 3, 4])
def test_killed_and_resumed_it_is_the_same_one(
    train: OneShot, oneshot: OneShot, held: Path, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    """While step `killed` + 1 is recorded: the steps since the last save are done again, read dev sets are not."""
    words = ("--steps", "6", *EVERY, "--evals.source", held)
    whole = train(*words).run
    with monkeypatch.context() as patch:
        during_step(patch, killed, kill)
        with pytest.raises(Killed):
            train(*words)
    run = RunFolder.open("latest", Path("runs"))
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    assert run.checkpoints() == whole.checkpoints() == [2, 6]
    assert weights(run, 2) == weights(whole, 2)
    assert weights(run, 6) == weights(whole, 6)
    assert recorded(run) == recorded(whole)
    assert run.summary()["best_on_dev"] == whole.summary()["best_on_dev"]
    assert saves(run) == saves(whole)


def test_three_steps_and_three_more_choose_as_six_do(train: OneShot, oneshot: OneShot, held: Path) -> None:
    run = train("--steps", "3", *EVERY, "--evals.source", held).run
    assert run.checkpoints() == [2, 3]
    assert resume(oneshot, run, "--steps", "6").code == 0
    assert run.checkpoints() == [2, 6]
    assert best.best_checkpoint(run) == 2


def test_a_kill_between_the_reading_and_its_save(
    train: OneShot, oneshot: OneShot, held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading is on disk, its checkpoint is not: the step is done again, and saved then."""
    words = ("--steps", "6", *EVERY, "--evals.source", held)
    with monkeypatch.context() as patch:
        write, seen = RunFolder.write_eval, []

        def written(run: RunFolder, task: str, checkpoint: str, *rest: Any) -> None:
            write(run, task, checkpoint, *rest)
            seen.append(checkpoint)
            if checkpoint == "checkpoint-2":
                raise Killed

        patch.setattr(RunFolder, "write_eval", written)
        with pytest.raises(Killed):
            train(*words)
    run = RunFolder.open("latest", Path("runs"))
    assert (run.checkpoints(), run.has_eval("held", "checkpoint-2")) == ([1], True)
    assert resume(oneshot, run).code == 0
    assert run.checkpoints() == [2, 6]


def test_a_better_one_takes_its_place(train: OneShot, held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, {**RIGHT, 5: 4})
    run = train("--steps", "6", *EVERY, "--evals.source", held).run
    assert (saves(run), run.checkpoints()) == ([1, 2, 5, 6], [5, 6])
