"""`oneshot rollouts`: which responses are shown, how, and that none of them acts."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.record import RunFolder
from oneshot.stages.rollouts import choose, flip_of
from oneshot.stages.watching.rollouts_choose import ranges
from oneshot.stages.watching.rollouts_read import Response, training
from oneshot.types import EvalRow
from tests.unit.stages.watching import flat, group, running

Told = Callable[..., tuple[int, str, str]]


def row(number: int, right: bool, response: str, *, sample: int = 0) -> EvalRow:
    return EvalRow(
        id=f"p{number}", category="", prompt=f"question {number}", answer="7", response=response,
        extracted="7" if right else "8", correct=right, status="ok", cut=False, tokens=9, sample=sample,
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Three steps of four responses, one of them right; two evaluations, one with a hash."""
    made = running(tmp_path)
    base = [row(0, False, "it is 8"), row(1, True, "it is 7"), row(2, True, "so 7")]
    made.write_eval("dev", "base", {}, base)
    made.write_eval("dev", "checkpoint-3", {}, [row(2, False, "now 8"), row(0, True, "now 7"), row(1, True, "7 again")])
    made.write_eval("math500-1234abcd", "base", {}, base)
    return made


@pytest.fixture
def rollouts(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> Told:
    """`rollouts(*words)`: status, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        code = main(["rollouts", str(run.path), *words])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, told.out, told.err

    return call


def as_json(rollouts: Told, *words: str) -> dict[str, Any]:
    code, out, err = rollouts(*words, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    assert found["schema"] == "oneshot.rollouts/1"
    return found


def test_the_last_step_is_listed(rollouts: Told) -> None:
    code, out, err = rollouts()
    assert code == 0
    assert out.startswith("step 2\n")
    assert "wrong  group 0, sample 0  3 tokens  answer 4" in out
    assert "right  group 1, sample 1  3 tokens  CUT at the limit  answer 5" in out
    assert out.count("What is 2 + 3?") == 2  # once a problem, not once a response
    assert err == "4 responses, 1 of them right; shown: all 4\n"


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        ((), [2]),
        (("--step", "first"), [0]),
        (("--step", "0-1"), [0, 1]),
        (("--step", "1..9"), [1, 2]),
        (("--step", "2,0"), [2, 0]),
        (("--step", "all"), [0, 1, 2]),
        (("--step", "all,1"), [0, 1, 2]),
    ],
)
def test_steps(rollouts: Told, words: tuple[str, ...], steps: list[int]) -> None:
    found = as_json(rollouts, *words, "--n", "99")
    assert found["steps"] == steps
    assert [r["where"] for r in found["rows"]] == [f"step {step}" for step in steps for _ in range(4)]


@pytest.mark.parametrize(
    ("words", "places"),
    [
        (("--right",), ["group 1, sample 1"]),
        (("--wrong", "--n", "2"), ["group 0, sample 0", "group 0, sample 1"]),
        (("--id", "e1"), ["group 1, sample 0", "group 1, sample 1"]),
        (("--grep", "IT IS 5"), ["group 1, sample 1"]),
        (("--grep", "nothing of it"), []),
    ],
)
def test_filters(rollouts: Told, words: tuple[str, ...], places: list[str]) -> None:
    assert [r["place"] for r in as_json(rollouts, *words)["rows"]] == places


def test_what_is_not_shown_is_counted(rollouts: Told) -> None:
    head = "4 responses, 1 of them right; shown: "
    assert rollouts("--wrong", "--n", "2")[2] == f"{head}2 of the 3 that fit the flags (--n 3 shows all)\n"
    assert rollouts("--wrong")[2] == f"{head}all 3 that fit the flags\n"
    assert rollouts("--grep", "nothing of it")[2] == f"{head}none that fit the flags\n"
    found = as_json(rollouts, "--wrong", "--n", "2")
    assert (found["read"], found["right"], found["matching"], len(found["rows"])) == (4, 1, 3, 2)


def test_an_evaluation_by_its_short_name(rollouts: Told) -> None:
    found = as_json(rollouts, "--task", "math500")
    assert (found["task"], found["checkpoint"]) == ("math500-1234abcd", "base")
    found = as_json(rollouts, "--checkpoint", "3", "--right")
    assert (found["task"], found["checkpoint"], [r["id"] for r in found["rows"]]) == (
        "dev",
        "checkpoint-3",
        ["p0", "p1"],
    )
    assert found["rows"][0]["reward"] is None


def test_two_checkpoints_on_the_same_problems(rollouts: Told) -> None:
    found = as_json(rollouts, "--diff", "base,last", "--task", "dev")
    assert [(r["first"]["id"], r["flip"]) for r in found["rows"]] == [("p0", "gained"), ("p1", "right"), ("p2", "lost")]
    assert [r["second"]["text"] for r in found["rows"]] == ["now 7", "7 again", "now 8"]
    assert [r["flip"] for r in as_json(rollouts, "--flipped")["rows"]] == ["gained", "lost"]
    assert [r["flip"] for r in as_json(rollouts, "--diff", "base,3", "--wrong")["rows"]] == ["lost"]
    assert [r["flip"] for r in as_json(rollouts, "--diff", "3,base")["rows"]] == ["gained", "lost", "right"]
    assert [r["first"]["id"] for r in as_json(rollouts, "--diff", "base,3", "--grep", "again")["rows"]] == ["p1"]
    assert as_json(rollouts, "--flipped")["flips"] == {"gained": 1, "lost": 1, "wrong": 0, "right": 1, "ungraded": 0}


def test_how_many_flipped_which_way_is_said(run: RunFolder, rollouts: Told) -> None:
    ways = (
        "3 problems that both answered: 1 wrong with base and right with checkpoint-3, "
        "1 right with base and wrong with checkpoint-3, 1 right with both\n"
    )
    code, out, err = rollouts("--flipped", "--n", "1")
    assert (code, err) == (0, f"{ways}shown: 1 of the 2 that turned (--n 2 shows all)\n")
    assert rollouts("--flipped")[2] == f"{ways}shown: all 2 that turned\n"
    assert rollouts("--flipped", "--id", "p0")[2] == f"{ways}shown: all 1 that turned and fit the other flags\n"
    assert rollouts("--diff", "base,3", "--wrong")[2] == f"{ways}shown: all 1 that fit the flags\n"
    assert rollouts("--diff", "base,3")[2] == f"{ways}shown: all 3\n"
    # Two samples a problem, and nothing turned.
    rows = [row(0, False, "8", sample=sample) for sample in range(2)]
    for name in ("base", "checkpoint-3"):
        run.write_eval("dev", name, {}, rows)
    told = (
        "2 pairs of responses to 1 problem that both answered: 0 wrong with base and right with checkpoint-3, "
        "0 right with base and wrong with checkpoint-3, 2 wrong with both\nshown: none that turned\n"
    )
    assert rollouts("--flipped", "--task", "dev")[2] == told
    assert flat(out).startswith("dev: base and checkpoint-3 on the same problems p0 reference 7")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--step", "9"), "E106", "recorded are 0 to 2"),
        (("--step", "-1"), "E103", "is no step"),
        (("--step", "a"), "E103", "is no step"),
        (("--n", "0"), "E103", "whole number from 1"),
        (("--n", "x"), "E103", "whole number from 1"),
        (("--right", "--wrong"), "E105", "exclude each other"),
        (("--step", "1", "--task", "dev"), "E105", "--task evaluated ones"),
        (("--task", "deev"), "E102", "Did you mean 'dev'"),
        (("--task", "dev", "--checkpoint", "9"), "E106", "there is base, checkpoint-3"),
        (("--diff", "base"), "E103", "two checkpoints"),
        (("--diff", "base,7"), "E106", "no task was read with base and checkpoint-7"),
        (("--diff", "base,3", "--checkpoint", "3"), "E105", "leave --checkpoint out"),
        (("--flipped", "--task", "math500"), "E103", "cannot be compared with itself"),
    ],
)
def test_what_cannot_be_shown(rollouts: Told, words: tuple[str, ...], code: str, said: str) -> None:
    status, out, err = rollouts(*words)
    assert (status, out) == (2, "")
    assert err.startswith(code)
    assert said in err


def test_a_name_with_two_meanings(run: RunFolder, rollouts: Told) -> None:
    run.write_eval("math500-99999999", "base", {}, [row(0, True, "7")])
    assert "may be math500-1234abcd or math500-99999999" in rollouts("--task", "math500")[2]


def test_nothing_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = running(tmp_path, steps=0)
    made.write_status(state="failed")
    assert main(["rollouts", str(made.path)]) == 2
    assert capsys.readouterr().err.startswith(f"E106 {made.path} has no recorded rollouts")
    assert main(["rollouts", str(made.path), "--task", "dev"]) == 2
    assert "has no evaluation" in capsys.readouterr().err


def test_a_damaged_file_is_an_error(run: RunFolder, rollouts: Told) -> None:
    (run.path / "rollouts" / "step_000002.jsonl.gz").write_bytes(b"broken")
    status, _, err = rollouts()
    assert status == 2
    assert "is damaged" in err
    assert rollouts("--step", "1")[0] == 0


def test_what_nothing_graded_has_not_turned() -> None:
    ways = [flip_of(a, b) for a, b in ((None, False), (None, None), (True, None), (False, True))]
    assert ways == ["ungraded", "ungraded", "ungraded", "gained"]


def test_ranges() -> None:
    assert ranges([0, 1, 2, 5, 7, 8]) == "0 to 2, 5, 7 to 8"
    assert ranges(list(range(0, 40, 2))) == "0, 2, 4, ..., 36, 38"
    assert ranges([]) == ""


def test_many_responses_are_read_one_by_one(tmp_path: Path) -> None:
    run = running(tmp_path, steps=0)
    run.step(0, {}, [group(0, [0, 1] * 2000, text="x" * 500)])

    def peak(rows: Iterator[Response]) -> int:
        tracemalloc.start()
        found = choose(rows, lambda response: True, 3)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (found.read, found.right, len(found.responses)) == (4000, 2000, 3)
        return most

    # All of them at once are more than 4000 texts of 500 characters each.
    assert peak(training(run, [0])) < 1_000_000
