"""Rows of a jsonl or parquet file, as they stand there. Strict: a row that is none is an error with its line."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot.errors import DataError, UsageError

EXAMPLE_ROW = '{"prompt": "What is 17 + 25?", "answer": "42"}'
JSONL = (".jsonl", ".ndjson")
_PARQUET_MAGIC = b"PAR1"
_MAX_DIGITS = 4_000  # Python refuses to read longer whole numbers; they stay text


@dataclass(frozen=True)
class RawRow:
    """One row as it stands in the file. `line` counts from 1: the line of a jsonl file, the row of a parquet file."""

    line: int
    values: dict[str, Any]


def read_rows(path: Path) -> list[RawRow]:
    """Every row of a jsonl or parquet file. A BOM, CRLF line ends and blank lines at the end are fine.

    Raises:
        UsageError: E106 when the file is missing or neither jsonl nor parquet.
        DataError: E301 when a line is blank or not a JSON object, or the file holds no rows.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(f"the data file {path} {what}.", code="E106", tries=("--data FILE.jsonl",))
    data = path.read_bytes()
    if data.startswith(_PARQUET_MAGIC):
        rows = _parquet_rows(path)
    elif path.suffix in JSONL or (path.suffix != ".parquet" and data.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"{")):
        rows = jsonl_rows(data, str(path))
    else:
        raise UsageError(
            f"{path} is neither jsonl (one JSON object a line) nor parquet.",
            code="E106",
            tries=(f"a .jsonl file whose lines look like {EXAMPLE_ROW}",),
        )
    if not rows:
        raise DataError(f"{path} holds no rows.", tries=(EXAMPLE_ROW,))
    return rows


def jsonl_rows(data: bytes, source: str) -> list[RawRow]:
    """The rows of jsonl text in UTF-8; DataError E301 with the line of the first that is not a JSON object."""
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return [RawRow(number, _object(line, source, number)) for number, line in enumerate(lines, 1)]


def bad_row(source: str, line: int, what: str, rule: str) -> DataError:
    """E301 for one row: file, line, what is there, the rule, and a row that would do."""
    return DataError(f"{source}, line {line}: {what}. {rule}", tries=(EXAMPLE_ROW,), kept="No row was used.")


def _parquet_rows(path: Path) -> list[RawRow]:
    import pyarrow
    from pyarrow import parquet

    try:
        values = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path} cannot be read as parquet: {said}", code="E106") from error
    return [RawRow(number, row) for number, row in enumerate(values, 1)]


def _object(line: bytes, source: str, number: int) -> dict[str, Any]:
    """One line as a JSON object."""
    rule = "Every line must be one JSON object in UTF-8."
    if not line.strip():
        raise bad_row(source, number, "the line is empty", rule)
    try:
        value = json.loads(line.decode(), parse_int=_whole, parse_float=_real)
    except (ValueError, RecursionError) as error:  # ValueError: bad JSON and bad UTF-8 alike
        raise bad_row(source, number, f"the line is not JSON ({error})", rule) from error
    if not isinstance(value, dict):
        raise bad_row(source, number, f"the line is a JSON {type(value).__name__}, not an object", rule)
    return value


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= _MAX_DIGITS else text


def _real(text: str) -> float | str:
    """A float where it holds every digit written, else the text: a reference must not be rounded."""
    return float(text) if len(text) <= 16 and math.isfinite(float(text)) else text
