"""What `oneshot compare` takes for a dev set: the problems decide, whatever their folder is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.record import RunFolder
from oneshot.stages.comparing.dev import DevSets
from tests.unit.stages.comparing import compared, object_of, put, run


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """The JSON object of a comparison that works."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: object_of(lambda *given: compared(capsys, *given), *words)


def both(store: RunFolder, task: str, asked: str = "", first: int = 0) -> None:
    """A task before and after training; its questions are those of `asked`, from number `first` on."""
    for checkpoint, words in (("base", "0011" * 5), ("checkpoint-4", "0111" * 5)):
        put(store, task, checkpoint, words)
        results, rows = store.read_eval(task, checkpoint)
        named = [replace(row, prompt=f"{asked or task}, question {first + i}") for i, row in enumerate(rows)]
        store.write_eval(task, checkpoint, results, named)


def test_a_dev_set_under_the_name_that_eval_gives_it(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"), source="data/held.jsonl")
    both(one, "held")
    both(one, "held-0123abcd", "held")
    both(one, "math500")
    found = told(one.path)
    assert list(found["tasks"]) == ["math500"]
    assert any("held, held-0123abcd" in note and "left out" in note for note in found["notes"])
    assert told(one.path, "--tasks", "held-0123abcd")["tasks"]["held-0123abcd"]["chosen_by"] is True


def test_a_dev_set_under_any_name(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"), source="data/held.jsonl")
    both(one, "held")
    both(one, "math500", "held")
    assert told(one.path)["tasks"]["math500"]["chosen_by"] is True


def test_another_file_of_the_same_name_is_a_test(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"), source="data/held.jsonl")
    both(one, "held")
    both(one, "held-0123abcd", "other")
    for checkpoint in ("base", "checkpoint-4"):
        results, rows = one.read_eval("held-0123abcd", checkpoint)
        one.write_eval("held-0123abcd", checkpoint, results, [replace(row, id=f"x{row.id}") for row in rows])
    assert list(told(one.path)["tasks"]) == ["held-0123abcd"]


def test_a_few_shared_problems_are_told(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"), source="data/held.jsonl")
    both(one, "held")
    both(one, "math500", "held", first=16)  # 4 of its 20
    found = told(one.path)
    assert found["tasks"]["math500"]["chosen_by"] is False
    assert any("20% of its problems stand in a dev set" in note for note in found["notes"])


@pytest.mark.usefixtures("told")
def test_shares() -> None:
    one, none = run(Path("runs"), source="data/held.jsonl"), run(Path("runs"), "none")
    both(one, "held")
    both(none, "held")
    dev = DevSets()
    assert [dev.share(one, task) for task in ("held", "prompt-choice-0123abcd", "absent")] == [1, 1, 0]
    assert dev.share(none, "held") == 0
