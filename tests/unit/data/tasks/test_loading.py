"""Where a task's problems come from, what is refused, and the pin."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from oneshot.data.rows import RawRow
from oneshot.data.tasks.digest import digest_of
from oneshot.data.tasks.loading import NEVER_RAN, load_task
from oneshot.data.tasks.suites import TASKS, resolve
from oneshot.data.tasks.task import Task
from oneshot.errors import DataError, MachineError, UsageError
from oneshot.types import Problem

ROWS = [{"id": "a", "problem": "1+1?", "answer": "2"}, {"id": "b", "problem": "é?", "answer": "3"}]
BY_HAND = hashlib.sha256(b'["1+1?","2"]\n["\\u00e9?","3"]\n').hexdigest()


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONESHOT_DATA", raising=False)


def jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def hub(monkeypatch: pytest.MonkeyPatch, answer: list[dict[str, Any]] | Exception) -> list[tuple[str, dict[str, Any]]]:
    """A stand-in for `datasets`; the calls it got."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def load_dataset(name: str, /, **options: Any) -> list[dict[str, Any]]:
        calls.append((name, options))
        if isinstance(answer, Exception):
            raise answer
        return answer

    module = ModuleType("datasets")
    vars(module)["load_dataset"] = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)
    return calls


def small(**changes: Any) -> Task:
    """A benchmark of two known rows."""
    return replace(TASKS.build("math500"), count=2, digest=BY_HAND, **changes)


# -- the digest


def test_the_digest_is_the_one_made_by_hand(tmp_path: Path) -> None:
    jsonl(tmp_path / "math500.jsonl", ROWS)
    found = load_task(small(), folder=str(tmp_path))
    assert (found.digest, found.notes, found.rows) == (BY_HAND, (), 2)


def test_neither_format_nor_other_columns_nor_ids_change_the_digest(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = [
        {"unique_id": f"x{n}", "level": 4, "answer": r["answer"], "problem": r["problem"]} for n, r in enumerate(ROWS)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "math500.parquet")
    found = load_task(small(), folder=str(tmp_path))
    assert (found.digest, found.notes) == (BY_HAND, ())
    assert [(p.id, p.meta["level"]) for p in found.problems] == [("math500/x0", 4), ("math500/x1", 4)]


def test_the_choices_and_the_right_one_are_part_of_the_digest_and_our_wording_is_not() -> None:
    choices = [{"label": "A", "text": "ice"}, {"label": "B", "text": "fire"}]
    one = Problem(id="1", prompt="ours", answer="A", meta={"question": "What?", "choices": choices})
    assert digest_of([one]) == hashlib.sha256(b'["What?","A",["ice","fire"]]\n').hexdigest()
    assert digest_of([replace(one, prompt="other wording")]) == digest_of([one])
    assert digest_of([replace(one, answer="B")]) != digest_of([one])


def test_another_count_is_said_and_is_no_error(tmp_path: Path) -> None:
    jsonl(tmp_path / "math500.jsonl", ROWS[:1])
    (note,) = load_task(small(), folder=str(tmp_path)).notes
    assert "2 rows are known" in note and "has 1" in note


def test_other_content_or_another_order_is_said(tmp_path: Path) -> None:
    jsonl(tmp_path / "math500.jsonl", ROWS[::-1])
    (note,) = load_task(small(), folder=str(tmp_path)).notes
    assert "other content or another order" in note and BY_HAND[:12] in note


def test_a_limit_keeps_the_first_and_the_digest_of_all(tmp_path: Path) -> None:
    jsonl(tmp_path / "math500.jsonl", ROWS)
    found = load_task(small(), folder=str(tmp_path), limit=1)
    assert ([p.answer for p in found.problems], found.rows, found.digest) == (["2"], 2, BY_HAND)
    assert len(load_task(small(), folder=str(tmp_path), limit=9).problems) == 2
    with pytest.raises(UsageError, match="--limit -1"):
        load_task(small(), folder=str(tmp_path), limit=-1)


# -- folders


@pytest.mark.parametrize("place", ["math500.jsonl", "benchmarks/math500.jsonl"])
def test_a_file_in_the_folder_or_in_its_benchmarks(tmp_path: Path, place: str) -> None:
    path = jsonl(tmp_path / place, ROWS)
    assert load_task(small(), folder=str(tmp_path)).origin == str(path)


def test_the_environment_names_the_folder_where_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jsonl(tmp_path / "one" / "math500.jsonl", ROWS)
    jsonl(tmp_path / "two" / "math500.jsonl", ROWS[:1])
    monkeypatch.setenv("ONESHOT_DATA", str(tmp_path / "one"))
    assert load_task(small()).rows == 2
    assert load_task(small(), folder=str(tmp_path / "two")).rows == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_task(small(), folder=str(tmp_path / "no"))
    assert caught.value.code == "E106"


def test_equal_ids_are_refused_with_both_lines(tmp_path: Path) -> None:
    jsonl(tmp_path / "math500.jsonl", [*ROWS, {**ROWS[0], "problem": "other"}])
    with pytest.raises(DataError) as caught:
        load_task(small(), folder=str(tmp_path))
    assert caught.value.code == "E301"
    assert "line 3" in caught.value.message and "stands in line 1" in caught.value.message


# -- the Hub


def test_the_hub_gets_what_was_seen_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = hub(monkeypatch, [{"question": "q", "answer": "x #### 1,234"}])
    found = load_task(TASKS.build("gsm8k"))
    revision = "740312add88f781978c0658806c59bc2815b9866"
    assert calls == [("openai/gsm8k", {"split": "test", "name": "main", "revision": revision})]
    assert (found.problems[0].answer, found.problems[0].id) == ("1234", "gsm8k/0")
    assert found.origin == "openai/gsm8k/main:test@740312add88f"
    assert "1319 rows are known" in found.notes[0]
    load_task(TASKS.build("minerva_math"))
    assert calls[1] == ("math-ai/minervamath", {"split": "test"})


def test_a_file_in_the_folder_is_taken_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = hub(monkeypatch, ROWS)
    jsonl(tmp_path / "math500.jsonl", ROWS)
    load_task(small(), folder=str(tmp_path))
    assert calls == []
    assert load_task(TASKS.build("aime24"), folder=str(tmp_path)).rows == 2
    assert [name for name, _ in calls] == ["HuggingFaceH4/aime_2024"]


@pytest.mark.parametrize("raised", [ConnectionError("no"), FileNotFoundError("no"), OSError("no"), RuntimeError("no")])
def test_what_cannot_be_fetched_says_how_to_provide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    hub(monkeypatch, raised)
    with pytest.raises(MachineError) as caught:
        load_task(TASKS.build("arc_easy"), folder=str(tmp_path))
    error = caught.value
    assert (error.code, error.exit_code) == ("E203", 3)
    assert NEVER_RAN in error.message and f"{tmp_path} has no arc_easy.jsonl" in error.message
    assert "--data-dir DIR" in error.tries[0] and "DIR/arc_easy.parquet" in error.tries[0]
    assert "answerKey" in error.tries[1]


def test_without_the_library_the_line_that_installs_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MachineError) as caught:
        load_task(TASKS.build("math500"))
    assert caught.value.code == "E204"
    assert "pip install 'oneshot-rlvr[hub]'" in caught.value.tries
    assert "no data folder was given" in caught.value.message


