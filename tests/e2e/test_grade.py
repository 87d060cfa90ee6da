"""`oneshot grade`: verdicts in the input's order, a summary, and what a bad row leaves behind."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from oneshot.rollout.collect import graded
from oneshot.stages import graders
from oneshot.types import Verdict
from tests.e2e.conftest import OneShot, write_pool

BOX = r"so it is \boxed{%s}."
ROWS: list[dict[str, Any]] = [
    {"gold": "12.8", "response": BOX % "12.8", "id": "a", "expected": True},
    {"answer": 12, "completion": BOX % "13", "id": 7, "expected": False},
    {"gold": "5", "response": "no box: 5", "expected": True},
    {"gold": "", "response": BOX % "", "expected": False},
    {"gold": "5", "response": BOX % "5", "expected": False},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_pool(tmp_path / "rows.jsonl", ROWS)


def verdicts(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_one_verdict_a_line_in_the_inputs_order_and_a_summary_on_stderr(oneshot: OneShot, file: Path) -> None:
    told = oneshot("grade", file, "--json")
    assert told.code == 0, told.err
    found = verdicts(told.out)
    assert [v["row"] for v in found] == [1, 2, 3, 4, 5]
    assert [v["correct"] for v in found] == [True, False, False, False, True]
    assert [v["status"] for v in found] == ["ok", "ok", "no_answer", "empty", "ok"]
    assert [v["extracted"] for v in found][:3] == ["12.8", "13", None]
    assert [v.get("id") for v in found] == ["a", 7, None, None, None]
    assert all(v.keys() - {"id"} >= {"row", "correct", "extracted", "method", "status", "seconds"} for v in found)
    assert all(v["seconds"] >= 0 and "score" not in v for v in found)
    lines = dict(line.split(maxsplit=1) for line in told.err.splitlines())
    assert lines["grader"] == "math"
    assert lines["right"] == "2 of 5 = 40.0%, 95 % interval 11.8% to 76.9%"
    assert lines["status"] == "ok 3, no_answer 1, empty 1"
    assert lines["agreement"] == "3 of 5 with `expected`; 1 false accepts, 1 false refusals (rows 3, 5)"
    assert lines["slowest"].startswith("row ")
    assert lines["speed"].endswith(" rows/s")


def test_without_json_the_summary_is_the_output(oneshot: OneShot, file: Path) -> None:
    told = oneshot("grade", file, "--grader", "exact")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("grader      exact\nright       0 of 5")
    assert oneshot("grade", file, "--json", "--quiet").err == ""


def test_standard_input(oneshot: OneShot, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    piped = verdicts(oneshot("grade", "-", "--json").out)
    read = verdicts(oneshot("grade", file, "--json").out)
    assert [{**v, "seconds": 0} for v in piped] == [{**v, "seconds": 0} for v in read]


def test_a_bad_row_ends_it_after_the_rows_before_it(oneshot: OneShot, tmp_path: Path) -> None:
    file = write_pool(tmp_path / "rows.jsonl", [*ROWS[:2], {"gold": "1"}, *ROWS[2:]])
    told = oneshot("grade", file, "--json")
    assert told.code == 4
    *found, error = verdicts(told.out)
    assert [v["row"] for v in found] == [1, 2]
    assert (error["schema"], error["code"], error["exit_code"]) == ("oneshot.error/1", "E301", 4)
    assert f"E301 {file}, line 3: no response. It is read from one of: response, completion.\n  try: {{" in told.err
    assert "  The 2 rows before it were graded.\n" in told.err
    assert "right       1 of 2" in told.err
    text = oneshot("grade", file)
    assert (text.code, text.out.splitlines()[1]) == (4, "right       1 of 2 = 50.0%, 95 % interval 9.5% to 90.5%")


def test_a_bad_first_row_and_no_rows(oneshot: OneShot, tmp_path: Path) -> None:
    for text, said in (("[]\n", "line 1: the line is a JSON list"), ("\n", "holds no rows")):
        (tmp_path / "rows.jsonl").write_text(text, "utf-8")
        told = oneshot("grade", tmp_path / "rows.jsonl")
        assert (told.code, told.out) == (4, "")
        assert said in told.err
        assert "No row was graded." in told.err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("missing.jsonl",), 2, "E106 missing.jsonl cannot be read: No such file or directory."),
        (("FILE", "--grader", "boxed"), 2, "E102 the grader 'boxed' is called 'math' now.\n  try: --grader math\n"),
        (("FILE", "--grader", "final-number"), 2, "E102 the grader 'final-number' is called 'number' now."),
        (("FILE", "--grader", "maths"), 2, "Did you mean 'math'?"),
        (("FILE", "--grader", "nowhere.py:score"), 2, "nowhere.py"),
        (("FILE", "--fail-under", "t=0.5"), 2, "E103 --fail-under t=0.5: oneshot grade has one task"),
        (("FILE", "--steps", "3"), 2, "E101 oneshot grade does not use --steps."),
        ((), 2, "E103 oneshot grade needs FILE.jsonl."),
    ],
)
def test_wrong_requests(oneshot: OneShot, file: Path, words: Sequence[str], code: int, told: str) -> None:
    found = oneshot("grade", *(file if word == "FILE" else word for word in words))
    assert (found.code, found.out) == (code, "")
    assert told in found.err


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(("least", "code"), [("0.4", 0), ("0.41", 6)])
def test_fail_under(oneshot: OneShot, file: Path, least: str, code: int, as_json: bool) -> None:
    told = oneshot("grade", file, "--fail-under", least, *(["--json"] if as_json else []))
    assert told.code == code
    assert ("E601 0.4000 of the responses are right" in told.err) == (code == 6)
    if as_json:
        assert len(verdicts(told.out)) == 5  # verdicts and nothing else


class Half:
    """What a user's function looks like to the stages: a score, and failures that must stop the work."""

    name, fatal, convention = "half.py:score", True, "plain"

    def __call__(self, response: str, reference: str) -> Verdict:
        if response == "fail":
            said = "half.py:score (plain convention) raised ValueError: no\x1b[2J"
            return Verdict(correct=False, extracted=None, method="plain", status="error", score=0.0, message=said)
        return Verdict(correct=False, extracted=None, method="plain", score=0.5)


