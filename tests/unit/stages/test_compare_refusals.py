"""What `oneshot compare` refuses, with which code, and the line that leads out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.record import RunFolder
from oneshot.stages.comparing.match import WORDS
from tests.unit.stages.comparing import folder, put, response, responses, run

Refused = Callable[..., dict[str, Any]]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """The error object of a comparison that is refused."""
    monkeypatch.chdir(tmp_path)

    def go(*words: object) -> dict[str, Any]:
        code = main(["compare", *map(str, words), "--json"])
        told = capsys.readouterr()
        found: dict[str, Any] = json.loads(told.out)
        assert code == found["exit_code"] == 2 and found["schema"] == "oneshot.error/1", told.err
        return found

    return go


def two(task: str = "math500", **second: Any) -> tuple[RunFolder, RunFolder]:
    """Two runs evaluated after step 4; the protocol of the second differs as said."""
    one, other = run(Path("runs"), "one"), run(Path("runs"), "other")
    put(one, task, "checkpoint-4", "0011")
    put(other, task, "checkpoint-4", "0111", **second)
    return one, other


def test_no_such_run(refused: Refused) -> None:
    assert refused("runs/none")["code"] == "E104"
    assert refused("runs/none:base", "latest")["code"] == "E104"
    Path("empty").mkdir()
    assert refused("empty", "empty:base")["code"] == "E104"


def test_nothing_evaluated(refused: Refused) -> None:
    one = run(Path("runs"))
    found = refused(one.path)
    assert found["code"] == "E106" and "holds no evaluation" in found["message"]
    assert found["tries"] == [f"oneshot eval {one.path} --tasks TASK"]


def test_only_base_or_no_base(refused: Refused) -> None:
    one = run(Path("runs"))
    put(one, "math500", "base", "01")
    assert "nothing to compare it with" in refused(one.path)["message"]
    other = run(Path("runs"))
    put(other, "math500", "checkpoint-4", "01")
    found = refused(other.path)
    assert found["code"] == "E106" and "base model of" in found["message"]
    assert found["tries"][0] == f"oneshot eval {other.path} --tasks TASK"


def test_no_such_checkpoint(refused: Refused) -> None:
    one, _ = two()
    found = refused(f"{one.path}:checkpoint-5", one.path)
    assert found["code"] == "E102" and "Did you mean 'checkpoint-4'" in found["message"]


@pytest.mark.parametrize("words", [("A", "A"), ("A", "A:checkpoint-4"), ("A,A", "B,B")])
def test_the_same_twice(refused: Refused, words: tuple[str, ...]) -> None:
    one, other = two()
    typed = [word.replace("A", str(one.path)).replace("B", str(other.path)) for word in words]
    found = refused(*typed)
    assert found["code"] == "E103" and "named twice" in found["message"]


def test_arms_of_unequal_numbers_of_runs(refused: Refused) -> None:
    one, other = two()
    put(other, "math500", "base", "0000")
    found = refused(one.path, f"{other.path},{other.path}:base")
    assert found["code"] == "E103" and "1 runs and arm B 2" in found["message"]
    assert refused(",", other.path)["code"] == "E103"


def test_more_arms_than_letters(refused: Refused) -> None:
    one = run(Path("runs"))
    for step in range(1, 29):
        put(one, "math500", f"checkpoint-{step}", "0011")
    found = refused(*(f"{one.path}:checkpoint-{step}" for step in range(1, 29)))
    assert found["code"] == "E103" and "there are 28 arms" in found["message"]


def test_no_common_task(refused: Refused) -> None:
    one, other = two()
    third = run(Path("runs"), "third")
    put(third, "gsm8k", "checkpoint-4", "01")
    found = refused(one.path, third.path)
    assert found["code"] == "E103" and "no task on which all were evaluated" in found["message"]
    assert found["tries"] == [f"oneshot eval {one.path} --tasks gsm8k", f"oneshot eval {third.path} --tasks math500"]
    found = refused(one.path, other.path, "--tasks", "math50")
    assert found["code"] == "E102" and "Did you mean 'math500'" in found["message"]
    assert refused(one.path, other.path, "--tasks", ",")["code"] == "E103"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dtype": "bfloat16"}, "dtype 'float32' and 'bfloat16'"),
        ({"prompt": "<user>1 + 1? Think."}, "prompt of the first problem"),
        ({"max_new_tokens": 128}, "response limit 64 and 128"),
        ({"temperature": 0.6}, "temperature 0.0 and 0.6"),
        ({"grader": "math"}, "grader 'math-lenient' and 'math'"),
        ({"grader_version": "g2"}, "Recorded responses are only graded again."),
        ({"data": {"digest": "d2", "limit": 0}}, "data 'd math500' and 'd2'"),
        ({"suffix": "Think."}, "suffix '' and 'Think.'"),
    ],
)
def test_measured_differently(
    refused: Refused, capsys: pytest.CaptureFixture[str], change: dict[str, Any], says: str
) -> None:
    one, other = two(**change)
    found = refused(one.path, other.path)
    assert found["code"] == "E105" and says in found["message"]
    assert found["tries"] == [
        f"oneshot eval {one.path} --tasks math500", f"oneshot eval {other.path} --tasks math500", "--allow-different",
    ]  # fmt: skip
    assert main(["compare", str(one.path), str(other.path), "--allow-different", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["tasks"]["math500"]["different"]) == 1
    assert main(["compare", str(one.path), str(other.path), "--allow-different"]) == 0
    assert "warning: math500 was measured differently" in capsys.readouterr().out


@pytest.mark.usefixtures("refused")
def test_what_is_recorded_once_is_told_and_seeds_may_differ(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = two(seed=7, model="other", weights="bbbb", revision="x")
    rows = responses("0111")
    other.write_eval("math500", "checkpoint-4", {"protocol": {"dtype": "float32"}}, rows)
    assert main(["compare", str(one.path), str(other.path), "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any("response limit" in note and "not recorded by both" in note for note in notes)


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("key", ["prompt", "grader_version", "data"])
def test_what_neither_side_recorded_is_told(capsys: pytest.CaptureFixture[str], key: str) -> None:
    one, other = two()
    for store in (one, other):
        results, rows = store.read_eval("math500", "checkpoint-4")
        del results["protocol"][key]
        store.write_eval("math500", "checkpoint-4", results, rows)
    assert main(["compare", str(one.path), str(other.path), "--json"]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert WORDS.get(key, key) in note and "not recorded by both of A and B" in note


def test_a_task_under_another_protocol_has_another_folder(refused: Refused, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = run(Path("runs"), "one"), run(Path("runs"), "other")
    put(one, "math500", "checkpoint-4", "0011")
    put(other, "math500-0123abcd", "checkpoint-4", "0111", max_new_tokens=128)
    for words in ((one.path, other.path), (one.path, other.path, "--tasks", "math500")):
        found = refused(*words)
        assert found["code"] == "E105" and "response limit 64 and 128" in found["message"]
    assert main(["compare", str(one.path), str(other.path), "--allow-different", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"]["math500"]["comparisons"]["B"]["paired"]["estimate"] == 0.25
    put(one, "gsm8k", "checkpoint-4", "0011")
    put(other, "gsm8k", "checkpoint-4", "0111")
    assert main(["compare", str(one.path), str(other.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["tasks"]) == ["gsm8k"] and any("math500 was measured otherwise" in note for note in told["notes"])


def test_a_name_that_stands_for_several_ways(refused: Refused) -> None:
    one, other = run(Path("runs"), "one"), run(Path("runs"), "other")
    for store in (one, other):
        for name in ("math500-0123abcd", "math500-4567abcd"):
            put(store, name, "checkpoint-4", "0011")
    found = refused(one.path, other.path, "--tasks", "math500")
    assert found["code"] == "E103" and "several ways" in found["message"]
    assert found["tries"] == ["--tasks math500-0123abcd", "--tasks math500-4567abcd"]


def test_a_limited_evaluation_against_a_whole_one(refused: Refused) -> None:
    one, other = run(Path("runs"), "one"), folder(Path("eval-other"), model="org/other")
    put(one, "math500", "checkpoint-4", "0011")
    put(other, "math500-0123abcd", "base", "01", data={"digest": "d1", "limit": 2})
    found = refused(one.path, "eval-other", "--allow-different", "--tasks", "math500")
    assert found["code"] == "E103"
    assert "4 and 2; 2 only in" in found["message"] and "evaluate both alike" in found["message"]
    assert found["tries"] == [
        "oneshot eval org/other --tasks math500 --out eval-other", f"oneshot eval {one.path} --tasks math500 --limit 2",
    ]  # fmt: skip


def test_other_reference_answers(refused: Refused) -> None:
    one, other = two()
    rows = [response(f"p{i}", "1") for i in range(4)]
    put(other, "math500", "checkpoint-4", [*rows[:3], type(rows[3])(**{**rows[3].__dict__, "answer": "9"})])
    found = refused(one.path, other.path)
    assert found["code"] == "E103" and "another reference answer" in found["message"]


def test_damaged_files(refused: Refused) -> None:
    one, other = two()
    path = other.eval_dir("math500", "checkpoint-4") / "samples.jsonl.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    assert refused(one.path, other.path)["code"] == "E106"
    path.write_bytes(gzip.compress(b'{"id": "p0", "category": ""}\n'))
    found = refused(one.path, other.path)
    assert found["code"] == "E106" and "damaged" in found["message"]
    path.unlink()
    assert refused(one.path, other.path)["code"] == "E106"
    path.write_bytes(whole)
    for damaged in ("{", "{}", "[]"):
        (path.parent / "results.json").write_text(damaged)
        assert refused(one.path, other.path)["code"] == "E106"


def test_a_format_only_run_that_is_not_there(refused: Refused) -> None:
    one, other = two()
    assert refused(one.path, other.path, "--format-only", "runs/none")["code"] == "E104"


def test_words(refused: Refused) -> None:
    assert "needs A" in refused()["message"]
