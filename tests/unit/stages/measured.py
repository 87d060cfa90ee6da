"""Tasks with graded rows that are written down, as `oneshot eval` holds them before it prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneshot.data.tasks.files import file_task
from oneshot.data.tasks.task import Protocol
from oneshot.measure.scores import summary
from oneshot.rewards.functions import build_verifier
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.claims import judge
from oneshot.stages.evals.output import text
from oneshot.stages.evals.results import Measured
from oneshot.types import EvalRow


def rows(grades: Sequence[Sequence[int]], *, parts: int = 2) -> list[EvalRow]:
    return [
        EvalRow(
            id=str(i), category=f"a rather long part of the problems {i % parts}", prompt=f"{i}?", answer="1",
            response="1", extracted="1", correct=bool(right), status="ok", cut=False, tokens=12_345, sample=s,
            meta={"boxed": bool(right), "lenient": bool(right), "forced": bool(right)},
        )
        for i, row in enumerate(grades)
        for s, right in enumerate(row)
    ]  # fmt: skip


def measured(name: str, *, floor: float = 0.0, **checkpoints: Sequence[EvalRow]) -> Measured:
    grader = build_verifier("math")
    asked = Asked(
        name=f"{name}-1234abcd", task=file_task(f"{name}.jsonl", []), problems=(), protocol=Protocol(),
        verify=grader, strict=grader, lenient=grader, data={"origin": f"{name}.jsonl"},
    )  # fmt: skip
    found = Measured(asked=asked)
    for checkpoint, each in checkpoints.items():
        found.add(checkpoint.replace("__", "+").replace("_", "-"), summary(each, floor=floor), each)
    return found


def lines(tasks: dict[str, Any], ks: Sequence[int] = (), **more: Any) -> list[str]:
    if not any("claim" in told.get("paired", {}) for told in tasks.values()):
        judge(tasks)
    found = text({"tasks": tasks, **more}, ks).splitlines()
    assert all(len(line) <= 80 for line in found), "\n".join(found)
    return found


ZERO, HALF, ALL = [[0]] * 10, [[1], [0]] * 5, [[1]] * 10