def test_a_hub_copy_with_other_columns_is_an_error_that_says_it_never_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, [{"text": "q", "label": "1"}])
    with pytest.raises(DataError, match="never run against the Hub") as caught:
        load_task(TASKS.build("math500"))
    assert "--data-dir" in caught.value.tries[0]


def test_a_task_without_a_hub_data_set(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="must be provided as a file"):
        load_task(small(hub=None), folder=str(tmp_path))


# -- generated tasks and files


def test_the_built_in_task_is_all_kinds_with_equal_weight() -> None:
    (task,) = resolve("builtin")
    found = load_task(task)
    kinds = [problem.category for problem in found.problems]
    assert {kinds.count(kind) for kind in set(kinds)} == {30} and len(kinds) == 240
    assert {problem.meta["split"] for problem in found.problems} == {"test"}
    assert len({problem.id for problem in found.problems}) == 240
    assert (found.digest, found.notes, found.task.floor) == (task.digest, (), 0.0)
    other = load_task(task, task_seed=1)
    assert other.digest != found.digest and other.notes == ()


def test_any_file_is_a_task(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "my set.jsonl", [{"question": "q", "answer": 7}, {"question": "q", "answer": 7}])
    (task,) = resolve(str(path))
    found = load_task(task)
    assert (task.name, found.origin, found.notes) == ("my_set", str(path), ())
    assert [problem.answer for problem in found.problems] == ["7", "7"]
    assert len({problem.id for problem in found.problems}) == 2


def test_a_file_with_equal_ids_and_one_that_is_not_there(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "x.jsonl", [ROWS[0], ROWS[0]])
    with pytest.raises(DataError, match="stands in line 1"):
        load_task(resolve(str(path))[0])
    with pytest.raises(UsageError, match="does not exist"):
        load_task(resolve(str(tmp_path / "y.jsonl"))[0])


def test_math_beyond_folds_the_columns_of_the_models() -> None:
    row = {"problem": "q", "answer": "1", "topic": "Algebra", "a-7b_unsolved": True, "a-7b_pass@1024": 0.0,
           "b_unsolved": False, "b_pass@1024": 0.5, "difficulty": 6.0}  # fmt: skip
    (problem,) = TASKS.build("math_beyond").problems([RawRow(1, row)], "hub")
    assert (problem.id, problem.category) == ("math_beyond/0", "Algebra")
    assert problem.meta == {"source": "hub", "line": 1, "difficulty": 6.0, "unsolved": ["a-7b"]}
