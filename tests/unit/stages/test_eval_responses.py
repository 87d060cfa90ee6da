"""Stored outputs: what a row may say, which problem it belongs to, and what is said of what is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneshot.data.tasks.reading import Reading
from oneshot.data.tasks.task import Protocol, Task
from oneshot.errors import DataError, UsageError
from oneshot.stages.evals.responses import Given, match, read
from oneshot.types import Problem

TASK = Task(name="sums", title="Sums", protocol=Protocol(), problems=Reading(prefix="sums"))
PROBLEMS = [Problem(id=f"sums/{i}", prompt=f"{i} + 1?", answer=str(i + 1)) for i in range(3)]


def write(folder: Path, *rows: Any) -> str:
    path = folder / "out.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return str(path)


def matched(folder: Path, *rows: Any, limit: int = 0) -> Given:
    source = write(folder, *rows)
    return match(read(source, ["sums"]), source, TASK, PROBLEMS, limit=limit)


def test_samples_are_counted_where_they_have_no_number(tmp_path: Path) -> None:
    rows = [
        {"id": "sums/1", "response": "a"},
        {"id": 0, "response": "b", "sample": 4},
        {"id": "1", "response": "c", "tokens": 7},
        {"id": "0", "response": "d", "sample": 2},
    ]
    given = matched(tmp_path, *rows)
    assert [(p.id, s.sample, s.response, s.line) for p, s in given.rows] == [
        ("sums/0", 2, "d", 4),
        ("sums/0", 4, "b", 2),
        ("sums/1", 0, "a", 1),
        ("sums/1", 1, "c", 3),
    ]
    assert (given.missing, given.samples, given.beyond) == (("sums/2",), (2, 2), 0)
    assert not given.says_cut
    assert not given.says_tokens


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    rows = [{"id": "0", "response": "b"}, {"id": "0", "response": "c"}, {"id": "2", "response": "d"}]
    assert matched(tmp_path, *rows).warnings("sums") == [
        "warning: sums: 1 of 3 problems have no response and are not in n: sums/1",
        "warning: sums: problems have 1 to 2 responses; each problem counts the same",
    ]
    given = matched(tmp_path, *rows, limit=1)
    assert ([p.id for p, _ in given.rows], given.missing) == (["sums/0", "sums/0"], ())
    assert given.warnings("sums") == ["sums: 1 responses belong to problems beyond --limit and are left out"]


@pytest.mark.parametrize(
    ("said", "cut"),
    [({"cut": True}, True), ({"finished": True}, False), ({"cut": False, "finished": True}, False), ({}, None)],
)
def test_a_cut_response_says_so_either_way(tmp_path: Path, said: dict[str, bool], cut: bool | None) -> None:
    given = matched(tmp_path, {"id": "0", "completion": "x", "tokens": 3, **said})
    assert given.rows[0][1].cut is cut
    assert given.says_cut is (cut is not None)
    assert given.says_tokens


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"id": "1", "resp', "line 2: the line is not JSON"),
        ({"response": "x"}, "line 2: no id. It must be text or a whole number."),
        ({"id": True, "response": "x"}, "line 2: the id is true or false."),
        ({"id": 1.5, "response": "x"}, "line 2: the id is a number."),
        ({"id": "1"}, "line 2: no response. It is read from one of: response, completion."),
        ({"id": "1", "response": ["x"]}, "line 2: the response (response) is a list. It must be text."),
        ({"id": "1", "response": "x", "sample": -1}, "line 2: sample is -1. It must be a whole number, 0 or more."),
        ({"id": "1", "response": "x", "tokens": 10**400}, "line 2: tokens is 10000000000000000000"),
        ({"id": "1", "response": "x", "sample": 10**9 + 1}, "sample is 1000000001. It must be a whole number, at most"),
        ({"id": "1", "response": "x", "tokens": "7"}, "line 2: tokens is '7'."),
        ({"id": "1", "response": "x", "cut": "no"}, "line 2: cut is text. It must be true or false."),
        ({"id": "1", "response": "x", "cut": True, "finished": True}, "line 2: cut and finished are both true."),
        (
            {"id": "1", "response": "x", "task": "sum"},
            "line 2: the task 'sum' is not graded here. Did you mean 'sums'?",
        ),
        ({"id": "7", "response": "x"}, "line 2: sums has no problem '7'."),
        ({"id": "sum/1", "response": "x"}, "line 2: sums has no problem 'sum/1'. Did you mean 'sums/1'?"),
        ({"id": "0", "response": "x", "sample": 0}, "line 2: the response 0 to '0' is there already, in line 1."),
        ({"id": "sums/0", "response": "x", "sample": 0}, "the response 0 to 'sums/0' is there already, in line 1."),
    ],
)
def test_a_bad_row_is_an_error_with_its_line(tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        matched(tmp_path, {"id": "0", "response": "y"}, row)
    assert caught.value.code == "E301"
    assert said in caught.value.message
    assert str(tmp_path / "out.jsonl") in caught.value.message
    assert caught.value.kept == "Nothing was graded."
    assert json.loads(caught.value.tries[0]).keys() == {"id", "response"}


def test_several_tasks_need_their_names_in_the_rows(tmp_path: Path) -> None:
    source = write(tmp_path, {"id": "0", "response": "x"})
    with pytest.raises(DataError, match=r"line 1: no task. With several tasks each row names its own: sums, other"):
        read(source, ["sums", "other"])
    source = write(
        tmp_path, {"id": "0", "response": "x", "task": "other"}, {"id": "0", "response": "y", "task": "sums"}
    )
    rows = read(source, ["sums", "other"])
    assert [s.response for _, s in match(rows, source, TASK, PROBLEMS).rows] == ["y"]


def test_a_file_without_a_response_to_the_task(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no response to the 1 problems of sums that are asked for"):
        matched(tmp_path, {"id": "2", "response": "x"}, limit=1)


def test_no_file(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.jsonl", "does not exist"), (tmp_path, "is a folder")):
        with pytest.raises(UsageError, match=said) as caught:
            read(str(path), ["sums"])
        assert caught.value.code == "E106"


def test_a_file_that_holds_everything_twice_is_asked_about(tmp_path: Path) -> None:
    rows = [{"id": "0", "response": "a"}, {"id": "1", "response": "b"}, {"id": "2", "response": "c"}]
    assert matched(tmp_path, *rows, *rows).warnings("sums") == [
        "warning: sums: all responses to a problem are the same text, as in lines 1 and 4; they count as 2 samples "
        "each. Is the file there twice? Rows with `sample` are not asked about"
    ]
    for other in (rows, [*rows, *rows[:2], {"id": "2", "response": "d"}]):
        assert "same text" not in " ".join(matched(tmp_path, *other).warnings("sums"))
    meant = [{**row, "sample": sample} for sample in (0, 1) for row in rows]
    assert matched(tmp_path, *meant).warnings("sums") == []
