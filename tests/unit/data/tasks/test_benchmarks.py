"""The seven benchmarks and the pool, from the files of `shared/data`: pins, ids, references against themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneshot.data.rows import RawRow
from oneshot.data.tasks.loading import load_task
from oneshot.data.tasks.suites import SUITES, TASKS
from oneshot.data.tasks.task import GREEDY, SAMPLED
from oneshot.rewards.functions import VERIFIERS

COUNTS = {
    "aime24": 30, "aime25": 30, "amc23": 40, "gsm8k": 1319, "math500": 500, "minerva_math": 272, "olympiadbench": 675,
    "dsr_sub": 1209,
}  # fmt: skip
REFUSED = {"dsr_sub": 2}
"""An empty reference, and one cut off inside a brace."""


@pytest.mark.parametrize("name", COUNTS)
def test_the_file_has_the_rows_that_are_pinned(shared_data: Path, name: str) -> None:
    found = load_task(TASKS.build(name), folder=str(shared_data))
    assert (found.rows, len(found.problems), found.notes) == (COUNTS[name], COUNTS[name], ())
    assert found.digest == found.task.digest
    assert len({problem.id for problem in found.problems}) == COUNTS[name]
    assert Path(found.origin).is_file()


@pytest.mark.parametrize("grader", ["math", "math-lenient"])
@pytest.mark.parametrize("name", COUNTS)
def test_references_are_right_for_themselves(shared_data: Path, name: str, grader: str) -> None:
    verify = VERIFIERS.build(grader)
    problems = load_task(TASKS.build(name), folder=str(shared_data)).problems
    right = sum(verify(rf"Hence \boxed{{{problem.answer}}}.", problem.answer).correct for problem in problems)
    assert right == COUNTS[name] - REFUSED.get(name, 0)


def test_the_folder_with_the_files_itself_serves_as_well(shared_data: Path) -> None:
    found = load_task(TASKS.build("aime24"), folder=str(shared_data / "benchmarks"))
    assert (found.rows, found.notes) == (30, ())


def test_leading_zeros_several_values_and_whole_numbers(shared_data: Path) -> None:
    answers = {
        name: [p.answer for p in load_task(TASKS.build(name), folder=str(shared_data)).problems]
        for name in ("aime24", "amc23", "olympiadbench", "gsm8k")
    }
    assert {"025", "073"} <= set(answers["aime24"])
    assert all(answer.lstrip("-").isdigit() for answer in answers["amc23"])
    assert any(answer.count("$") == 4 for answer in answers["olympiadbench"])
    assert not any("," in answer or "#" in answer for answer in answers["gsm8k"])


def test_levels_and_categories(shared_data: Path) -> None:
    task = TASKS.build("math500")
    problems = load_task(task, folder=str(shared_data)).problems
    levels = [problem.meta[task.level_key] for problem in problems]
    assert [levels.count(level) for level in (1, 2, 3, 4, 5)] == [43, 90, 105, 128, 134]
    assert sum(problem.category == "Algebra" for problem in problems) == 124


def as_the_hub_has_it(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Our rows with the columns and ids that the Hub's copy was described to have."""
    if name == "math500":
        return [{"unique_id": r["id"], "solution": r"\boxed{0}", **r, "id": None} for r in rows]
    if name == "aime24":
        return [{**r, "id": int(r["id"].split("/")[1]), "solution": "", "year": "2024"} for r in rows]
    if name == "amc23":
        return [
            {"id": int(r["id"].split("/")[1]), "question": r["problem"], "answer": float(r["answer"])} for r in rows
        ]
    if name == "gsm8k":
        numbers = [f"{int(r['answer']):,}" if r["answer"].isdigit() else r["answer"] for r in rows]
        worked = [f"So 1,000 + 1 = <<1000+1=1001>>1,001\n#### {number}" for number in numbers]
        return [{"question": r["problem"], "answer": w} for r, w in zip(rows, worked, strict=True)]
    if name == "minerva_math":
        return [{"question": r["problem"], "answer": r["answer"]} for r in rows]
    if name == "olympiadbench":
        return [
            {
                "id": int(r["id"].split("/")[1]), "question": r["problem"], "solution": ["long"], "subject": "Math",
                "final_answer": [r["answer"] if "$" in r["answer"] else f"${r['answer']}$"], "subfield": r["subject"],
            }
            for r in rows
        ]  # fmt: skip
    suffix = r" Let's think step by step and output the final answer within \boxed{}."
    return [
        {
            "prompt": [{"role": "user", "content": r["problem"] + suffix}],
            "reward_model": {"ground_truth": r["answer"], "style": "rule"}, "extra_info": {"index": r["index"]},
        }
        for r in rows
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["math500", "aime24", "amc23", "gsm8k", "minerva_math", "olympiadbench", "dsr_sub"])
def test_the_hubs_columns_give_the_same_problems(shared_data: Path, name: str) -> None:
    """Same ids, questions, references and so the same digest; categories too where both have them."""
    task = TASKS.build(name)
    ours = load_task(task, folder=str(shared_data))
    rows = [json.loads(line) for line in Path(ours.origin).read_text("utf-8").splitlines()]
    made = [RawRow(n, row) for n, row in enumerate(as_the_hub_has_it(name, rows), 1)]
    theirs = task.problems(made, "hub")
    assert [(p.id, p.prompt, p.answer) for p in theirs] == [(p.id, p.prompt, p.answer) for p in ours.problems]
    if name in ("math500", "olympiadbench"):
        assert [p.category for p in theirs] == [p.category for p in ours.problems]


def test_the_suite_has_the_papers_protocol() -> None:
    protocols = {name: TASKS.build(name).protocol for name in SUITES["math6"]}
    greedy, sampled = ("math500", "minerva_math", "olympiadbench"), ("aime24", "aime25", "amc23")
    assert protocols == dict.fromkeys(greedy, GREEDY) | dict.fromkeys(sampled, SAMPLED)
    assert (GREEDY.temperature, GREEDY.samples, GREEDY.max_new_tokens, GREEDY.suffix) == (0.0, 1, 3072, "")
    assert (SAMPLED.temperature, SAMPLED.samples, SAMPLED.max_new_tokens, SAMPLED.suffix) == (0.6, 8, 3072, "")
