"""Files that are whole or absent: atomic writes, JSON lines, gzip.

A reader never sees half a file: bytes go to a hidden temporary name in the same folder, are forced to disk, and are
renamed over the target. Temporary names start with a dot and end in `.tmp`; one left behind by a kill is never read.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import numbers
import os
import secrets
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oneshot._store.disk import full_disk
from oneshot.errors import UsageError


def plain(value: Any) -> Any:
    """`value` as JSON types: mappings, sequences, dataclasses, paths and numpy values are converted.

    NaN and infinities become None, because strict JSON (and every browser) has no word for them.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} cannot be recorded as JSON")


def dumps(value: Any, indent: int | None = None) -> str:
    """Strict JSON, on one line by default; in ASCII, so that lone surrogates and odd line breaks in texts survive."""
    try:
        return json.dumps(value, allow_nan=False, indent=indent, default=plain)
    except ValueError:  # a NaN or an infinity; the common case is spared the walk through every token
        return json.dumps(plain(value), allow_nan=False, indent=indent)


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write several files so that a failure while writing replaces none of them; folders are created.

    Raises:
        MachineError: E202 when the disk is full; the previous versions of all files are still there.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        for path, data in contents.items():
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
            staged.append((temporary, path))
            with full_disk(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(temporary, "xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
        for temporary, path in staged:
            os.replace(temporary, path)
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)
    for folder in {path.parent for path in contents}:
        sync_folder(folder)


def write_bytes(path: Path, data: bytes) -> None:
    """`write_together` for one file."""
    write_together({path: data})


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files of `write_together` directly inside `folder`, left there by a killed process."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def append_bytes(path: Path, data: bytes) -> None:
    """Add bytes to a file and force them to disk; what cannot be written whole is taken back.

    Raises:
        MachineError: E202 when the disk is full; what was there before is intact.
    """
    with full_disk(path), open(path, "ab", buffering=0) as file:
        _add(file, data, file.tell())


def _add(file: io.FileIO, data: bytes, start: int) -> None:
    """Write all of `data` at the end of an unbuffered file, or cut the file back to `start` bytes and raise."""
    try:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
        os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            file.truncate(start)
        raise


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Append one JSON line and force it to disk.

    A line torn by an earlier kill is cut off first, or completed when only its line break is missing; a line that
    cannot be written whole is taken back.

    Raises:
        MachineError: E202 when the disk is full; the lines before are intact.
    """
    data = dumps(row).encode() + b"\n"
    with full_disk(path), open(path, "a+b", buffering=0) as file:
        start = _mend(file)
        _add(file, data, start)


def _mend(file: io.FileIO) -> int:
    """Make the file end in a whole line; returns its size then."""
    end = file.seek(0, os.SEEK_END)
    if end == 0:
        return 0
    file.seek(end - 1)
    if file.read(1) == b"\n":
        return end
    file.seek(0)
    data = file.readall()
    keep = data.rfind(b"\n") + 1
    if _parses(data[keep:]):
        file.write(b"\n")
        return end + 1
    file.truncate(keep)
    return keep


def _parses(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as JSON lines."""
    return b"".join(dumps(row).encode() + b"\n" for row in rows)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Rows of a `.jsonl` file; none when it is absent.

    An unparsable last line without a line break is a torn write and is left out.

    Raises:
        UsageError: E106 with the line number for any other unparsable line.
    """
    if not path.exists():
        return []
    return _rows(path, path.read_bytes())


def _rows(path: Path, data: bytes) -> list[dict[str, Any]]:
    *whole, last = data.split(b"\n")
    if _parses(last):
        whole.append(last)
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(whole, start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path}, line {number} is not JSON: {error}.", code="E106") from error
        if not isinstance(row, dict):
            raise UsageError(f"{path}, line {number} is not a JSON object.", code="E106")
        rows.append(row)
    return rows


def read_json(path: Path) -> dict[str, Any]:
    """One JSON object; empty when the file is absent, `UsageError` E106 when it cannot be parsed."""
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}.", code="E106") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path} is not a JSON object.", code="E106")
    return value


def gzipped(data: bytes) -> bytes:
    """Gzip without name and time, so that equal content gives equal bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=6, mtime=0) as file:
        file.write(data)
    return buffer.getvalue()


def read_gzipped_lines(path: Path) -> list[dict[str, Any]]:
    """Rows of a `.jsonl.gz` file; `UsageError` E106 when it is absent or damaged."""
    try:
        data = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise UsageError(f"there is no {path}.", code="E106") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is damaged: {error}.", code="E106") from error
    return _rows(path, data)


def sync_folder(folder: Path) -> None:
    """Force the renames in `folder` to disk where the system can; not every one opens folders."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
