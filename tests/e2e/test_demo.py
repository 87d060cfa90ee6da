"""`oneshot demo` from probing to the report. A random model solves nothing, so here a third of all texts is right."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneshot.data.tasks import builtin
from oneshot.record import RunFolder
from oneshot.stages import demo
from tests.e2e.conftest import SMALL, OneShot, Told, one_in

KEYS = {
    "schema",
    "headline",
    "model",
    "example",
    "paired",
    "overall",
    "ladder",
    "categories",
    "operations",
    "decomposition",
    "transitions",
    "boxed",
    "training_limit",
    "found",
    "cut",
    "times",
    "peak_memory_gib",
    "seeds",
    "limits",
}
PAIR = {"estimate", "ci_low", "ci_high", "n", "base", "trained", "gained", "lost", "p_value", "badge"}
FAST = (*SMALL, "--yes", "--rollout.groups", "2", "--rollout.group-size", "4")


@pytest.fixture
def show(oneshot: OneShot, tiny: Path) -> OneShot:
    return lambda *more: oneshot("demo", "--model", tiny, "--steps", "2", "--optim.lr", "1e-2", *FAST, *more)


def check_summary(told: Told, task_seed: int) -> None:
    summary, run = told.json, told.run
    assert summary.keys() >= KEYS
    assert summary["schema"] == "oneshot.summary/1"
    pairs = [summary["paired"], summary["overall"], summary["training_limit"]]
    for pair in (*pairs, *summary["ladder"].values(), *summary["categories"].values()):
        assert pair.keys() >= PAIR
        assert pair["ci_low"] <= pair["estimate"] <= pair["ci_high"]
    assert list(summary["ladder"]) == ["paraphrase", "same_wording", "new_wording", "own_kind", "other_kinds"]
    assert set(summary["categories"]) == set(builtin.KINDS)
    assert summary["paired"] == summary["ladder"]["own_kind"]
    assert summary["paired"]["n"] >= 120
    assert summary["ladder"]["new_wording"]["n"] * 2 == summary["paired"]["n"]
    assert all(pair["n"] >= 15 for pair in summary["categories"].values())
    rate = summary["example"]["base_rate"]
    assert rate["n"] == 32
    assert rate["ci_low"] <= rate["value"] <= rate["ci_high"]
    assert summary["seeds"] == {"run": 0, "task": task_seed}
    assert list(summary["times"]) == ["model", "choose the example", "evaluate base", "train", "evaluate trained"]
    assert sum(sum(row.values()) for row in summary["transitions"].values()) == summary["paired"]["n"]
    assert sum(summary["operations"]["own"]["base"].values()) >= summary["paired"]["n"]
    assert "this kind of problem" in summary["headline"]
    assert run.summary() == {key: value for key, value in summary.items() if key != "run"}


def test_the_whole_demo(show: OneShot, graded: Callable[..., None]) -> None:
    graded(one_in(3))
    told = show("--json", "--task-seed", "3")
    assert told.code == 0, told.err
    check_summary(told, 3)
    run = told.run
    assert run.status()["state"] == "done"
    assert {("builtin-dev", "base"), ("builtin-dev", "checkpoint-2")} <= set(run.evals())
    assert [c for task, c in run.evals() if task == "builtin-test"] == ["base", "checkpoint-2"]
    (example,) = run.example()
    assert example["base_rate_samples"] == 32
    assert example["meta"]["split"] == "train"
    assert example["category"] == demo.KIND
    chosen = [row for row in run.selection() if row["samples"] == 32]
    assert len(run.selection()) == demo.CANDIDATES
    assert example["id"] in {row["id"] for row in chosen}
    # The test set is the one that belongs to the example, whatever the model.
    _, rows = run.read_eval("builtin-test", "checkpoint-2")
    (problem,) = (p for p in builtin.candidates(3, demo.KIND, demo.CANDIDATES) if p.id == example["id"])
    assert [row.id for row in rows] == [p.id for p in builtin.test_set(3, problem)]
    assert all(row.meta["answer_class"] for row in rows)
    page = (run.path / "report.html").read_text("utf-8")
    assert example["prompt"] in page
    assert len(page) > 20_000


def test_what_a_person_sees(show: OneShot, graded: Callable[..., None]) -> None:
    graded(one_in(3))
    told = show()
    assert told.out == f"{told.run.path}\n"
    assert "example: probing 24 candidates of kind" in told.err
    assert "in fresh samples" in told.err
    assert [line.split()[1] for line in told.err.splitlines() if line.startswith("step ")] == ["1/2", "2/2"]
    for row in ("paraphrase", "same_wording", "new_wording", "own_kind", "other_kinds", "overall", *builtin.KINDS):
        assert any(line.startswith(row) for line in told.err.splitlines()), row
    assert told.run.summary()["headline"] in told.err


def test_full_also_samples(show: OneShot, graded: Callable[..., None]) -> None:
    graded(one_in(3))
    told = show("--full", "--json", "--steps", "1")
    assert told.code == 0, told.err
    for measured in told.json["sampled"].values():
        assert 0 < measured["avg@8"] < measured["pass@8"] <= 1


def test_a_model_that_solves_no_candidate(show: OneShot, graded: Callable[..., None]) -> None:
    graded(lambda response, reference: False)
    told = show()
    assert told.code == 4
    assert "E306 the model solved none of 24 candidates in 8 tries each" in told.err
    assert "try: --task-seed 1" in told.err
    assert RunFolder.open("latest", Path("runs")).status()["state"] == "failed"


def test_a_demo_needs_a_step(show: OneShot) -> None:
    told = show("--steps", "0")
    assert told.code == 2
    assert "at least one step" in told.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("when", ["probing", "training"])
def test_ctrl_c(show: OneShot, graded: Callable[..., None], monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    graded(one_in(3))

    def interrupted(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return original(*args, **kwargs)

        return call

    if when == "probing":
        monkeypatch.setattr(demo, "choose", interrupted(demo.choose))
    else:
        monkeypatch.setattr(RunFolder, "step", interrupted(RunFolder.step))
    told = show()
    assert told.code == 130
    run = RunFolder.open("latest", Path("runs"))
    assert "stopped by Ctrl-C" in told.err
    assert ("try: oneshot train --resume" in told.err) == (when == "training")
    assert run.status()["state"] == "stopped"
    assert run.checkpoints() == ([1] if when == "training" else [])


def test_a_stopped_demo_goes_on_as_a_demo(
    show: OneShot, oneshot: OneShot, graded: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    graded(one_in(3))
    whole = show("--json")
    step = RunFolder.step

    def stopped(run: RunFolder, number: int, *rest: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        step(run, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "step", stopped)
        assert show().code == 75
    told = oneshot("train", "--resume", "--yes", "--json")
    assert told.code == 0, told.err
    assert told.run.status()["state"] == "done"
    timed = ("times", "peak_memory_gib", "run")
    assert {k: v for k, v in told.json.items() if k not in timed} == {
        k: v for k, v in whole.json.items() if k not in timed
    }
