"""The built-in task as a test task: all kinds with equal weight, where no training example is known."""

from __future__ import annotations

from collections.abc import Sequence

from oneshot.data.rows import RawRow
from oneshot.data.tasks import builtin as generator
from oneshot.data.tasks.task import TASKS, Protocol, Task
from oneshot.data.tasks.wordings import WORDINGS
from oneshot.types import Problem

PER_KIND = 30


def held_out(task_seed: int) -> list[Problem]:
    """`PER_KIND` problems of each kind from the test split, in all wordings; operand sets are distinct in a kind."""
    rows: list[Problem] = []
    for kind, wordings in WORDINGS.items():
        every = tuple(range(len(wordings)))
        rows += generator.problems("test", kind, PER_KIND, task_seed=task_seed, wordings=every)
    return rows


def _no_rows(rows: Sequence[RawRow], source: str) -> list[Problem]:
    raise AssertionError("a generated task reads no rows")


@TASKS.register("builtin")
def builtin() -> Task:
    """Eight kinds of arithmetic; nothing is loaded. A run's own test set is another one, the ladder of its example."""
    return Task(
        name="builtin",
        title="built-in arithmetic",
        protocol=Protocol(max_new_tokens=128),
        problems=_no_rows,
        make=held_out,
        count=PER_KIND * len(generator.KINDS),
        digest="0d1f758d58387ac67906f5834bed8723bea234a5a7392f1527bf5debaf23e5b1",
        note="Other task seeds give other problems, the digest is that of seed 0; 128 new tokens, as on the dev set.",
    )
