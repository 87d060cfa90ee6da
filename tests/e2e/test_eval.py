"""`oneshot eval` of a model and of a run on a file of problems, and its threshold for a CI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from oneshot.record import EvalFolder
from tests.e2e.conftest import SMALL, OneShot, one_in, write_pool

EVAL = ("--evals.max-new-tokens", "10", "--model.threads", "1")


def pool(path: Path, first: int = 0) -> Path:
    rows = [{"prompt": f"{i} + 1?", "answer": str(i + 1), "subject": f"s{i % 2}"} for i in range(first, first + 12)]
    return write_pool(path, rows)


@pytest.fixture
def held(tmp_path: Path) -> Path:
    return pool(tmp_path / "held.jsonl")


def test_a_model(oneshot: OneShot, tiny: Path, held: Path, graded: Callable[..., None]) -> None:
    graded(one_in(2))
    told = oneshot("eval", tiny, "--data", held, *EVAL, "--json")
    assert told.code == 0, told.err
    answer = told.json
    assert (answer["schema"], answer["model"], answer["n"]) == ("oneshot.eval/2", str(tiny), 12)
    assert answer["value"] == answer["correct"] / 12
    assert answer["ci_low"] < answer["value"] < answer["ci_high"]
    assert {name: part["n"] for name, part in answer["categories"].items()} == {"s0": 6, "s1": 6}
    assert answer["tasks"].keys() == {"held"}
    assert {key: answer[key] for key in answer["tasks"]["held"]} == answer["tasks"]["held"]
    text = oneshot("eval", tiny, "--data", held, *EVAL).out.splitlines()
    assert text[0].startswith(f"held: {answer['correct']} of 12 = {answer['value']:.1%}, 95 % interval ")
    assert [line.split()[0] for line in text[4:6]] == ["s0", "s1"]
    assert all(len(line) <= 80 for line in text)
    folder = EvalFolder.find(Path(answer["folder"]))
    assert folder is not None
    assert Path(answer["folder"]).parent == Path("runs")
    assert f"results: {folder.path}" in told.err
    (found,) = folder.evals()
    assert found[1] == "base"
    results, rows = folder.read_eval(*found)
    assert (results["protocol"]["temperature"], results["protocol"]["samples"]) == (0.0, 1)
    assert sum(row.correct for row in rows) == answer["correct"]


def test_a_run_against_its_base(train: OneShot, oneshot: OneShot, held: Path, graded: Callable[..., None]) -> None:
    graded(one_in(2))
    run = train("--steps", "2", "--allow-unsolved", "--yes", "--optim.lr", "1e-2").run
    told = oneshot("eval", run.path, "--data", held, "--json")
    assert told.code == 0, told.err
    answer = told.json
    assert (answer["run"], answer["checkpoint"]) == (str(run.path), "checkpoint-2")
    assert (answer["n"], answer["base"]["n"]) == (12, 12)
    assert answer["paired"]["estimate"] == pytest.approx(answer["value"] - answer["base"]["value"])
    assert answer["paired"]["gained"] - answer["paired"]["lost"] == answer["correct"] - answer["base"]["correct"]
    checkpoint = oneshot("eval", run.checkpoint_dir(2), "--data", held, *EVAL, "--reward", "number", "--json").json
    assert checkpoint["correct"] == answer["correct"]  # the run's own protocol is the one given here
    base = oneshot("eval", run.config()["model"]["name"], "--data", held, *EVAL, "--reward", "number", "--json").json
    assert base["correct"] == answer["base"]["correct"]
    assert base["folder"] != checkpoint["folder"]
    (task,) = {task for task, _ in run.evals()}
    assert task.startswith("held-")
    text = oneshot("eval", "latest", "--data", held).out.splitlines()
    assert text[0] == "held: 12 problems x 1 response"
    assert [line.split(":")[0].strip() for line in text[1:3]] == ["base", "checkpoint-2"]
    assert text[3].startswith("  paired difference ")
    assert all(len(line) <= 80 for line in text)


def test_every_checkpoint_and_the_best_on_dev(train: OneShot, oneshot: OneShot, tmp_path: Path, held: Path) -> None:
    dev = write_pool(tmp_path / "dev.jsonl", [{"prompt": f"{i} + 2?", "answer": str(i + 2)} for i in range(4)])
    flags = ("--allow-unsolved", "--optim.lr", "1e-2", "--save.every", "1", "--save.keep", "4")
    run = train("--steps", "3", *flags, "--evals.source", dev, "--evals.every", "1").run
    steps = [f"checkpoint-{step}" for step in run.checkpoints()]
    assert len(steps) == 3
    answer = oneshot("eval", run.path, "--data", held, "--checkpoints", "all", "--json").json
    assert list(answer["checkpoints"]) == steps
    assert answer["checkpoint"] == steps[-1]
    assert answer["paired"] == answer["checkpoints"][steps[-1]]["paired"]
    for part in answer["checkpoints"].values():
        assert part["paired"]["p_holm"] >= part["paired"]["p_value"]
    assert answer["best_on_test"]["checkpoints"] == 3
    text = oneshot("eval", run.path, "--data", held, "--checkpoints", "all").out
    assert "after the split-half correction" in text
    best = oneshot("eval", run.path, "--data", held, "--checkpoints", "best", "--json").json
    dev_task = next(task for task, _ in run.evals() if task.startswith("dev"))
    values = {step: run.read_eval(dev_task, step)[0]["value"] for step in steps}
    assert best["checkpoint"] == max(steps, key=lambda step: values[step])  # the first of equals
    assert "checkpoints" not in best
    assert "chosen_by" not in best
    for words in ((), ("--data", dev)):
        own = oneshot("eval", run.path, "--checkpoints", "best", *words, "--json").json
        assert own["chosen_by"] == {"dev": dev_task, "checkpoint": best["checkpoint"], "problems": 4, "of": 4}
        assert own["paired"]["claim"] != "supported"
        assert "was chosen by 4 of these problems" in oneshot("eval", run.path, "--checkpoints", "best", *words).out
    assert "chosen_by" not in oneshot("eval", run.path, "--json").json  # the last one was chosen by nothing
    told = oneshot("eval", run.path, "--data", held, "--out", "there")
    assert (told.code, told.err.startswith("E105 the results of a run are kept in the run itself")) == (2, True)


def test_the_checkpoints_of_a_bare_model(oneshot: OneShot, tiny: Path, held: Path) -> None:
    told = oneshot("eval", tiny, "--data", held, "--checkpoints", "all")
    assert told.code == 2
    assert told.err.startswith(f"E105 --checkpoints all is for a run, and {tiny} is a model.")


def test_what_was_measured_is_read_again_and_never_for_other_problems(
    train: OneShot, oneshot: OneShot, held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train("--steps", "1", "--allow-unsolved").run
    first = oneshot("eval", run.path, "--data", held, "--json").json
    with monkeypatch.context() as patch:
        patch.setattr("oneshot.stages.setup.load_setup", None)  # nothing may be loaded
        assert oneshot("eval", run.path, "--data", held, "--json").json == first
    pool(held, first=100)  # the same file name and count, other problems
    oneshot("eval", run.path, "--data", held)
    oneshot("eval", run.path, "--data", held, "--evals.suffix", "A number.")
    recorded = {task: {row.prompt for row in run.read_eval(task, "base")[1]} for task, _ in run.evals()}
    assert len(recorded) == 3
    assert {("0 + 1?" in prompts, "100 + 1?" in prompts) for prompts in recorded.values()} == {
        (True, False),
        (False, True),
    }


def test_a_run_is_measured_on_its_own_held_out_problems_unless_others_are_named(
    train: OneShot, oneshot: OneShot, held: Path
) -> None:
    run = train("--steps", "1", "--allow-unsolved", "--evals.source", held, "--evals.limit", "3").run
    assert oneshot("eval", run.path, "--json").json["n"] == 12  # all of them: the limit is for inside the run
    assert oneshot("eval", run.path, "--json", "--limit", "5").json["n"] == 5


@pytest.mark.parametrize(("flag", "value"), [("--reward", "math"), ("--task-seed", "1"), ("--data.system", "Hi")])
def test_a_run_is_asked_as_it_was_trained(train: OneShot, oneshot: OneShot, held: Path, flag: str, value: str) -> None:
    run = train("--steps", "1", "--allow-unsolved").run
    told = oneshot("eval", run.path, "--data", held, flag, value)
    assert told.code == 2
    assert told.err.startswith("E105 ")
    assert f"oneshot eval {run.checkpoint_dir(1)} --data {held}" in told.err
    assert oneshot("eval", run.path, "--data", held, "--evals.grader", "math", "--reward", "number").code == 0


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(("least", "code"), [(("0.99",), 6), (("held=0.99",), 6), (("0",), 0), (("0", "held=0.99"), 6)])
def test_fail_under(oneshot: OneShot, tiny: Path, held: Path, least: tuple[str, ...], code: int, as_json: bool) -> None:
    flags = [word for value in least for word in ("--fail-under", value)]
    told = oneshot("eval", tiny, "--data", held, *EVAL, *flags, *(["--json"] if as_json else []))
    assert told.code == code
    assert ("E601 held: " in told.err) == (code == 6)
    if as_json:
        assert told.json["passed"] is (code == 0)  # one object, though it failed


def test_a_threshold_for_another_task_is_refused_before_anything_is_measured(oneshot: OneShot, held: Path) -> None:
    told = oneshot("eval", "no-model", "--data", held, "--fail-under", "math500=0.5")
    assert told.code == 2
    assert told.err == (
        "E102 --fail-under names 'math500'; the task measured here is called 'held'.\n  try: --fail-under held=0.5\n"
    )


def test_a_model_that_cannot_be_loaded_leaves_no_folder(oneshot: OneShot, held: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = oneshot("eval", tmp_path / "empty", "--data", held)
    assert told.code == 4
    assert not Path("runs").exists()


def test_the_built_in_task(oneshot: OneShot, tiny: Path) -> None:
    told = oneshot("eval", tiny, "--data", "builtin", "--limit", "9", "--reward", "number", *EVAL, "--json")
    assert told.json["n"] == 9
    assert told.json["categories"].keys() <= {"add_bare", "sub_bare", "mul_bare"}


def test_a_run_without_a_checkpoint(train: OneShot, oneshot: OneShot, held: Path, graded: Callable[..., None]) -> None:
    graded(lambda response, reference: False)
    assert train("--steps", "1").code == 4
    told = oneshot("eval", "latest", "--data", held)
    assert told.code == 2
    assert "E104" in told.err
    assert "has no checkpoint yet.\n  try: oneshot train --resume " in told.err


def test_without_problems(oneshot: OneShot, tiny: Path) -> None:
    told = oneshot("eval", tiny, *SMALL[:2])
    assert (told.code, told.err) == (
        2,
        "E105 oneshot eval needs problems.\n  try: oneshot eval MODEL --tasks math500\n"
        "  try: oneshot eval MODEL --data FILE.jsonl\n",
    )


def test_without_a_model(oneshot: OneShot) -> None:
    told = oneshot("eval", "--tasks", "math500")
    assert told.code == 2
    assert told.err.startswith("E103 oneshot eval needs MODEL|RUN.\n  try: oneshot eval MODEL --tasks math500\n")
