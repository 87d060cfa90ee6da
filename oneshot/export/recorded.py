"""A recorded evaluation as the exporters of results see it, and what they share. Loads no torch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from oneshot._store import files, names
from oneshot.data.tasks.task import LOGLIKELIHOOD, Task
from oneshot.measure import grades
from oneshot.measure.pairing import by_problem
from oneshot.types import EvalRow

BASE = "base"
"""The checkpoint that is the model itself."""
NORMED = "acc_norm"
"""The grade of a choice by log-likelihood over length."""
LONGEST = 120
"""Characters of a name. File systems take 255 bytes, and names are put together from several."""

Say = Callable[[str], None]


def _normed(row: EvalRow) -> bool:
    return bool(row.meta["correct_norm"])


OTHERS: Mapping[str, tuple[str, grades.Grade]] = {
    "strict": ("boxed", grades.strict_box),
    "lenient": ("lenient", grades.lenient),
    "forced": ("forced", grades.forced),
    NORMED: ("correct_norm", _normed),
}
"""Grades beside the one that counts: the key of a row's meta, and what reads it."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One task under one checkpoint, out of `evals/`."""

    name: str
    """The task's folder in evals/."""
    checkpoint: str
    """`base`, `checkpoint-12`, or with a variant of the prompt `base+icl`."""
    results: Mapping[str, Any]
    """The content of results.json."""
    rows: tuple[EvalRow, ...]
    task: Task

    @property
    def protocol(self) -> Mapping[str, Any]:
        """How it was asked."""
        found: Mapping[str, Any] = self.results.get("protocol", {})
        return found

    @property
    def data(self) -> Mapping[str, Any]:
        """Where the problems came from."""
        found: Mapping[str, Any] = self.protocol.get("data", {})
        return found

    @property
    def limit(self) -> int:
        """The task's first so many problems only; 0 is all of them."""
        return int(self.data.get("limit") or 0)

    @property
    def model(self) -> str:
        """The model's name, with the checkpoint where it is not the model itself; of stored responses, their file's."""
        name = str(self.protocol.get("model") or f"responses-{str(self.protocol.get('responses', ''))[:8]}")
        return name if self.checkpoint == BASE else f"{name}@{self.checkpoint}"

    @property
    def variant(self) -> str:
        """How the prompt differs from the task's own; empty where it does not."""
        return self.checkpoint.partition("+")[2]

    @property
    def likelihood(self) -> bool:
        """Whether given continuations were compared and nothing was generated."""
        return self.protocol.get("kind") == LOGLIKELIHOOD

    @property
    def grader(self) -> str:
        """The grader whose verdict counts; of compared continuations `likelihood`."""
        return str(self.protocol.get("grader") or "likelihood")

    def known(self, row: EvalRow) -> dict[str, Any]:
        """A response's `tokens` and `cut`; stored responses need not say them, then they are None."""
        said = {"tokens": "mean_tokens", "cut": "cut"}
        return {
            name: getattr(row, name) if self.results.get(key, 0) is not None else None for name, key in said.items()
        }

    @cached_property
    def problems(self) -> dict[str, list[EvalRow]]:
        """The responses to each problem, in the order recorded."""
        return by_problem(self.rows)

    @cached_property
    def graded(self) -> dict[str, grades.Grade]:
        """Every grade that all responses have: the one that counts under the grader's name, first."""
        others = {name: grade for name, (key, grade) in OTHERS.items() if grades.recorded(self.rows, key)}
        return {self.grader: grades.is_right} | others

    def shares(self, right: grades.Grade = grades.is_right) -> list[float]:
        """Each problem's share of right responses."""
        return [sum(map(right, rows)) / len(rows) for rows in self.problems.values()]


def mean(values: Sequence[float]) -> float:
    """The mean of at least one value."""
    return math.fsum(values) / len(values)


def stderr(values: Sequence[float]) -> float | None:
    """Sample deviation over sqrt(n), as other harnesses print it; None for fewer than two values.

    It is 0 where all values are equal, and small samples get no more room than large ones: the interval of
    `results.json` is the one to quote.
    """
    if len(values) < 2:
        return None
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1) / len(values))


def clean(value: Any) -> Any:
    """`value` as JSON types that every reader takes: unpaired surrogates become U+FFFD, NaN and infinities None."""
    return _whole(files.plain(value))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def digest(*parts: object) -> str:
    """sha256 (hex) of texts, one after another with their lengths."""
    found = hashlib.sha256()
    for part in parts:
        data = str(part).encode("utf-8", "surrogatepass")
        found.update(b"%d:" % len(data) + data)
    return found.hexdigest()


def file_name(text: str) -> str:
    """A name for a file or folder out of any text, at most 120 characters."""
    name = names.file_name(clean(text))
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}-{digest(text)[:8]}"


def stamp(date: datetime) -> str:
    """A time for a file name, in UTC: `2026-11-21T17-50-00`."""
    return date.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%S")
