from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from oneshot.config.schema import DataConfig
from oneshot.data.problems import examples, has_suffix, load, load_source, resolve
from oneshot.errors import DataError, MachineError, OneshotError, UsageError

POOL = '{"problem": "a", "answer": "1"}\n{"problem": "b", "answer": ""}\n{"problem": "c", "answer": "3"}\n'


@pytest.fixture
def pool(tmp_path: Path) -> str:
    (tmp_path / "pool.jsonl").write_text(POOL)
    return str(tmp_path / "pool.jsonl")


def failure(kind: type[OneshotError], **settings: Any) -> OneshotError:
    with pytest.raises(kind) as caught:
        resolve(DataConfig(**settings))
    return caught.value


def test_a_text_typed_in() -> None:
    (problem,) = resolve(DataConfig(example="What is 17 + 25?", answer="42"))
    assert (problem.prompt, problem.answer, problem.id) == ("What is 17 + 25?", "42", "example")


def test_the_built_in_example_is_a_restatement_with_the_papers_label() -> None:
    (problem,) = resolve(DataConfig(source="pi1"))
    assert (problem.id, problem.answer) == ("pi1", "12.8")
    assert resolve(DataConfig(source="pi1", index=0)) == [problem]
    assert "restatement" in problem.meta["note"]
    assert failure(UsageError, source="pi1", index=1).code == "E103"


def test_a_row_by_index_though_another_row_has_no_reference(pool: str) -> None:
    loaded = load(DataConfig(source=pool, index=2))
    assert [problem.prompt for problem in loaded.problems] == ["c"]
    assert loaded.columns == {"prompt": "problem", "answer": "answer"}


def test_the_row_without_a_reference_is_refused(pool: str) -> None:
    error = failure(DataError, source=pool, index=1)
    assert error.code == "E301"
    assert f"{pool}, line 2: " in error.message
    assert "can never match" in error.message


def test_of_a_pool_it_is_left_out_and_counted(pool: str) -> None:
    loaded = load(DataConfig(source=pool))
    assert [problem.prompt for problem in loaded.problems] == ["a", "c"]
    assert [(problem.prompt, problem.meta["line"]) for problem in loaded.left_out] == [("b", 2)]
    assert loaded.columns == {"prompt": "problem", "answer": "answer"}


@pytest.mark.parametrize(("count", "says"), [(1, "(answer) is empty. An"), (3, "(answer) is empty in all 3 rows. An")])
def test_without_any_reference_there_is_nothing_to_train_on(tmp_path: Path, count: int, says: str) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text('{"prompt": "a", "answer": ""}\n' * count)
    error = failure(DataError, source=str(path))
    assert error.code == "E301"
    assert f"{path}, line 1: the reference answer " in error.message
    assert says in error.message


def test_every_row_without_an_index(tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    path.write_text('{"prompt": "a", "answer": "1"}\n' * 2)
    assert [problem.prompt for problem in resolve(DataConfig(source=str(path)))] == ["a", "a"]


def test_an_evaluation_reads_every_row(pool: str) -> None:
    assert [problem.answer for problem in load_source(pool).problems] == ["1", "", "3"]


@pytest.mark.parametrize("index", [3, 1000, -2])
def test_an_index_out_of_range_names_the_range(pool: str, index: int) -> None:
    error = failure(UsageError, source=pool, index=index)
    assert (error.code, error.exit_code) == ("E103", 2)
    assert "has 3 rows, 0 to 2" in error.message


@pytest.mark.parametrize(
    ("settings", "code", "word"),
    [
        ({}, "E105", "no example"),
        ({"example": "1+1?"}, "E105", "--answer"),
        ({"answer": "2"}, "E105", "--example"),
        ({"example": "1+1?", "answer": " "}, "E105", "--answer"),
        ({"example": "1+1?", "answer": "2", "source": "x.jsonl"}, "E105", "both"),
        ({"source": "gone.jsonl"}, "E106", "gone.jsonl"),
        ({"source": "./gone"}, "E106", "gone"),
        ({"source": "data/gone.parquet"}, "E106", "gone"),
        ({"source": "p1"}, "E106", "pi1"),
        ({"source": "builtin"}, "E105", "built-in task"),
    ],
)
def test_what_cannot_be_resolved(settings: dict[str, str], code: str, word: str) -> None:
    error = failure(UsageError, **settings)
    assert error.code == code
    assert word in error.message
    assert error.tries


def test_the_built_in_task_may_be_named_beside_a_typed_example() -> None:
    # `--example` overrides a recipe whose data is the built-in task.
    assert resolve(DataConfig(source="builtin", example="1+1?", answer="2"))[0].prompt == "1+1?"


def test_built_in_examples_can_be_read() -> None:
    assert "pi1" in examples()
    assert all(problem.answer and problem.prompt for problem in examples().values())


@pytest.mark.parametrize(
    ("prompt", "suffix", "expected"),
    [
        ("What? Think.", "Think.", True),
        ("What? Think. \n", " Think.", True),
        ("What?", "Think.", False),
        ("Think. What?", "Think.", False),
        ("What?", "", False),
        ("What? ", " ", False),
    ],
)
def test_has_suffix(prompt: str, suffix: str, expected: bool) -> None:
    assert has_suffix(prompt, suffix) is expected


# -- Hub data sets, through a stand-in for `datasets`


def hub(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]] | Exception) -> None:
    def load_dataset(name: str, *, split: str) -> list[dict[str, Any]]:
        assert (name, split) == ("org/name", "train")
        if isinstance(rows, Exception):
            raise rows
        return rows

    module = ModuleType("datasets")
    vars(module)["load_dataset"] = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_a_hub_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = [{"role": "user", "content": "q"}]
    hub(monkeypatch, [{"prompt": chat, "reward_model": {"ground_truth": "2"}, "extra_info": {"index": 124}}] * 2)
    first, second = resolve(DataConfig(source="org/name"))
    assert (first.prompt, first.answer, first.id, second.id) == ("q", "2", "124", "124-2")
    assert resolve(DataConfig(source="org/name", index=1)) == [second]


def test_a_hub_data_set_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    error = failure(MachineError, source="org/name")
    assert (error.code, error.exit_code) == ("E204", 3)
    assert error.tries[0] == "pip install 'oneshot-rlvr[hub]'"


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (ConnectionError("cannot reach"), "E203"),
        (FileNotFoundError("no such data set"), "E106"),
        (ValueError("split"), "E106"),
    ],
)
def test_a_hub_data_set_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, raised: Exception, code: str) -> None:
    hub(monkeypatch, raised)
    assert failure(OneshotError, source="org/name").code == code


def test_offline_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, ConnectionError("offline"))
    with pytest.raises(MachineError, match="--offline was given"):
        load_source("org/name", offline=True)


def test_an_empty_hub_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, [])
    assert failure(DataError, source="org/name").code == "E301"
