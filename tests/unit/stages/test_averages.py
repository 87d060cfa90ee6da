"""Which tasks are averaged: independent ones, and under a suite's name only those asked as they are published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.data.tasks.arc import letter_prompt, ranked_prompt
from oneshot.data.tasks.suites import TASKS
from oneshot.stages.evals.averages import Member, as_published, base_name, independent, stem
from tests.unit.stages.comparing import compared, object_of, put, responses, run

MATH6 = ("math500", "aime24", "aime25", "amc23", "minerva_math", "olympiadbench")


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """The JSON object of a comparison that works."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: object_of(lambda *given: compared(capsys, *given), *words)


@pytest.mark.parametrize(
    ("name", "bare", "base"),
    [
        ("math500", "math500", "math500"),
        ("math500-0123abcd", "math500", "math500"),
        ("arc_easy-loglikelihood", "arc_easy-loglikelihood", "arc_easy"),
        ("arc_easy-loglikelihood-0123abcd", "arc_easy-loglikelihood", "arc_easy"),
        ("held-out", "held-out", "held-out"),
        ("held-0123ABCD", "held-0123ABCD", "held-0123ABCD"),
    ],
)
def test_names(name: str, bare: str, base: str) -> None:
    assert (stem(name), base_name(name)) == (bare, base)


def member(name: str, ids: str, digest: str = "") -> Member:
    return Member(name=name, ids=frozenset(ids), data={"digest": digest} if digest else {})


@pytest.mark.parametrize(
    ("members", "apart"),
    [
        ([member("arc_easy", "ab"), member("arc_easy-loglikelihood", "ab")], False),
        ([member("arc_easy", "ab"), member("arc_easy-0123abcd", "b")], False),
        ([member("arc_easy", "ab"), member("arc_challenge", "ab")], True),
        ([member("arc_easy", "ab"), member("arc_easy-0123abcd", "c")], True),
        ([member("held", "ab", "d"), member("other", "xy", "d")], False),
        ([member("held", "ab", "d"), member("other", "ab", "e")], True),
        ([member("held", "ab"), member("other", "ab"), member("held", "b")], False),
        ([member("held", "ab")], True),
        ([], True),
    ],
)
def test_independent(members: list[Member], apart: bool) -> None:
    assert independent(members) is apart and independent(members[::-1]) is apart


def test_two_protocols_of_one_task_are_not_averaged(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    choices = [{"label": "A", "text": "ice"}, {"label": "B", "text": "sand"}]
    for name, put_so in (("arc_easy", letter_prompt), ("arc_easy-loglikelihood", ranked_prompt)):
        for checkpoint, count in (("base", 20), ("checkpoint-4", 28)):
            put(one, name, checkpoint, "1" * count + "0" * (40 - count))
            results, rows = one.read_eval(name, checkpoint)
            asked = [replace(row, prompt=put_so(f"What melts ({row.id})?", choices)) for row in rows]
            del results["protocol"]["data"]
            one.write_eval(name, checkpoint, results, asked)
    found = told(one.path)
    assert len(found["tasks"]) == 2 and found["averages"] == {}


def test_a_limited_suite_has_not_its_name(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    for task in MATH6:
        data = {"digest": f"d {task}", "limit": 5, "rows": 40}
        for checkpoint, count in (("base", 2), ("checkpoint-4", 4)):
            put(one, f"{task}-0123abcd", checkpoint, "1" * count + "0" * (5 - count), data=data)
    found = told(one.path)
    assert list(found["averages"]) == ["all 6 tasks, the first 5 problems"]
    assert found["tasks"]["math500-0123abcd"]["limit"] == 5


def test_another_number_of_samples_keeps_the_name_of_the_suite(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    for task in MATH6:
        name, own = (f"{task}-0123abcd", published(task, samples=4)) if task == "aime24" else (task, {})
        for checkpoint, word in (("base", "0001"), ("checkpoint-4", "0011")):
            put(one, name, checkpoint, [word if own else word[0]] * 9 + ["1111" if own else "1"] * 4, **own)
    assert list(told(one.path)["averages"]) == ["math6"]


def published(task: str, **changes: Any) -> dict[str, Any]:
    """The recorded protocol of a task, whole, with some entries changed."""
    found = TASKS.build(task)
    return {**found.protocol.as_dict(), "data": {"digest": found.digest, "limit": 0}, **changes}


@pytest.mark.parametrize(
    ("task", "changes", "own"),
    [
        ("aime24", {"samples": 4}, True),
        ("aime24", {"temperature": 1.0}, False),
        ("aime24", {"max_new_tokens": 64}, False),
        ("aime24", {"grader": "math"}, False),
        ("aime24", {"data": {"digest": "other", "limit": 0}}, False),
        ("aime24", {"data": {}}, False),
        ("math500", {"samples": 4, "temperature": 0.6}, True),
        ("math500", {"temperature": 0.6}, False),
    ],
)
def test_as_published(task: str, changes: dict[str, Any], own: bool) -> None:
    assert as_published(f"{task}-0123abcd", published(task, **changes)) is own
    assert as_published(task, {}) and not as_published("held-0123abcd", published(task))


def test_two_folders_of_one_task_do_not_hide_each_other(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    for name, more in (("arc_easy", 8), ("arc_easy-0123abcd", 0), ("arc_challenge", 4)):
        own = {} if name == stem(name) else published("arc_easy", samples=2)
        for checkpoint, count in (("base", 20), ("checkpoint-4", 20 + more)):
            kinds = "1" * count + "0" * (40 - count)
            put(one, name, checkpoint, responses([2 * kind for kind in kinds] if own else kinds), **own)
    found = told(one.path)
    assert len(found["tasks"]) == 3
    mean = found["averages"]["reasoning"]
    assert mean["tasks"] == ["arc_easy", "arc_challenge"]
    assert mean["comparisons"]["B"]["paired"]["estimate"] == pytest.approx((8 + 4) / 80)