def test_a_users_function(oneshot: OneShot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graders, "build_verifier", lambda name, timeout: Half())
    file = write_pool(tmp_path / "rows.jsonl", [{"gold": "1", "response": text} for text in ("a", "fail", "b")])
    told = oneshot("grade", file, "--grader", "half.py:score", "--json")
    assert told.code == 4
    first, error = verdicts(told.out)
    assert (first["score"], first["correct"]) == (0.5, False)
    assert error["code"] == "E305"
    assert f"{file}, line 2 (status error): half.py:score (plain convention) raised ValueError" in told.err
    assert "\x1b" not in told.err
    assert "convention  plain" in told.err
    assert "mean score  0.5000" in told.err
    assert "try: oneshot check half.py:score" in told.err


def test_a_failure_of_a_grader_of_ours_counts_as_wrong() -> None:
    class Ours(Half):
        fatal = False

    assert graded(Ours(), "fail", "1", "here").status == "error"


def test_a_closed_pipe_is_no_error_of_ours(tmp_path: Path, root: Path) -> None:
    file = write_pool(tmp_path / "rows.jsonl", ROWS * 4000)
    command = f"{sys.executable} -m oneshot grade {file} --json | head -2; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=root)
    *found, status = done.stdout.splitlines()
    assert [json.loads(line)["row"] for line in found] == [1, 2]
    assert status == "141"
    assert "Traceback" not in done.stderr
    assert "E106" not in done.stderr


def test_a_function_of_a_file(oneshot: OneShot, tmp_path: Path) -> None:
    code = (
        "def score(solution_str, ground_truth):\n"
        "    print('noise')\n"
        "    return float('nan') if solution_str == 'bad' else 0.5 + 0.5 * (ground_truth in solution_str)\n"
    )
    (tmp_path / "mine.py").write_text(code, "utf-8")
    rows = [{"gold": "5", "response": text} for text in ("it is 5", "it is 6")]
    file = write_pool(tmp_path / "rows.jsonl", rows)
    told = oneshot("grade", file, "--grader", f"{tmp_path / 'mine.py'}:score", "--json")
    assert told.code == 0, told.err
    assert [(v["correct"], v["score"]) for v in verdicts(told.out)] == [(True, 1.0), (False, 0.5)]
    assert "convention  verl" in told.err
    write_pool(file, [*rows, {"gold": "5", "response": "bad"}])
    told = oneshot("grade", file, "--grader", f"{tmp_path / 'mine.py'}:score")
    assert told.code == 4
    assert f"E305 the reward failed at {file}, line 3 (status error): " in told.err
    assert "returned nan" in told.err
    missing = oneshot("grade", file, "--grader", f"{tmp_path / 'mine.py'}:scor")
    assert missing.code == 4
    assert "E305" in missing.err
    assert "Did you mean 'score'?" in missing.err
