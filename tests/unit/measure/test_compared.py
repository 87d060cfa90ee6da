"""Which evaluation is compared: one rule, the same in claims, instruments, doctor and on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.measure.compared import chosen, evaluated, readings_of, step_of
from oneshot.measure.instruments import instruments
from oneshot.measure.run_facts import read
from oneshot.record import RunFolder
from oneshot.report.gather import gather
from tests.unit.measure.recorded import new_run, put, rows

BOTH = {0: "base", 8: "checkpoint-8"}
SIZES = {"dev": 40, "quiz": 40, "own-test": 20, "large": 60}


@pytest.mark.parametrize(
    ("told", "config", "found"),
    [
        ({}, {}, "own-test"),
        ({"overall": {"n": 60}}, {}, "large"),
        ({"paired": {"n": 60}}, {}, "large"),
        ({"overall": {"n": 40}}, {}, "quiz"),
        ({"overall": {"n": 40}}, {"evals": {"source": "data/dev.jsonl"}}, "dev"),
        ({"overall": {"n": 7}}, {"evals": {"source": "data/dev.jsonl"}}, "own-test"),
        ({"overall": "odd"}, {"evals": "odd"}, "own-test"),
    ],
)
def test_the_rule_by_hand(told: dict[str, object], config: dict[str, object], found: str) -> None:
    assert chosen(dict.fromkeys(SIZES, BOTH), SIZES, told, config) == found


def test_a_task_needs_base_and_trained_model() -> None:
    alone = {"large": {0: "base"}, "quiz": {8: "checkpoint-8"}, "small": BOTH}
    assert chosen(alone, {"large": 60, "small": 1}, {"overall": {"n": 60}}, {}) == "small"
    assert chosen({"large": {0: "base"}}, {}, {}, {}) == ""


def test_the_task_that_a_summary_names_goes_before_its_size() -> None:
    alike = dict.fromkeys(SIZES, BOTH)
    for name in SIZES:
        assert chosen(alike, SIZES, {"task": name, "overall": {"n": -1}}, {}) == name
    assert chosen(alike, SIZES, {"task": "gone"}, {}) == chosen(alike, SIZES, {}, {})


def two_tasks(root: Path, summary: int) -> RunFolder:
    made = new_run(root)
    for task, count in (("pool", 30), ("other", 50)):
        for name in ("base", "checkpoint-8"):
            put(made, task, name, rows("1" * 10 + "0" * (count - 10)))
    made.write_json("summary.json", {"overall": {"n": summary}} if summary else {})
    return made


@pytest.mark.parametrize(("summary", "task"), [(0, "other"), (50, "other"), (30, "pool")])
def test_every_reader_compares_on_the_same_task(tmp_path: Path, summary: int, task: str) -> None:
    made = two_tasks(tmp_path, summary)
    assert read(made).task == instruments(made)["task"] == gather(made).held.task == task


def test_one_damaged_result_costs_that_one_alone(tmp_path: Path) -> None:
    made = two_tasks(tmp_path, 0)
    (made.eval_dir("other", "checkpoint-8") / "results.json").write_text("{]", "utf-8")
    missing: list[str] = []
    found = readings_of(evaluated(made, missing))
    assert found["pool"] == BOTH and found["other"] == BOTH  # by the names of its folders
    assert len(missing) == 1 and missing[0].startswith("evals/other/checkpoint-8/results.json cannot be read")
    assert "pool" in read(made).readings


def test_an_older_result_without_its_size_is_counted(tmp_path: Path) -> None:
    made = two_tasks(tmp_path, 30)
    for path in made.path.glob("evals/*/*/results.json"):
        path.write_text("{}", "utf-8")
    assert read(made).task == gather(made).held.task == "pool"


def test_steps_of_checkpoints() -> None:
    names = ("base", "checkpoint-12", "best", "checkpoint-x", "base+icl")
    assert [step_of(name) for name in names] == [0, 12, None, None, None]
