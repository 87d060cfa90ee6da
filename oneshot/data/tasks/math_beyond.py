"""MATH-Beyond: 181 problems that some model of up to 8 billion parameters did not solve in 1,024 tries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from oneshot.data.rows import RawRow
from oneshot.data.tasks.reading import Reading
from oneshot.data.tasks.task import TASKS, Hub, Protocol, Task
from oneshot.types import Problem

UNSOLVED = "unsolved"
"""Key of `Problem.meta`: the models that never solved it, by the columns `MODEL_unsolved`."""
_FLAG = "_unsolved"
_read = Reading(prefix="math_beyond", categories=("topic", "subject"))


def problems(rows: Sequence[RawRow], source: str) -> list[Problem]:
    """The columns of 21 models become one list; which subset counts depends on the model that is trained."""
    return [_folded(problem) for problem in _read(rows, source)]


def _folded(problem: Problem) -> Problem:
    models = sorted(key.removesuffix(_FLAG) for key, value in problem.meta.items() if key.endswith(_FLAG) and value)
    kept = {key: value for key, value in problem.meta.items() if not key.endswith(_FLAG) and "_pass@" not in key}
    return replace(problem, meta={**kept, UNSOLVED: models})


@TASKS.register("math_beyond")
def math_beyond() -> Task:
    """Read as pass@k with large k on the problems the model in question did not solve."""
    return Task(
        name="math_beyond",
        title="MATH-Beyond",
        protocol=Protocol(samples=128, temperature=0.6),
        problems=problems,
        hub=Hub(
            name="brendel-group/MATH-Beyond",
            split="test",
            revision="1a2a6294ff8d673aeb271ab3eff272e8d6b48c2d",
            columns={"prompt": "problem", "answer": "answer", "category": "topic"},
            seen="https://huggingface.co/datasets/brendel-group/MATH-Beyond/commit/"
            "eefd08212dcd2a4e6f500dcaffbccad33e29d40b; columns and the whole revision: public download scripts",
        ),
        file="math_beyond",
        count=181,
        note="128 responses give pass@64 with twice as many; the paper goes to pass@1024: --n 1024.",
    )
