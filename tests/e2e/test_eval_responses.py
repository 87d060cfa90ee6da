"""`oneshot eval --responses`: stored outputs of any system graded as a task's answers, without a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oneshot.errors import DataError
from oneshot.measure.statistics import wilson
from oneshot.record import EvalFolder
from oneshot.rewards.version import grader_version
from oneshot.stages.evals import stored_outputs
from tests.e2e.conftest import OneShot, write_pool


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [
        {"id": f"t/{i}.json", "problem": f"{i} + 1?", "answer": str(i + 1), "subject": f"s{i % 2}"} for i in range(10)
    ]
    write_pool(folder / "math500.jsonl", rows)
    write_pool(folder / "aime24.jsonl", [{"id": str(i), "problem": f"{i}?", "answer": str(i)} for i in range(4)])
    return folder


def boxed(i: int, answer: int, **more: Any) -> dict[str, Any]:
    return {"id": f"t/{i}.json", "response": rf"So it is \boxed{{{answer}}}.", **more}


def test_the_numbers(oneshot: OneShot, data: Path, tmp_path: Path) -> None:
    rows = [boxed(i, i + 1 if i < 7 else 0) for i in range(9)]
    rows.append({"id": "t/9.json", "response": "The answer is 10."})
    out = write_pool(tmp_path / "out.jsonl", rows)
    told = oneshot("eval", "--responses", out, "--tasks", "math500", "--data-dir", data, "--json")
    assert told.code == 0, told.err
    answer = told.json
    expected = wilson(8, 10)
    assert answer["schema"] == "oneshot.eval/2"
    assert (answer["correct"], answer["n"], answer["value"]) == (8, 10, 0.8)
    assert (answer["ci_low"], answer["ci_high"]) == (expected.low, expected.high)
    assert answer["tasks"]["math500"]["correct"] == 8
    assert answer["tasks"]["math500"]["responses"] == 10
    assert (answer["strict"]["value"], answer["lenient"]["value"]) == (0.7, 0.8)
    assert (answer["missing"], answer["cut"], answer["mean_tokens"]) == (0, None, None)
    assert answer["responses_file"] == str(out)
    assert "folder" not in answer
    text = oneshot("eval", "--responses", out, "--tasks", "math500", "--data-dir", data)
    assert text.out.startswith("math500: 8 of 10 = 80.0%, 95 % interval 49.0% to 94.3%\n")
    assert all(len(line) <= 80 for line in text.out.splitlines())
    assert list(tmp_path.joinpath("work").iterdir()) == []  # nothing is written


def test_several_responses_and_missing_problems(oneshot: OneShot, data: Path, tmp_path: Path) -> None:
    right = {0: (1, 1, 0), 1: (0, 0, 0), 2: (1, 1, 1)}
    rows = [
        boxed(i, i + 1 if good else 99, tokens=10 * (i + 1), cut=not good)
        for i, grades in right.items()
        for good in grades
    ]
    out = write_pool(tmp_path / "out.jsonl", rows)
    words = ("eval", "--responses", out, "--tasks", "math500", "--data-dir", data)
    told = oneshot(*words, "--json")
    answer = told.json
    assert (answer["correct"], answer["n"], answer["samples"], answer["missing"]) == (5, 3, 3, 7)
    assert answer["value"] == pytest.approx(5 / 9)
    assert answer["pass_at_k"]["1"]["estimate"] == pytest.approx(5 / 9)
    assert answer["pass_at_k"]["3"]["estimate"] == pytest.approx(2 / 3)
    assert answer["pass_at_k"]["2"]["estimate"] == pytest.approx(2 / 3)  # 1 - C(1,2)/C(3,2) is 1 for two right of three
    assert (answer["mean_tokens"], answer["cut"]) == (20.0, pytest.approx(4 / 9))
    assert "warning: math500: 7 of 10 problems have no response and are not in n: t/3.json, t/4.json, " in told.err
    text = oneshot(*words).out
    assert "7 problems have no response and are not counted; 16.7% with them as wrong" in text
    assert answer["value_missing_wrong"] == pytest.approx(5 / 9 * 3 / 10)
    short = oneshot(*words, "--k", "4")
    assert short.code == 2
    assert "E103 --k 4 needs 4 responses to each problem, and math500 has one with 3." in short.err
    limited = oneshot(*words, "--limit", "2", "--json")
    assert (limited.json["n"], limited.json["missing"], limited.json["correct"]) == (2, 0, 2)
    assert "math500: 3 responses belong to problems beyond --limit and are left out" in limited.err


def test_a_threshold_counts_missing_problems_as_wrong(oneshot: OneShot, data: Path, tmp_path: Path) -> None:
    out = write_pool(tmp_path / "out.jsonl", [boxed(0, 1)])
    words = ("eval", "--responses", out, "--tasks", "math500", "--data-dir", data)
    told = oneshot(*words, "--fail-under", "math500=0.66", "--json")
    assert told.code == 6
    assert (told.json["value"], told.json["value_missing_wrong"], told.json["passed"]) == (1.0, 0.1, False)
    assert (
        "E601 math500: value 1.000 on 1 answered; 0.100 with the 9 missing as wrong, which is below --fail-under 0.66."
    ) in told.err
    assert oneshot(*words, "--fail-under", "0.1").code == 0


def test_the_graders_version_is_recorded(oneshot: OneShot, data: Path, tmp_path: Path) -> None:
    out = write_pool(tmp_path / "out.jsonl", [boxed(i, i + 1) for i in range(10)])
    protocol = oneshot("eval", "--responses", out, "--tasks", "math500", "--data-dir", data, "--json").json["protocol"]
    assert (protocol["kind"], protocol["grader_version"]) == ("generate", grader_version("math-lenient"))


def test_several_tasks_in_one_file(oneshot: OneShot, data: Path, tmp_path: Path) -> None:
    rows = [boxed(i, i + 1, task="math500") for i in range(10)]
    rows += [{"task": "aime24", "id": i, "response": rf"\boxed{{{i * (i % 2)}}}"} for i in range(4)]
    out = write_pool(tmp_path / "out.jsonl", rows)
    words = ("eval", "--responses", out, "--tasks", "aime24,math500", "--data-dir", data)
    answer = oneshot(*words, "--json").json
    assert {name: (part["correct"], part["n"]) for name, part in answer["tasks"].items()} == {
        "aime24": (3, 4),
        "math500": (10, 10),
    }
    assert answer["macro"]["value"] == pytest.approx((0.75 + 1) / 2)
    told = oneshot(*words, "--fail-under", "aime24=0.8")
    assert told.code == 6
    assert "E601 aime24: 0.7500 is below --fail-under 0.8." in told.err
    assert oneshot(*words, "--fail-under", "0.75").code == 0
    told = oneshot("eval", "--responses", out, "--tasks", "math500", "--data-dir", data)
    assert told.code == 4
    assert "line 11: the task 'aime24' is not graded here. Graded are: math500." in told.err


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "t/11.json", "response": "x"}, "line 2: math500 has no problem 't/11.json'. Did you mean 't/1"),
        ({"id": "t/0.json", "response": "x", "sample": 0}, "is there already, in line 1."),
        ({"id": "t/1.json"}, "line 2: no response."),
    ],
)
def test_a_bad_row(oneshot: OneShot, data: Path, tmp_path: Path, row: dict[str, Any], said: str) -> None:
    out = write_pool(tmp_path / "out.jsonl", [boxed(0, 1), row])
    told = oneshot("eval", "--responses", out, "--tasks", "math500", "--data-dir", data, "--out", tmp_path / "there")
    assert told.code == 4
    assert told.err.splitlines()[-4 if "note" in told.err else 0].startswith(("E301", "note"))
    assert said in told.err
    assert "Nothing was graded." in told.err
    assert not (tmp_path / "there").exists()


def test_a_file_of_problems_and_a_folder_of_results(oneshot: OneShot, tmp_path: Path) -> None:
    held = write_pool(tmp_path / "held.jsonl", [{"id": i, "prompt": f"{i}?", "answer": str(i)} for i in range(4)])
    out = write_pool(tmp_path / "out.jsonl", [{"id": i, "response": f"it is {i % 3}"} for i in range(4)])
    words = ("eval", "--responses", out, "--data", held, "--reward", "number", "--out", tmp_path / "there", "--json")
    answer = oneshot(*words).json
    assert (answer["correct"], answer["n"], answer["grader"]) == (3, 4, "number")
    folder = EvalFolder.find(tmp_path / "there")
    assert folder is not None
    ((task, checkpoint),) = folder.evals()
    results, rows = folder.read_eval(task, checkpoint)
    assert (results["value"], [row.correct for row in rows]) == (0.75, [True, True, True, False])
    assert results["protocol"]["responses"] == answer["sha256"]
    write_pool(out, [{"id": i, "response": "0"} for i in range(4)])
    told = oneshot(*words)
    assert told.code == 2
    assert "holds evaluations of another model: its responses is" in told.err


@pytest.mark.parametrize(("raised", "code"), [(DataError("broken.", code="E305"), 4), (KeyboardInterrupt(), 130)])
def test_what_was_graded_before_an_error_is_printed(
    oneshot: OneShot, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int
) -> None:
    measure = stored_outputs._measure

    def failing(asked: Any, *more: Any) -> Any:
        if asked.task.name == "aime24":
            raise raised
        return measure(asked, *more)

    monkeypatch.setattr(stored_outputs, "_measure", failing)
    rows = [boxed(i, i + 1, task="math500") for i in range(10)]
    out = write_pool(tmp_path / "out.jsonl", [*rows, {"task": "aime24", "id": 0, "response": "0"}])
    words = ("eval", "--responses", out, "--data-dir", data)
    told = oneshot(*words, "--tasks", "math500,aime24", "--json")
    assert told.code == code
    assert {name: task["correct"] for name, task in told.json["tasks"].items()} == {"math500": 10}
    assert told.json["failed"].keys() == {"aime24"}
    assert "Nothing was" not in told.err
    assert "math500: 10 of 10" in oneshot(*words, "--tasks", "math500,aime24").out
    write_pool(out, [{"id": 0, "response": "0"}])
    alone = oneshot(*words, "--tasks", "aime24")
    assert (alone.code, alone.out) == (code, "")


def test_what_the_file_system_refuses_is_said(oneshot: OneShot, data: Path, tmp_path: Path) -> None:
    out = write_pool(tmp_path / "out.jsonl", [boxed(0, 1)])
    words = ("--tasks", "math500", "--data-dir", data)
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / ("n" * 300), tmp_path / "file" / "below"):
        told = oneshot("eval", "--responses", out, *words, "--out", folder)
        assert (told.code, "Traceback" in told.err) == (2, False)
        assert "E104 " in told.err, told.err
        assert str(folder)[:60] in told.err
        assert "try: " in told.err
    told = oneshot("eval", "--responses", "n" * 300, *words)
    assert told.code == 2
    assert "E106 a file cannot be used: nnn" in told.err
    assert "file name too long" in told.err


def test_no_torch_is_loaded(data: Path, tmp_path: Path, root: Path) -> None:
    out = write_pool(tmp_path / "out.jsonl", [boxed(i, i + 1) for i in range(10)])
    words = ["eval", "--responses", str(out), "--tasks", "math500", "--data-dir", str(data), "--json", "--quiet"]
    code = (
        "import sys; from oneshot.cli.main import main\n"
        f"code = main({words!r})\n"
        "print(code, sorted({'torch', 'transformers', 'datasets'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["correct"] == 10
    assert done.stderr.strip() == "0 []"


def test_the_references_of_the_benchmarks_are_right_answers(
    oneshot: OneShot, tmp_path: Path, shared_data: Path
) -> None:
    """AIME24 and AIME25 as they are: every reference, boxed, is right; their ids may stand as in the files."""
    for task in ("aime24", "aime25"):
        lines = (shared_data / "benchmarks" / f"{task}.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        responses = [{"id": row["id"], "response": rf"\boxed{{{row['answer']}}}"} for row in rows]
        out = write_pool(tmp_path / f"{task}.jsonl", responses)
        words = ("--responses", out, "--tasks", task, "--data-dir", shared_data / "benchmarks", "--json")
        told = oneshot("eval", *words)
        assert (told.json["correct"], told.json["n"], told.json["missing"]) == (30, 30, 0)
        assert told.err == ""
