"""`oneshot eval --responses FILE`: stored outputs of any system, graded as a task's answers. Loads no torch.

A row is a JSON object with

    id        of the problem; text or a whole number
    response  (or `completion`) the text
    sample    counts the responses to one problem; rows without it count 0, 1, 2, ... in the order of the file
    cut       true where the response ended at a limit; or `finished`, its opposite
    tokens    how many it has
    task      needed where several tasks are graded

All but the first two may be left out. The share of cut responses and lengths are null unless every row says them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oneshot.data.rows import RawRow, read_rows
from oneshot.data.tasks.task import Task
from oneshot.errors import DataError, UsageError
from oneshot.registry import nearest
from oneshot.types import Problem

EXAMPLE = r'{"id": "17", "response": "So it is \\boxed{12.8}."}'
RESPONSE = ("response", "completion")
LARGEST = 10**9
"""No response has more tokens, and no problem more responses."""
FIRST_IDS = 5
"""Ids named where problems have no response."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One row of the file. `line` counts from 1."""

    line: int
    task: str
    id: str
    sample: int | None
    """None where the row has no number."""
    response: str
    cut: bool | None
    """None where the row does not say it."""
    tokens: int | None


@dataclass(frozen=True, kw_only=True)
class Given:
    """The responses to one task."""

    rows: tuple[tuple[Problem, Stored], ...]
    """In the order of the problems, then of the samples."""
    missing: tuple[str, ...]
    """Ids of problems without a response."""
    beyond: int = 0
    """Rows of problems of the task that lie beyond the limit."""
    copies: tuple[int, int] | None = None
    """Two lines of one problem, where every problem's responses are one text and no row has a number."""

    @property
    def samples(self) -> tuple[int, int]:
        """The least and the most responses to one problem that has any."""
        counts = Counter(stored.id for _, stored in self.rows).values()
        return min(counts, default=0), max(counts, default=0)

    @property
    def says_cut(self) -> bool:
        """Whether every row says if its response was cut."""
        return all(stored.cut is not None for _, stored in self.rows)

    @property
    def says_tokens(self) -> bool:
        """Whether every row says how long its response is."""
        return all(stored.tokens is not None for _, stored in self.rows)

    def warnings(self, task: str) -> list[str]:
        """What there is to say of what is not there."""
        said = []
        if self.missing:
            first = ", ".join(self.missing[:FIRST_IDS]) + (", ..." if len(self.missing) > FIRST_IDS else "")
            answered = len({stored.id for _, stored in self.rows})
            said.append(
                f"warning: {task}: {len(self.missing)} of {len(self.missing) + answered} problems have no response and "
                f"are not in n: {first}"
            )
        low, high = self.samples
        if low < high:
            said.append(f"warning: {task}: problems have {low} to {high} responses; each problem counts the same")
        if self.copies:
            said.append(
                f"warning: {task}: all responses to a problem are the same text, as in lines {self.copies[0]} and "
                f"{self.copies[1]}; they count as {high} samples each. Is the file there twice? Rows with `sample` are "
                "not asked about"
            )
        if self.beyond:
            said.append(f"{task}: {self.beyond} responses belong to problems beyond --limit and are left out")
        return said


