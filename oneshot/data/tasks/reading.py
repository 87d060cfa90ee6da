"""How the rows of a benchmark become problems: our file, or the Hub's copy with other columns and ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneshot.data.readers import COLUMNS, to_problems
from oneshot.data.rows import RawRow, bad_row
from oneshot.types import Problem


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A `ReadRows` for tasks with a question and a reference; columns as in `data/readers.py` where not said otherwise.

    Raises:
        DataError: E301 with the line: two rows with one id, no question, no column for the reference, ...
    """

    prefix: str = ""
    """An id without `/` becomes `prefix/id`, and a row without one gets its place, `prefix/0`; so the Hub's copy and
    our file name a problem alike."""
    answers: tuple[str, ...] = ()
    """Columns of the reference, the first that holds something; empty means those of `data/readers.py`."""
    read_answer: Callable[[Any], Any] = lambda value: value
    """The reference out of what stands in that column."""
    categories: tuple[str, ...] = ()
    """Columns of the category, the first that holds text; empty means those of `data/readers.py`."""

    def __call__(self, rows: Sequence[RawRow], source: str) -> list[Problem]:
        """One problem a row, in order."""
        named = [RawRow(row.line, self._values(row.values, place)) for place, row in enumerate(rows)]
        refuse_equal_ids(named, source)
        return to_problems(named, source, allow_empty_answer=True)[0]

    def _values(self, values: Mapping[str, Any], place: int) -> dict[str, Any]:
        """The row with `id`, and where this task says how, `answer` and `subject` as `to_problems` reads them."""
        row = {name: value for name, value in values.items() if name not in COLUMNS["id"]}
        row["id"] = identity(values, self.prefix, place)
        column = next((name for name in self.answers if values.get(name) is not None), "")
        if column:
            del row[column]
            row["answer"] = self.read_answer(values[column])
        kind = next((name for name in self.categories if isinstance(values.get(name), str)), "")
        if kind:
            row["subject"] = row.pop(kind)
        return row


def identity(values: Mapping[str, Any], prefix: str, place: int) -> str:
    """The id of a row: its own, else its place; with the prefix unless it names a path already."""
    found = [_inner(values, column) for column in COLUMNS["id"]]
    given = next((str(value).strip() for value in found if _names(value)), str(place))
    return given if not prefix or "/" in given else f"{prefix}/{given}"


def refuse_equal_ids(rows: Sequence[RawRow], source: str) -> None:
    """E301 with both lines where two rows have one id: their results could not be told apart."""
    first: dict[str, int] = {}
    for row in rows:
        name = str(row.values["id"])
        if name in first:
            rule = "Ids must be unique; several responses to each problem are asked for with --n 8."
            raise bad_row(source, row.line, f"the id {name!r} stands in line {first[name]} already", rule)
        first[name] = row.line


def _inner(values: Mapping[str, Any], column: str) -> Any:
    """A column's value; a dot looks into a nested one."""
    value: Any = values
    for part in column.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _names(value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool) and bool(str(value).strip())
