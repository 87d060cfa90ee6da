"""Test tasks that are read while a run goes on: they change nothing, are continued after a kill, and choose nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from oneshot._store.evaluations import PartialEval
from oneshot.record import RunFolder
from oneshot.stages.evals import work as eval_work
from tests.e2e.conftest import OneShot, one_in, write_pool
from tests.e2e.stopping import SAME, recorded, resume, weights

MANY = ("--evals.samples", "4", "--evals.temperature", "1", "--evals.batch", "16")
"""160 responses in three batches."""


class Killed(BaseException):
    """Stands for a SIGKILL, as far as one process can."""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    return write_pool(tmp_path / "unseen.jsonl", [{"prompt": f"{i} + 1?", "answer": str(i + 1)} for i in range(40)])


@pytest.fixture
def held(tmp_path: Path) -> Path:
    return write_pool(tmp_path / "held.jsonl", [{"prompt": f"{i} + 2?", "answer": str(i + 2)} for i in range(4)])


def readings(run: RunFolder) -> dict[str, list[str]]:
    """Task -> what of it was read, without the hash of its name."""
    found: dict[str, list[str]] = {}
    for task, checkpoint in run.evals():
        found.setdefault(task.partition("-")[0], []).append(checkpoint)
    return found


def outcomes(run: RunFolder) -> dict[tuple[str, str], Any]:
    """Every graded response."""
    return {key: run.read_eval(*key)[1] for key in run.evals()}


def at_batch(patch: pytest.MonkeyPatch, checkpoint: str, number: int, act: Any) -> None:
    """Do something after some responses of an evaluation are on disk, for the n-th time."""
    append, seen = PartialEval.append, [0]

    def appended(partial: PartialEval, *args: Any) -> None:
        append(partial, *args)
        seen[0] += partial.path.parent.name == checkpoint
        if seen[0] == number and partial.path.parent.name == checkpoint:
            act()

    patch.setattr(PartialEval, "append", appended)


def kill() -> None:
    raise Killed


def test_they_are_read_before_between_and_after_and_change_nothing(
    train: OneShot, tasks: Path, held: Path, graded: Any
) -> None:
    graded(one_in(3))
    without = train("--steps", "4", *SAME).run
    told = train("--steps", "4", *SAME, "--evals.tasks", tasks, "--evals.source", held, "--evals.every", "2", *MANY)
    run = told.run
    assert weights(run, 4) == weights(without, 4)
    assert recorded(run) == recorded(without)
    assert readings(run) == {kind: ["base", "checkpoint-2", "checkpoint-4"] for kind in ("held", "unseen")}
    task = run.summary()["tasks"]["unseen"]
    name = task["folder"]
    assert task["steps"] == [2, 4]
    assert (task["base"]["n"], task["last"]["step"], task["best_on_test"]) == (40, 4, None)
    assert task["best_on_dev"]["step"] == run.summary()["best_on_dev"]["step"]
    assert len(run.read_eval(name, "checkpoint-2")[1]) == 160
    value = run.read_eval(name, "checkpoint-4")[0]["value"]
    assert f"\nunseen, checkpoint-4: {value:.1%} of 40 problems (95 % interval " in told.err
    assert f"\nunseen: base {task['base']['value']:.1%}, last {value:.1%} (step 4), best on dev " in told.err
    assert (task["paired"]["claims"], task["paired"]["claim"] in told.err, "badge" in task["paired"]) == (
        1,
        True,
        False,
    )
    assert run.summary()["limits"][-1] == (
        "The test tasks were read in this way: unseen with 4 responses each at temperature 1."
    )
    assert "split-half" not in told.err  # two checkpoints are too few to speak of the best on test


def test_best_on_test_stands_with_its_correction_only(train: OneShot, tasks: Path, graded: Any) -> None:
    graded(one_in(3))
    told = train("--steps", "3", *SAME, "--evals.tasks", tasks, "--evals.every", "1")
    task = told.run.summary()["tasks"]["unseen"]
    found = task["best_on_test"]
    assert found["checkpoints"] == 3
    assert found["corrected"] <= found["uncorrected"] + 0.05
    assert task["best_on_dev"] is None
    (line,) = [line for line in told.err.splitlines() if "split-half" in line]
    assert line.index(f"worth {found['corrected']:.1%} after") < line.index(f"before it {found['uncorrected']:.1%}")
    assert "nothing is known beyond" not in str(told.run.summary()["limits"])
    assert readings(told.run) == {"unseen": ["base", "checkpoint-1", "checkpoint-2", "checkpoint-3"]}


def test_without_a_number_of_steps_they_are_read_before_and_after(train: OneShot, tasks: Path) -> None:
    run = train("--steps", "2", *SAME, "--evals.tasks", tasks, "--evals.limit", "5").run
    assert readings(run) == {"unseen": ["base", "checkpoint-2"]}
    assert {len(rows) for rows in outcomes(run).values()} == {5}


def test_compared_likelihoods_are_read_too(train: OneShot, tmp_path: Path) -> None:
    options = {"label": ["A", "B"], "text": ["ice", "fire"]}
    rows = [{"id": str(i), "question": f"{i}: what melts?", "choices": options, "answerKey": "A"} for i in range(5)]
    write_pool(tmp_path / "arc_easy.jsonl", rows)
    words = ("--evals.tasks", "arc_easy:loglikelihood", "--evals.data-dir", tmp_path)
    task = train("--steps", "2", *SAME, *words).run.summary()["tasks"]["arc_easy-loglikelihood"]
    assert (task["steps"], task["base"]["n"], task["protocol"]["kind"]) == ([2], 5, "loglikelihood")


@pytest.mark.parametrize("checkpoint", ["base", "checkpoint-2", "checkpoint-3"])
def test_a_kill_in_the_middle_of_one_costs_what_is_not_written(
    train: OneShot, oneshot: OneShot, tasks: Path, held: Path, graded: Any, monkeypatch: pytest.MonkeyPatch,
    checkpoint: str,
) -> None:  # fmt: skip
    graded(one_in(3))
    words = ("--steps", "3", *SAME, "--evals.tasks", tasks, "--evals.source", held, "--evals.every", "2", *MANY)
    whole = train(*words).run
    with monkeypatch.context() as patch:
        patch.setattr(eval_work, "WITHIN", 0.0)
        at_batch(patch, checkpoint, 2, kill)
        with pytest.raises(Killed):
            train(*words)
    run = RunFolder.open("latest", Path("runs"))
    assert run.summary() == {}
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    assert outcomes(run) == outcomes(whole)
    assert recorded(run) == recorded(whole)
    assert weights(run, 3) == weights(whole, 3)
    name = run.summary()["tasks"]["unseen"]["folder"]
    assert run.summary()["tasks"] == whole.summary()["tasks"]
    assert run.read_eval(name, checkpoint)[0]["protocol"]["reused"] == 2
    assert not list(run.path.glob("evals/*/*/partial.jsonl"))


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_stop_signal_in_the_middle_of_one_saves_the_step(
    train: OneShot, oneshot: OneShot, tasks: Path, monkeypatch: pytest.MonkeyPatch, kind: int, code: int
) -> None:
    words = ("--steps", "3", *SAME, "--evals.tasks", tasks, "--evals.every", "2", *MANY)
    whole = train(*words).run
    with monkeypatch.context() as patch:
        at_batch(patch, "checkpoint-2", 1, lambda: os.kill(os.getpid(), kind))
        told = train(*words)
    run = RunFolder.open("latest", Path("runs"))
    assert told.code == code
    assert f"try: oneshot train --resume {run.path}\n" in told.err
    assert run.checkpoints() == [2]
    assert resume(oneshot, run).code == 0
    assert [row["attempt"] for row in run.metrics()] == [1, 1, 2]  # no step was done again
    assert outcomes(run) == outcomes(whole)
    assert weights(run, 3) == weights(whole, 3)


def test_what_was_read_with_other_weights_is_read_again(
    train: OneShot, oneshot: OneShot, tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after steps that are done again on another machine: equal up to rounding, and so other weights."""
    words = ("--steps", "2", *SAME, "--evals.tasks", tasks, "--evals.every", "1", *MANY)
    with monkeypatch.context() as patch:
        at_batch(patch, "checkpoint-2", 1, kill)
        with pytest.raises(Killed):
            train(*words)
    run = RunFolder.open("latest", Path("runs"))
    (begun,) = run.path.glob("evals/*/checkpoint-2/partial.jsonl")
    (first,) = run.path.glob("evals/*/checkpoint-1/results.json")
    now = run.weights_read(first.parents[1].name, "checkpoint-2")
    begun.write_text(begun.read_text().replace(now, "0" * 16))
    told = resume(oneshot, run)
    assert told.code == 0, told.err
    assert "checkpoint-2: read again, because its weights came out slightly different this time\n" in told.err
    assert "checkpoint-1: read again" not in told.err
    name = begun.parents[1].name
    assert run.read_eval(name, "checkpoint-2")[0]["protocol"]["reused"] == 0
    assert (run.path / "logs" / "attempt_1" / "evals" / name / "checkpoint-2" / "partial.jsonl").is_file()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--evals.tasks", "math50"), "E102", "unknown task 'math50'. Did you mean 'math500'?"),
        (("--evals.tasks", "nowhere.jsonl"), "E106", "nowhere.jsonl"),
        (("--evals.tasks", "math500", "--evals.data-dir", "nowhere"), "E106", "the data folder nowhere does not exist"),
        (("--evals.tasks", "math500", "--evals.data-dir", "."), "E20", "math500"),
        (("--save.best", "true"), "E105", "save.best = true (flag --save.best) keeps the checkpoint that is best on"),
    ],
)
def test_bad_input_is_refused_before_the_model_is_loaded(
    oneshot: OneShot, words: tuple[str, ...], code: str, said: str
) -> None:
    told = oneshot("train", "--model", "no/such-model", "--example", "1 + 1?", "--answer", "2", "--offline", *words)
    assert told.code in (2, 3)
    assert told.err.startswith(code)
    assert said in told.err
    assert not Path("runs").exists()


def test_the_dev_set_is_no_test(train: OneShot, held: Path) -> None:
    told = train("--evals.tasks", held, "--evals.source", held)
    assert told.code == 2
    assert told.err.startswith("E105 evals.tasks has 'held', which is what the dev set is called too")


def test_a_limit_beyond_the_models_positions_is_refused_before_step_0(train: OneShot, tasks: Path) -> None:
    told = train("--evals.tasks", tasks, "--evals.max-new-tokens", "511")
    assert (told.code, told.err[:4]) == (2, "E105")
    assert not Path("runs").exists()


def test_the_demo_has_its_own_problems(oneshot: OneShot, tiny: Path) -> None:
    told = oneshot("demo", "--model", tiny, "--evals.tasks", "math500")
    assert (told.code, told.err[:4]) == (2, "E105")
