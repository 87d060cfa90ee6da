"""Which of a response's recorded grades counts: the evaluation's own, a stricter or a more lenient one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from oneshot.types import EvalRow

Grade = Callable[[EvalRow], bool]


def is_right(row: EvalRow) -> bool:
    """The grade of the evaluation itself."""
    return row.correct


def at_training_limit(row: EvalRow) -> bool:
    """Right when the same output is cut at the training limit."""
    return bool(row.meta["correct_short"])


def strict_box(row: EvalRow) -> bool:
    """Right when only a complete box counts."""
    return bool(row.meta["boxed"])


def lenient(row: EvalRow) -> bool:
    """Right when an answer outside a box counts too."""
    return bool(row.meta["lenient"])


def forced(row: EvalRow) -> bool:
    """Right after a box was forced where there was none."""
    return bool(row.meta["forced"])


KEYS = {"boxed": strict_box, "lenient": lenient, "forced": forced, "correct_short": at_training_limit}
"""Key of `EvalRow.meta` -> the grade that reads it."""


def recorded(rows: Sequence[EvalRow], key: str) -> bool:
    """Whether every response has the grade under this key of its meta; without a response there is none."""
    return bool(rows) and all(key in row.meta for row in rows)


def graded_as(rows: Sequence[EvalRow], right: Grade) -> list[EvalRow]:
    """The same responses with another of their grades as the one that counts."""
    return [replace(row, correct=right(row)) for row in rows]