def digest(path: Path) -> str:
    """sha256 (hex) of the file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(source: str, tasks: Sequence[str]) -> list[Stored]:
    """The rows of a file of responses to these tasks, in its order.

    Raises:
        UsageError: E106 no such file.
        DataError: E301 at the first row that is none or belongs to no task here, with its line.
    """
    path = Path(source).expanduser()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        tries = (f"oneshot eval --responses FILE.jsonl --tasks {','.join(tasks)}",)
        raise UsageError(f"the file of responses {source} {what}.", code="E106", tries=tries)
    try:
        rows = read_rows(path)
    except DataError as error:  # it shows a row of problems
        raise DataError(error.message, code=error.code, tries=(EXAMPLE,), kept="Nothing was graded.") from error
    return [_stored(row, source, tasks) for row in rows]


def _stored(row: RawRow, source: str, tasks: Sequence[str]) -> Stored:
    values, line = row.values, row.line
    task = _task(values.get("task"), source, line, tasks)
    identity = values.get("id")
    if isinstance(identity, bool) or not isinstance(identity, (str, int)) or identity == "":
        what = "no id" if identity is None or identity == "" else f"the id is {_kind(identity)}"
        raise _bad(source, line, what, "It must be text or a whole number.")
    column = next((name for name in RESPONSE if values.get(name) is not None), "")
    if not column:
        raise _bad(source, line, "no response", f"It is read from one of: {', '.join(RESPONSE)}.")
    if not isinstance(values[column], str):
        raise _bad(source, line, f"the response ({column}) is {_kind(values[column])}", "It must be text.")
    return Stored(
        line=line,
        task=task,
        id=str(identity),
        sample=_count(values, "sample", source, line),
        response=values[column],
        cut=_cut(values, source, line),
        tokens=_count(values, "tokens", source, line),
    )


def _task(named: Any, source: str, line: int, tasks: Sequence[str]) -> str:
    if named is None and len(tasks) == 1:
        return tasks[0]
    if named is None:
        raise _bad(source, line, "no task", f"With several tasks each row names its own: {', '.join(tasks)}.")
    if named not in tasks:
        near = nearest(named, list(tasks)) if isinstance(named, str) else ""
        raise _bad(source, line, f"the task {named!r} is not graded here", f"Graded are: {', '.join(tasks)}.", near)
    return str(named)


def _count(values: Mapping[str, Any], name: str, source: str, line: int) -> int | None:
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
        shown = repr(value) if len(repr(value)) <= 40 else f"{repr(value)[:37]}..."
        rule = "0 or more" if not isinstance(value, int) or value < 0 else f"at most {LARGEST:,}"
        raise _bad(source, line, f"{name} is {shown}", f"It must be a whole number, {rule}.")
    return value


def _cut(values: Mapping[str, Any], source: str, line: int) -> bool | None:
    cut, finished = values.get("cut"), values.get("finished")
    for name, value in (("cut", cut), ("finished", finished)):
        if value is not None and not isinstance(value, bool):
            raise _bad(source, line, f"{name} is {_kind(value)}", "It must be true or false.")
    if cut is not None and finished is not None and cut == finished:
        raise _bad(source, line, f"cut and finished are both {str(cut).lower()}", "One is the opposite of the other.")
    return cut if cut is not None else None if finished is None else not finished


def match(rows: Iterable[Stored], source: str, task: Task, problems: Sequence[Problem], *, limit: int = 0) -> Given:
    """The rows of a task beside its problems; an id may stand with or without the task's own prefix (`aime24/60`).

    Raises:
        DataError: E301 an id that the task does not have, with its line and the nearest one; a response that is there
            twice, with both lines; no row at all.
    """
    rows = tuple(row for row in rows if row.task == task.name)
    found: dict[str, dict[int, Stored]] = {problem.id: {} for problem in problems}
    counts: Counter[str] = Counter()
    prefix = str(getattr(task.problems, "prefix", ""))
    for row in rows:
        name = row.id if row.id in found else f"{prefix}/{row.id}"
        if name not in found:
            rule, near = f"Its ids look like {next(iter(found), '')!r}.", nearest(row.id, list(found))
            raise _bad(source, row.line, f"{task.name} has no problem {row.id!r}", rule, near)
        number = counts[name] if row.sample is None else row.sample
        counts[name] += row.sample is None
        if number in found[name]:
            what = f"the response {number} to {row.id!r} is there already, in line {found[name][number].line}"
            raise _bad(source, row.line, what, "Several responses to a problem differ in `sample`, or have none.")
        found[name][number] = replace(row, id=name, sample=number)
    asked = problems[: limit or None]
    pairs = [(p, found[p.id][number]) for p in asked for number in sorted(found[p.id])]
    if not pairs:
        raise DataError(
            f"{source} holds no response to the {len(asked)} problems of {task.name} that are asked for.",
            tries=(EXAMPLE,),
            kept="Nothing was graded.",
        )
    missing = tuple(p.id for p in asked if not found[p.id])
    beyond = sum(map(len, found.values())) - len(pairs)
    numbered = any(row.sample is not None for row in rows)
    return Given(rows=tuple(pairs), missing=missing, beyond=beyond, copies=None if numbered else _copies(pairs))


def _copies(pairs: Iterable[tuple[Problem, Stored]]) -> tuple[int, int] | None:
    """The lines of two responses to one problem, where all responses to every problem are the same text."""
    first: dict[str, Stored] = {}
    lines = None
    for problem, stored in pairs:
        other = first.setdefault(problem.id, stored)
        if other.response != stored.response:
            return None
        if lines is None and other is not stored:
            lines = other.line, stored.line
    return lines


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object", str: "text"}
    return kinds.get(type(value), type(value).__name__)


def _bad(source: str, line: int, what: str, rule: str, near: str = "") -> DataError:
    """E301 for one row: file, line, what is there, the nearest that would be right, the rule, a row that would do."""
    return DataError(f"{source}, line {line}: {what}.{near} {rule}", tries=(EXAMPLE,), kept="Nothing was graded.")
