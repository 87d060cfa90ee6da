"""Every reference of the benchmarks and of the paper's pool, boxed, is right for itself and wrong for another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneshot.rewards.answers.equality import equal
from oneshot.rewards.answers.shapes import Words
from oneshot.rewards.answers.structure import read
from oneshot.rewards.functions import VERIFIERS
from oneshot.rewards.verifier import self_check

BENCHMARKS = {
    "aime24": 30, "aime25": 30, "amc23": 40, "gsm8k": 1319, "math500": 500, "minerva_math": 272, "olympiadbench": 675,
}  # fmt: skip
INTEGERS = ("aime24", "amc23", "gsm8k")

REFUSED: dict[str, list[object]] = {}
"""File -> ids of references that cannot match themselves. The policy knows one reason, an empty one: none has it."""
UNREAD = {"olympiadbench": 3}
"""File -> references that no tier reads as mathematics, so that only the same text matches them: two conditions in
words and a slip of the keyboard."""


def rows_of(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        pytest.skip(f"{path} is not there; ONESHOT_SHARED=FOLDER names another place")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def is_unread(reference: str) -> bool:
    shape = read(reference)
    return isinstance(shape, Words) and not shape.plain


@pytest.mark.parametrize("grader", ["math", "math-lenient", "number"])
@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_reference_is_right_for_itself(shared_data: Path, name: str, grader: str) -> None:
    rows = rows_of(shared_data / "benchmarks" / f"{name}.jsonl")
    assert len(rows) == BENCHMARKS[name]
    verify = VERIFIERS.build(grader)
    refused = [
        row["id"] for row in rows if not verify(rf"So it is $\boxed{{{row['answer']}}}$.", row["answer"]).correct
    ]
    assert refused == REFUSED.get(name, [])


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_reference_is_read_and_equal_to_itself_as_mathematics(shared_data: Path, name: str) -> None:
    """Not by being the same text: the reading that another way to write it is compared with."""
    answers = [row["answer"] for row in rows_of(shared_data / "benchmarks" / f"{name}.jsonl")]
    unread = [answer for answer in answers if is_unread(answer)]
    assert len(unread) == UNREAD.get(name, 0), unread
    assert [a for a in answers if a not in unread and equal(read(a), read(a)) is not True] == []


@pytest.mark.parametrize("name", BENCHMARKS)
def test_no_reference_is_right_for_another(shared_data: Path, name: str) -> None:
    """Each against the seven after it; whole numbers by their value, other pairs that match are few."""
    answers = [row["answer"] for row in rows_of(shared_data / "benchmarks" / f"{name}.jsonl")]
    verify = VERIFIERS.build("math")
    pairs = [(a, b) for k, a in enumerate(answers) for b in answers[k + 1 : k + 8]]
    both_ways = [(verify(rf"\boxed{{{a}}}", b).correct, verify(rf"\boxed{{{b}}}", a).correct) for a, b in pairs]
    assert all(there == back for there, back in both_ways)
    if name in INTEGERS:
        assert [there for there, _ in both_ways] == [int(a) == int(b) for a, b in pairs]
    else:
        assert sum(there for there, _ in both_ways) < len(pairs) / 20


def test_every_reference_of_the_pool_but_two_is_right_for_itself(shared_data: Path) -> None:
    """One row has no reference; one was cut off inside a brace, so that no box with it is complete."""
    rows = rows_of(shared_data / "dsr_sub.jsonl")
    verify = VERIFIERS.build("math")
    refused = {row["index"]: verify(rf"\boxed{{{row['answer']}}}", row["answer"]).status for row in rows
               if not verify(rf"\boxed{{{row['answer']}}}", row["answer"]).correct}  # fmt: skip
    assert len(rows) == 1209
    assert refused == {265: "empty", 1187: "no_answer"}
    for row in rows:
        if row["index"] not in refused:
            self_check(verify, row["answer"])


def test_the_first_example_of_the_paper(shared_data: Path) -> None:
    """Its reference is 12.8; the exact value of its problem is 8 * 4^(1/3) = 12.699, which is another number."""
    answer = next(row["answer"] for row in rows_of(shared_data / "dsr_sub.jsonl") if row["index"] == 124)
    verify = VERIFIERS.build("math")
    assert answer == "12.8"
    assert [
        verify(rf"\boxed{{{a}}}", answer).correct for a in ("12.8", "12.80", r"\frac{64}{5}", "64/5", "12\\frac45")
    ] == [True] * 5
    assert [verify(rf"\boxed{{{a}}}", answer).correct for a in ("12.7", r"8\sqrt[3]{4}", "12.699208", "13", "128")] == [
        False
    ] * 5
