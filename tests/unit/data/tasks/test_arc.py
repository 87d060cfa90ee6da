"""ARC: labels, prompts, continuations, bad rows. The questions are made up."""

from __future__ import annotations

from typing import Any

import pytest

from oneshot.data.rows import RawRow
from oneshot.data.tasks.arc import continuations
from oneshot.data.tasks.digest import digest_of
from oneshot.data.tasks.suites import resolve
from oneshot.errors import DataError
from oneshot.rewards.functions import VERIFIERS
from oneshot.types import Problem

TEXTS = ["ice", "iron", "sand", "salt"]


def row(**changes: Any) -> dict[str, Any]:
    choices = {"text": TEXTS, "label": ["A", "B", "C", "D"]}
    return {"id": "q1", "question": "What melts at 0 C?", "choices": choices, "answerKey": "A", **changes}


def read(values: dict[str, Any], spec: str = "arc_easy") -> Problem:
    return resolve(spec)[0].problems([RawRow(7, values)], "f")[0]


def test_the_lettered_prompt() -> None:
    problem = read(row())
    lines = problem.prompt.splitlines()
    assert lines[0] == "What melts at 0 C?"
    assert lines[2:6] == ["A. ice", "B. iron", "C. sand", "D. salt"]
    assert r"\boxed{}" in lines[-1]
    assert (problem.id, problem.answer, problem.category) == ("q1", "A", "ARC-Easy")
    assert VERIFIERS.build("choice")(r"It is \boxed{A}.", problem.answer).correct


@pytest.mark.parametrize(
    ("labels", "key", "answer"),
    [
        (["1", "2", "3", "4"], "3", "C"),
        ([1, 2, 3, 4], 2, "B"),
        (["A", "B", "C"], "C", "C"),
        (["1", "2", "3", "4", "5"], "5", "E"),
        (["E", "F", "G", "H"], "F", "B"),
    ],
)
def test_labels_become_letters(labels: list[Any], key: Any, answer: str) -> None:
    texts = [f"text {n}" for n in range(len(labels))]
    problem = read(row(choices={"text": texts, "label": labels}, answerKey=key))
    assert problem.answer == answer
    assert [choice["label"] for choice in problem.meta["choices"]] == list("ABCDE")[: len(labels)]
    assert [choice["text"] for choice in problem.meta["choices"]] == texts


def test_the_other_protocol_hides_the_choices() -> None:
    problem = read(row(), "arc_easy:loglikelihood")
    assert problem.prompt == "Question: What melts at 0 C?\nAnswer:"
    assert continuations(problem) == [" ice", " iron", " sand", " salt"]
    assert digest_of([problem]) == digest_of([read(row())])


def test_other_forms_of_a_row_give_the_same_problem() -> None:
    listed = [{"label": label, "text": text} for label, text in zip("ABCD", TEXTS, strict=True)]
    stem = {"id": "q1", "question": {"stem": "What melts at 0 C?", "choices": listed}, "answerKey": "A"}
    assert read(row(choices=listed)) == read(stem) == read(row())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"question": " "}, "no question"),
        ({"answerKey": "E"}, "'E'"),
        ({"answerKey": None}, "answerKey"),
        ({"choices": {"text": ["a"], "label": ["A"]}}, "1 choices"),
        ({"choices": {"text": ["a", "b"], "label": ["A"]}}, "2 choices with 1 labels"),
        ({"choices": {"text": ["a", "b"], "label": ["A", "A"]}}, "2 choices with 1 labels"),
        ({"choices": {"text": ["a", ""], "label": ["A", "B"]}}, "0 choices"),
        ({"choices": "abc"}, "0 choices"),
        ({"choices": {"text": list("abcdef"), "label": list("ABCDEF")}}, "6 choices"),
    ],
)
def test_a_row_that_is_none(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match="f, line 7") as caught:
        read(row(**changes))
    assert said in caught.value.message


def test_equal_ids() -> None:
    with pytest.raises(DataError, match="line 2: the id 'q1' stands in line 1"):
        resolve("arc_easy")[0].problems([RawRow(1, row()), RawRow(2, row())], "f")


def test_chance_is_a_quarter() -> None:
    assert {task.floor for task in resolve("reasoning,reasoning:loglikelihood")} == {0.25}
