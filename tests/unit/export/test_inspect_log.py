"""The log for Inspect as plain data, by hand; `real_inspect.py` beside this reads it with the library."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import pytest

from oneshot.data.tasks.task import Protocol
from oneshot.export import inspect_log
from oneshot.export.inspect_log import log_of, sample_id
from oneshot.export.recorded import Recorded
from oneshot.export.results import export
from oneshot.record import EvalFolder
from tests.unit.export.evaluations import DATE, HOSTILE, STAMP, choice, record, record_stored, row, task


def recorded(store: EvalFolder, name: str = "sums", checkpoint: str = "base") -> Recorded:
    results, rows = store.read_eval(name, checkpoint)
    return Recorded(name=name, checkpoint=checkpoint, results=results, rows=tuple(rows), task=task(name))


def test_accuracy_and_standard_error_of_every_grade(tmp_path: Path) -> None:
    store = record(tmp_path)
    log = log_of(recorded(store), DATE)
    scores = {score["name"]: score["metrics"] for score in log["results"]["scores"]}
    assert list(scores) == ["math-lenient", "strict", "lenient"]
    assert scores["math-lenient"]["accuracy"]["value"] == store.read_eval("sums", "base")[0]["value"] == 0.5
    assert scores["math-lenient"]["stderr"]["value"] == pytest.approx((0.25 / 3) ** 0.5)
    assert scores["math-lenient"]["accuracy"]["metadata"].keys() >= {"ci_low", "ci_high", "method"}
    assert (scores["lenient"]["accuracy"]["value"], scores["lenient"]["stderr"]["value"]) == (1.0, 0.0)
    assert log["results"]["total_samples"] == 5
    reduction = log["reductions"][0]
    assert [(each["sample_id"], each["value"]) for each in reduction["samples"]] == [
        ("p/1", 1.0),
        ("p/2", 0.5),
        ("p/3", 0.0),
    ]


def test_a_sample_by_hand(tmp_path: Path) -> None:
    log = log_of(recorded(record(tmp_path)), DATE)
    assert [(sample["id"], sample["epoch"]) for sample in log["samples"]] == [
        ("p/1", 1),
        ("p/1", 2),
        ("p/2", 1),
        ("p/2", 2),
        ("p/3", 1),
    ]
    wrong = log["samples"][3]
    assert (wrong["input"], wrong["target"], wrong["choices"]) == ("What is p/2?", "7", None)
    assert wrong["output"]["completion"] == wrong["messages"][1]["content"] == "It is 8."
    assert wrong["output"]["choices"][0]["stop_reason"] == "max_tokens"
    assert wrong["scores"]["math-lenient"] == {"value": "I", "answer": None, "explanation": "status: no_answer"}
    assert wrong["scores"]["lenient"] == {"value": "C"}
    assert log["samples"][0]["scores"]["math-lenient"]["value"] == "C"
    assert log["samples"][0]["output"]["choices"][0]["stop_reason"] == "stop"
    assert wrong["metadata"] == {
        "boxed": False,
        "lenient": True,
        "repeated": False,
        "problem_id": "p/2",
        "category": "add",
        "tokens": 9,
        "cut": True,
    }
    assert len({sample["uuid"] for sample in log["samples"]}) == 5


def test_the_head_says_how_it_was_asked(tmp_path: Path) -> None:
    spec = log_of(recorded(record(tmp_path, checkpoint="checkpoint-4"), checkpoint="checkpoint-4"), DATE)["eval"]
    assert (spec["task"], spec["model"], spec["created"]) == (
        "sums",
        "org/tiny@checkpoint-4",
        "2026-11-21T17:50:07+00:00",
    )
    assert spec["dataset"] == {
        "name": "sums",
        "location": "sums.jsonl",
        "samples": 3,
        "sample_ids": ["p/1", "p/2", "p/3"],
        "shuffled": False,
    }
    assert spec["config"] == {"epochs": 2, "epochs_reducer": ["mean"], "limit": None}
    assert spec["model_generate_config"] == {"temperature": 0.6, "max_tokens": 64, "seed": 0, "system_message": None}
    assert spec["task_args"]["suffix"] == "Think."
    assert spec["model_args"] == {"weights": "0123456789abcdef", "dtype": "float32", "eos_ids": [0]}
    assert spec["packages"]["oneshot"] == "0.6.0"
    assert spec["metadata"]["protocol"]["prompt"] == "<|user|>What is p/1?"


def test_nothing_is_drawn_at_random_and_dates_and_models_differ(tmp_path: Path) -> None:
    found = recorded(record(tmp_path / "a"))
    other = recorded(record(tmp_path / "b", weights="fedcba9876543210"))
    assert log_of(found, DATE) == log_of(found, DATE)
    ids = {log_of(each, at)["eval"]["task_id"] for each in (found, other) for at in (DATE, DATE.replace(second=8))}
    assert len(ids) == 4


def test_choices_by_likelihood(tmp_path: Path) -> None:
    rows = [choice("q1", (-1.5, -3.0), True, True), choice("q2", (-4.0, -2.0), False, True)]
    log = log_of(recorded(record(tmp_path, rows, **{**Protocol(kind="loglikelihood").as_dict(), "grader": ""})), DATE)
    assert [(score["name"], score["metrics"]["accuracy"]["value"]) for score in log["results"]["scores"]] == [
        ("likelihood", 0.5),
        ("acc_norm", 1.0),
    ]
    assert log["samples"][0]["choices"] == ["red", "blue"]
    assert log["eval"]["model_generate_config"] == {}


def test_stored_responses_say_no_more_than_is_known(tmp_path: Path) -> None:
    sample = log_of(recorded(record_stored(tmp_path)), DATE)["samples"][0]
    assert sample["output"]["choices"][0]["stop_reason"] == "unknown"
    assert (sample["metadata"]["tokens"], sample["metadata"]["cut"]) == (None, None)


@pytest.mark.parametrize("key", ["../../etc/x", "/abs", "a//b", ".hidden", "a/../b", "C:\\x", "", HOSTILE, "a/.b"])
def test_ids_cannot_name_an_entry_outside(key: str) -> None:
    assert "/" not in sample_id(key)
    assert not sample_id(key).startswith(".")


def test_plain_ids_stay() -> None:
    for key in ("p1", "test/precalculus/807.json", "AIME_24-1"):
        assert sample_id(key) == key


class FakeLog:
    """Takes what `EvalLog.model_validate` would check."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    @classmethod
    def model_validate(cls, data: dict[str, Any]) -> FakeLog:
        return cls(data)


def test_one_file_for_each_task_and_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(log: FakeLog, location: str) -> None:
        Path(location).write_text(json.dumps(log.data), encoding="utf-8")

    fake = types.SimpleNamespace(EvalLog=FakeLog, write_eval_log=write)
    monkeypatch.setattr(inspect_log, "package", lambda: fake)
    store = record(tmp_path)
    record(tmp_path, [row(HOSTILE, False, response=HOSTILE)], checkpoint="checkpoint-4", model=HOSTILE)
    made = export(["inspect"], store, {"sums": task()}, tmp_path / "out", date=DATE)
    logs = [json.loads(path.read_text()) for path in made]
    for path, log, checkpoint in zip(made, logs, ("base", "checkpoint-4"), strict=True):
        assert path.name == f"{STAMP}+00-00_sums_{checkpoint}_{log['eval']['task_id']}.eval"
    assert logs[1]["samples"][0]["output"]["completion"].encode("utf-8")
