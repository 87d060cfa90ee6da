"""`oneshot eval --tasks`: several tasks, what is said of their data, what is kept when one of them fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneshot.record import EvalFolder
from oneshot.rollout.native import NativeEngine
from tests.e2e.conftest import OneShot, one_in, write_pool
from tests.tiny import save_tiny

QUICK = ("--max-new-tokens", "6", "--model.threads", "1")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a few rows under the names of known tasks."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [
        {"id": f"test/{i}.json", "problem": f"{i} + 1?", "answer": str(i + 1), "subject": "Sums", "level": i % 3}
        for i in range(6)
    ]
    write_pool(folder / "math500.jsonl", rows)
    write_pool(folder / "aime24.jsonl", [{"id": str(i), "problem": f"{i}?", "answer": str(i)} for i in range(4)])
    return folder


def test_several_tasks(oneshot: OneShot, tiny: Path, data: Path, graded: Callable[..., None]) -> None:
    graded(one_in(2))
    words = ("eval", tiny, "--tasks", "math500,aime24", "--data-dir", data, *QUICK)
    told = oneshot(*words, "--json")
    assert told.code == 0, told.err
    answer = told.json
    assert list(answer["tasks"]) == ["math500", "aime24"]
    assert "value" not in answer
    one, many = answer["tasks"]["math500"], answer["tasks"]["aime24"]
    assert (one["n"], one["samples"], one["protocol"]["temperature"]) == (6, 1, 0.0)
    assert (many["n"], many["samples"], many["responses"]) == (4, 8, 32)
    assert many["protocol"]["temperature"] == 0.6
    assert many["value"] == many["correct"] / 32
    assert (list(many["pass_at_k"]), list(one["levels"])) == ([str(k) for k in range(1, 9)], ["0", "1", "2"])
    assert answer["macro"]["value"] == pytest.approx((one["value"] + many["value"]) / 2)
    assert answer["macro"]["ci_low"] < answer["macro"]["value"] < answer["macro"]["ci_high"]
    assert "math500: 500 rows are known, " in told.err
    assert "note: math500 is not asked by its own protocol: max_new_tokens 6 instead of 3072" in told.err
    text = oneshot(*words, "--k", "1,8")
    assert text.code == 0
    lines = text.out.splitlines()
    assert all(len(line) <= 80 for line in lines), text.out
    assert f"aime24: avg@8 {many['value']:.1%} of 4 problems, 95 % interval " in text.out
    assert [line.split()[1] for line in lines if line.startswith("  pass ")] == ["@1", "@1"]
    assert "@8 " in text.out
    assert "@4 " not in text.out
    assert lines[-1].startswith(f"mean of 2 tasks, equal weight: {answer['macro']['value']:.1%}, 95 % interval ")


def test_settings_change_the_protocol_and_the_name(oneshot: OneShot, tiny: Path, data: Path) -> None:
    words = ("eval", tiny, "--tasks", "aime24", "--data-dir", data, *QUICK, "--json")
    first = oneshot(*words, "--n", "2").json
    second = oneshot(*words, "--n", "3", "--temperature", "1.0", "--limit", "2").json
    assert (first["samples"], first["protocol"]["temperature"], first["n"]) == (2, 0.6, 4)
    assert (second["samples"], second["protocol"]["temperature"], second["n"]) == (3, 1.0, 2)
    assert first["recorded_as"] != second["recorded_as"]
    assert first["folder"] == second["folder"]


def test_n_below_k(oneshot: OneShot, data: Path) -> None:
    words = ("eval", "no-model", "--data-dir", data)
    told = oneshot(*words, "--tasks", "aime24", "--n", "4", "--k", "8")
    assert told.code == 2
    assert told.err == (
        "note: aime24: 30 rows are known, " + str(data / "aime24.jsonl") + " has 4; this is not the whole known task\n"
        "note: aime24 is not asked by its own protocol: samples 4 instead of 8\n"
        "E103 --k 8 needs 8 responses to each problem, and aime24 has --n 4.\n"
        "  try: --n 8\n  try: --k 4\n  Nothing was measured.\n"
    )
    assert "E103 --k 9 needs 9 responses" in oneshot(*words, "--tasks", "aime24,math500", "--k", "9").err


@pytest.mark.parametrize(
    ("tasks", "code", "said"),
    [
        ("math50", "E102", "unknown task 'math50'. Did you mean 'math500'?"),
        ("math500,math500", "E103", "the task 'math500' is named twice"),
        ("math500:loglikelihood", "E102", "the task 'math500' has no protocol 'loglikelihood'."),
    ],
)
def test_names_are_resolved_first(oneshot: OneShot, tasks: str, code: str, said: str) -> None:
    told = oneshot("eval", "no-model", "--tasks", tasks)
    assert told.code == 2
    assert told.err.startswith(f"{code} ")
    assert said in told.err


def test_a_file_named_twice(oneshot: OneShot, tiny: Path, data: Path) -> None:
    told = oneshot("eval", tiny, "--data", data / "math500.jsonl", "--tasks", "math500", "--data-dir", data)
    assert told.code == 2
    assert "E103 --data and --tasks both name a task 'math500'." in told.err


def test_a_task_that_cannot_be_had_costs_the_others_nothing(oneshot: OneShot, tiny: Path, data: Path) -> None:
    words = ("eval", tiny, "--tasks", "amc23,math500", "--data-dir", data, "--offline", *QUICK)
    told = oneshot(*words, "--json")
    assert told.code == 3
    answer = told.json
    assert list(answer["tasks"]) == ["math500"]
    assert answer["failed"]["amc23"]["code"] in ("E203", "E204")
    assert any("amc23.jsonl" in line for line in answer["failed"]["amc23"]["tries"])
    assert "macro" not in answer
    text = oneshot(*words)
    assert text.code == 3
    assert "math500: " in text.out
    assert "amc23: not measured (E20" in text.out
    assert "warning: amc23 cannot be had and is left out; the other tasks are measured first." in text.err
    alone = oneshot("eval", tiny, "--tasks", "amc23", "--data-dir", data, "--offline")
    assert (alone.code, alone.out) == (3, "")
    missed = oneshot(*words, "--fail-under", "0", "--json")
    assert (missed.code, missed.json["passed"]) == (3, False)  # what was not measured did not pass


def test_a_prompt_that_does_not_fit_is_refused_before_anything_is_measured(
    oneshot: OneShot, tiny: Path, data: Path
) -> None:
    write_pool(data / "amc23.jsonl", [{"id": "0", "problem": "1 + " * 200, "answer": "2"}])
    told = oneshot("eval", tiny, "--tasks", "math500,amc23", "--data-dir", data, *QUICK)
    assert told.code == 2
    assert "E105 amc23: evals.max_new_tokens = 6 and a prompt of " in told.err
    assert "Nothing was measured." in told.err
    assert not Path("runs").exists()


def test_what_was_measured_before_an_error_is_printed_and_kept(
    oneshot: OneShot, tiny: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("eval", tiny, "--tasks", "math500,aime24", "--data-dir", data, *QUICK, "--model.dtype", "float32")
    generate = NativeEngine.generate
    asked = 0

    def stopping(self: NativeEngine, prompts: Any, *more: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return generate(self, prompts, *more)

    with monkeypatch.context() as patch:
        patch.setattr(NativeEngine, "generate", stopping)
        told = oneshot(*words, "--json")
    assert told.code == 75
    answer = told.json
    assert list(answer["tasks"]) == ["math500"]
    assert answer["failed"]["aime24"]["message"].startswith("stopped by a stop signal;")
    assert f"What was measured before is kept in {answer['folder']}." in answer["failed"]["aime24"]["kept"]
    assert [task for task, _ in EvalFolder(Path(answer["folder"])).evals()] == [
        answer["tasks"]["math500"]["recorded_as"]
    ]
    again = oneshot(*words, "--json")
    assert again.code == 0, again.err
    assert again.json["tasks"]["math500"] == answer["tasks"]["math500"]
    assert list(again.json["tasks"]) == ["math500", "aime24"]


def test_a_folder_of_another_model(oneshot: OneShot, tiny: Path, data: Path, tmp_path: Path) -> None:
    words = ("--tasks", "math500", "--data-dir", data, *QUICK, "--out", tmp_path / "there")
    assert oneshot("eval", tiny, *words).code == 0
    other = save_tiny(tmp_path / "other", seed=1)
    told = oneshot("eval", other, *words)
    assert told.code == 2
    assert f"E104 {tmp_path / 'there'} holds evaluations of another model" in told.err
    assert "--out ANOTHER-FOLDER" in told.err
    told = oneshot("eval", tmp_path / "there", "--tasks", "math500")
    assert told.code == 2
    assert "is a folder of results and not a model." in told.err


def test_other_weights_under_the_same_name_are_another_model(oneshot: OneShot, data: Path, tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "model")
    words = ("eval", model, "--tasks", "math500", "--data-dir", data, *QUICK)
    assert oneshot(*words).code == 0
    save_tiny(model, seed=5)
    told = oneshot(*words)
    assert told.code == 2
    assert "E104 " in told.err
    assert "weights is " in told.err


def test_another_seed_is_not_answered_with_the_old_samples(oneshot: OneShot, tiny: Path, data: Path) -> None:
    words = ("eval", tiny, "--tasks", "aime24", "--data-dir", data, *QUICK)
    assert oneshot(*words).code == 0
    told = oneshot(*words, "--seed", "1")
    assert told.code == 2
    assert "E107 " in told.err
    assert "seed was 0 and is now 1" in told.err


def test_thresholds_by_name(oneshot: OneShot, tiny: Path, data: Path) -> None:
    words = ("eval", tiny, "--tasks", "math500,aime24", "--data-dir", data, *QUICK)
    told = oneshot(*words, "--fail-under", "math500=0.99", "--fail-under", "0")
    assert told.code == 6
    assert "E601 math500: " in told.err
    assert "aime24" not in told.err.split("E601")[1]
    told = oneshot("eval", "no-model", "--tasks", "math500,aime24", "--data-dir", data, "--fail-under", "math5=0.5")
    assert "E102 --fail-under names 'math5'; the tasks measured here are math500, aime24." in told.err


def test_a_run_on_its_own_tasks(train: OneShot, oneshot: OneShot, data: Path) -> None:
    flags = ("--allow-unsolved", "--optim.lr", "1e-2")
    run = train("--steps", "1", *flags).run
    own = ("--n", "2", "--temperature", "0.8", "--max-new-tokens", "6")
    words = ("eval", run.path, "--tasks", "math500,aime24", "--data-dir", data, *own)
    answer = oneshot(*words, "--json").json
    for name in ("math500", "aime24"):
        told = answer["tasks"][name]
        assert (told["checkpoint"], told["samples"], told["base"]["samples"]) == ("checkpoint-1", 2, 2)
        assert told["paired"]["estimate"] == pytest.approx(told["value"] - told["base"]["value"])
        assert told["paired"]["p_holm"] >= told["paired"]["p_value"]
        assert told["protocol"]["max_new_tokens"] == 6
        assert (told["paired"]["claims"], told["paired"]["scope"]) == (3, "this run")
    mean = answer["macro"]
    assert mean.keys() - answer["macro_base"].keys() == {"room", "paired"}
    assert mean["paired"]["estimate"] == pytest.approx(mean["value"] - answer["macro_base"]["value"])
    text = oneshot(*words).out
    assert all(len(line) <= 80 for line in text.splitlines()), text
    assert "base, mean of 2 tasks, equal weight: " in text


def test_quiet(oneshot: OneShot, tiny: Path, data: Path) -> None:
    told = oneshot("eval", tiny, "--tasks", "math500", "--data-dir", data, *QUICK, "--json", "--quiet")
    assert (told.code, told.err) == (0, "")
    assert told.json["n"] == 6
