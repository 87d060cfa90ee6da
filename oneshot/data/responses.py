"""Rows of responses to grade, one at a time. Strict: the first row that is none is an error with its line.

    reference  gold, answer, reference, ground_truth; text or a number, which is taken as it is written
    response   response, completion; text
    id         id, if there is one
    expected   true or false, if there is one: what the verdict should be

The first column of a line that holds something is used, row by row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oneshot.errors import DataError

REFERENCE = ("gold", "answer", "reference", "ground_truth")
RESPONSE = ("response", "completion")
EXAMPLE = r'{"gold": "12.8", "response": "So it is \\boxed{12.8}."}'
_BOM = b"\xef\xbb\xbf"


class _Written(str):
    """A number of a row as it stands there: a reference must not lose a digit."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row to grade. `line` counts from 1."""

    line: int
    reference: str
    response: str
    id: str | int | None = None
    expected: bool | None = None
    """What the verdict should be, where the row says it."""


def read_responses(lines: Iterable[bytes], source: str) -> Iterator[Row]:
    """The rows of jsonl lines, one after another; a BOM, CRLF line ends and blank lines at the end are fine.

    Raises:
        DataError: E301 at the first line that is no row, with its number; when there is no row at all.
    """
    blank = rows = 0
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if not text.strip():
            blank = blank or number
            continue
        if blank:
            raise _bad(source, blank, "the line is empty", "Every line must be one JSON object.")
        rows += 1
        yield _row(text, source, number)
    if not rows:
        raise DataError(f"{source} holds no rows.", tries=(EXAMPLE,))


def _row(line: bytes, source: str, number: int) -> Row:
    rule = "Every line must be one JSON object in UTF-8."
    try:
        values = json.loads(line.decode(), parse_int=_Written, parse_float=_Written, parse_constant=_Written)
    except (ValueError, RecursionError) as error:  # ValueError: bad JSON and bad UTF-8 alike
        raise _bad(source, number, f"the line is not JSON ({error})", rule) from error
    if not isinstance(values, dict):
        kind = "number" if isinstance(values, _Written) else type(values).__name__
        raise _bad(source, number, f"the line is a JSON {kind}, not an object", rule)
    expected, identity = values.get("expected"), values.get("id")
    if expected is not None and not isinstance(expected, bool):
        raise _bad(source, number, f"expected is {_kind(expected)}", "It must be true or false.")
    if isinstance(identity, _Written):
        identity = _whole(identity)
    return Row(
        line=number,
        reference=_text(values, REFERENCE, "reference", source, number),
        response=_text(values, RESPONSE, "response", source, number),
        id=identity if isinstance(identity, (str, int)) else None,
        expected=expected,
    )


def _text(values: Mapping[str, Any], names: tuple[str, ...], what: str, source: str, line: int) -> str:
    """The first of the columns that holds something. A reference may be a number, a response must be text."""
    found = [name for name in names if values.get(name) is not None]
    if not found:
        raise _bad(source, line, f"no {what}", f"It is read from one of: {', '.join(names)}.")
    value = values[found[0]]
    if not isinstance(value, str) or (isinstance(value, _Written) and not _reference(value, what)):
        rule = "It must be text or a finite number." if what == "reference" else "It must be text."
        raise _bad(source, line, f"the {what} ({found[0]}) is {_kind(value)}", rule)
    return str(value)


def _reference(value: _Written, what: str) -> bool:
    return what == "reference" and value not in ("NaN", "Infinity", "-Infinity")


def _kind(value: Any) -> str:
    kinds = {_Written: "a number", bool: "true or false", list: "a list", dict: "an object", str: "text"}
    return kinds.get(type(value), type(value).__name__)


def _whole(text: str) -> int | str:
    """A row's id as a whole number where it is one that Python reads."""
    return int(text) if text.lstrip("-").isdigit() and len(text) < 4_000 else str(text)


def _bad(source: str, line: int, what: str, rule: str) -> DataError:
    """E301 for one row: file, line, what is there, the rule, and a row that would do."""
    return DataError(f"{source}, line {line}: {what}. {rule}", tries=(EXAMPLE,))
