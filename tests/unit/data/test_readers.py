from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from oneshot.data.readers import RawRow, describe, merge_equal, read_rows, to_problems
from oneshot.errors import DataError, UsageError
from oneshot.types import Problem

ROW = '{"prompt": "1+1?", "answer": "2"}'


def write(folder: Path, content: str | bytes, name: str = "data.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def one(**values: Any) -> Problem:
    problems, _ = to_problems([RawRow(1, values)], "f")
    return problems[0]


def refused(rows: list[RawRow], **options: bool) -> DataError:
    with pytest.raises(DataError) as caught:
        to_problems(rows, "f.jsonl", **options)
    assert caught.value.code == "E301"
    assert json.loads(caught.value.tries[0])  # a row to paste
    return caught.value


# -- the file


@pytest.mark.parametrize(
    "content",
    [f"{ROW}\n{ROW}", f"{ROW}\n{ROW}\n", f"{ROW}\r\n{ROW}\r\n", f"{ROW}\n{ROW}\n\n  \n", f"\ufeff{ROW}\n{ROW}\n"],
    ids=["no newline at the end", "newline", "CRLF", "blank lines at the end", "BOM"],
)
def test_jsonl_in_its_variants(tmp_path: Path, content: str) -> None:
    rows = read_rows(write(tmp_path, content))
    assert rows == [RawRow(1, json.loads(ROW)), RawRow(2, json.loads(ROW))]


def test_any_name_will_do_when_the_content_is_jsonl(tmp_path: Path) -> None:
    assert len(read_rows(write(tmp_path, ROW, "data.txt"))) == 1


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        (f"{ROW}\n\n{ROW}", 2, "empty"),
        (f"\n{ROW}", 1, "empty"),
        (f"{ROW}\n{{'prompt': 1}}", 2, "not JSON"),
        (f"{ROW}\n{ROW[:-4]}", 2, "not JSON"),
        (f"{ROW}\n[1]", 2, "list, not an object"),
        (f"{ROW}\n{ROW}\n3", 3, "int, not an object"),
        (ROW.encode() + b"\n\xff\xfe", 2, "utf-8"),
        ("[" * 100_000, 1, "not JSON"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, content: str | bytes, line: int, why: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=why) as caught:
        read_rows(path)
    assert caught.value.message.startswith(f"{path}, line {line}: ")
    assert (caught.value.code, caught.value.exit_code) == ("E301", 4)
    assert caught.value.tries == ('{"prompt": "What is 17 + 25?", "answer": "42"}',)


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_a_file_without_rows(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match="holds no rows"):
        read_rows(write(tmp_path, content))


@pytest.mark.parametrize("name", ["gone.jsonl", "table.csv", "broken.parquet", "torn.parquet", "folder"])
def test_what_is_no_data_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    write(tmp_path, "prompt,answer\n1+1?,2\n", "table.csv")
    write(tmp_path, "not parquet", "broken.parquet")
    write(tmp_path, b"PAR1 torn", "torn.parquet")
    with pytest.raises(UsageError, match=name) as caught:
        read_rows(tmp_path / name)
    assert (caught.value.code, caught.value.exit_code) == ("E106", 2)


def test_numbers_that_json_or_python_find_difficult(tmp_path: Path) -> None:
    huge, exact = "9" * 5000, "0.12345678901234567890123"
    values = [huge, exact, "1e999", "NaN", "Infinity", "12.8", "7", "true"]
    lines = [f'{{"prompt": "q{i}", "answer": {value}}}' for i, value in enumerate(values)]
    problems, _ = to_problems(read_rows(write(tmp_path, "\n".join(lines))), "f")
    assert [problem.answer for problem in problems] == values


def test_parquet_equals_jsonl(tmp_path: Path) -> None:
    values = [{"prompt": "1+1?", "answer": "2", "level": 1}, {"prompt": "2+2?", "answer": "4", "level": 2}]
    path = tmp_path / "data.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(values), path)
    assert read_rows(path) == [RawRow(1, values[0]), RawRow(2, values[1])]


# -- the columns


@pytest.mark.parametrize(
    ("values", "columns"),
    [
        ({"prompt": "q", "answer": "2"}, {"prompt": "prompt", "answer": "answer"}),
        ({"problem": "q", "ground_truth": "2"}, {"prompt": "problem", "answer": "ground_truth"}),
        ({"question": "q", "solution": r"\boxed{1} so \boxed{2}"}, {"prompt": "question", "answer": "solution"}),
        ({"prompt": "q", "problem": "x", "answer": "2", "solution": "3"}, {"prompt": "prompt", "answer": "answer"}),
        (
            {"prompt": [{"role": "user", "content": "q"}], "reward_model": {"ground_truth": "2", "style": "rule"}},
            {"prompt": "prompt", "answer": "reward_model.ground_truth"},
        ),
        (
            {"id": None, "extra_info": {"index": 4}, "subject": "Algebra", "prompt": "q", "answer": 2},
            {"prompt": "prompt", "answer": "answer", "id": "extra_info.index", "category": "subject"},
        ),
    ],
)
def test_columns(values: dict[str, Any], columns: dict[str, str]) -> None:
    problems, used = to_problems([RawRow(1, values)], "f")
    assert used == columns
    assert (problems[0].prompt, problems[0].answer) == ("q", "2")


def test_the_mapping_in_words() -> None:
    assert (
        describe({"prompt": "problem", "answer": "solution"})
        == r"prompt <- problem, answer <- solution (last \boxed{})"
    )


def test_a_system_message_is_not_the_question() -> None:
    chat = [{"role": "system", "content": "think"}, {"role": "user", "content": "q"}]
    assert one(prompt=chat, answer="2").prompt == "q"


def test_id_category_and_provenance() -> None:
    problem = one(prompt="q", answer="2", unique_id="test/7", type="Geometry", level=3, deep={"a": 1}, nan=float("nan"))
    assert (problem.id, problem.category) == ("test/7", "Geometry")
    assert problem.meta == {"source": "f", "line": 1, "level": 3}
    assert json.dumps(dict(problem.meta), allow_nan=False)


def test_an_id_made_of_the_question_is_stable() -> None:
    assert one(prompt="1+1?", answer="2").id == one(prompt="1+1?", answer="3").id == "p-cfe29f43bcc2"
    assert one(prompt="1+2?", answer="2").id != one(prompt="1+1?", answer="2").id


@given(st.lists(st.sampled_from(["a", "a-2", "a-3", "b"]), min_size=1, max_size=12))
def test_ids_are_unique_and_rows_keep_their_order(ids: list[str]) -> None:
    rows = [RawRow(i, {"prompt": f"q{i}", "answer": "2", "id": name}) for i, name in enumerate(ids, 1)]
    problems, _ = to_problems(rows, "f")
    assert len({problem.id for problem in problems}) == len(ids)
    assert [problem.prompt for problem in problems] == [f"q{i}" for i in range(1, len(ids) + 1)]
    assert problems[0].id == ids[0]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"answer": "2"}, "no column for the prompt"),
        ({"prompt": "q"}, "no column for the answer"),
        ({"prompt": "", "answer": "2"}, "question .* is empty"),
        ({"prompt": "  ", "answer": "2"}, "question .* is empty"),
        ({"prompt": 3, "answer": "2"}, "question .* is int"),
        ({"prompt": "q", "answer": ""}, "can never match"),
        ({"prompt": "q", "answer": None}, "can never match"),
        ({"prompt": "q", "answer": " "}, "can never match"),
        ({"prompt": "q", "answer": ["2"]}, "answer .* is a list"),
        ({"prompt": "q", "solution": "it is 2"}, "no complete"),
        ({"prompt": [], "answer": "2"}, "0 messages"),
        ({"prompt": [{"role": "user", "content": "a"}] * 2, "answer": "2"}, "2 messages"),
        ({"prompt": ["q"], "answer": "2"}, "0 messages"),
        ({"prompt": [{"role": "user", "content": None}], "answer": "2"}, "question .* is empty"),
        ({"prompt": "\ud800", "answer": "2"}, "surrogate"),
        ({"prompt": "q", "answer": "\ud800"}, "surrogate"),
    ],
)
def test_a_bad_row_is_named(values: dict[str, Any], why: str) -> None:
    error = refused([RawRow(7, values)])
    assert error.message.startswith("f.jsonl, line 7: ")
    assert re.search(why, error.message)


def test_a_missing_value_is_an_error_though_another_column_has_one() -> None:
    rows = [RawRow(1, {"prompt": "q", "answer": "2"}), RawRow(2, {"problem": "r", "answer": "3"})]
    assert "line 2" in refused(rows).message


def test_an_evaluation_keeps_rows_without_a_reference() -> None:
    rows = [RawRow(1, {"prompt": "q", "answer": ""}), RawRow(2, {"prompt": "r", "answer": "3"})]
    problems, _ = to_problems(rows, "f", allow_empty_answer=True)
    assert [problem.answer for problem in problems] == ["", "3"]


def test_the_pool_of_the_paper(shared_data: Path) -> None:
    rows = read_rows(shared_data / "dsr_sub.jsonl")
    problems, columns = to_problems(rows, "dsr_sub.jsonl", allow_empty_answer=True)
    assert columns == {"prompt": "problem", "answer": "answer", "id": "index"}
    assert len(problems) == 1209
    assert (problems[124].id, problems[124].answer) == ("124", "12.8")
    assert [problem.id for problem in problems if not problem.answer] == ["265"]
    assert "line 266" in refused(rows).message


# -- merging


def test_merging_keeps_the_first_and_counts() -> None:
    rows = [("q", "1"), ("q", "2"), ("q", "1"), ("r", "1"), ("q", "1")]
    problems = [Problem(id=str(i), prompt=p, answer=a, meta={"line": i}) for i, (p, a) in enumerate(rows)]
    merged, gone = merge_equal(problems)
    assert [(p.id, p.prompt, p.answer) for p in merged] == [("0", "q", "1"), ("1", "q", "2"), ("3", "r", "1")]
    assert gone == 2
    assert [dict(p.meta) for p in merged] == [{"line": 0, "copies": 3}, {"line": 1}, {"line": 3}]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("12"))))
def test_merging_loses_nothing_and_is_idempotent(rows: list[tuple[str, str]]) -> None:
    problems = [Problem(id=str(i), prompt=p, answer=a) for i, (p, a) in enumerate(rows)]
    merged, gone = merge_equal(problems)
    assert {(p.prompt, p.answer) for p in merged} == set(rows)
    assert len(merged) + gone == len(rows)
    assert [p.id for p in merge_equal(merged)[0]] == [p.id for p in merged]
