"""Reading a run folder that somebody else is writing: files grow, end in half a line, and are cut back by a resume."""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oneshot.errors import UsageError

_LOGPROBS = re.compile(rb'"logprobs": \[[^\]]*\]')


class Tail:
    """The rows of a `.jsonl` file that grows; each call of `rows` reads only what is new.

    A file that was replaced or cut (a resumed run is) is read again from its start. Half a line waits for its other
    half. A line that is no JSON object is counted and passed over: whoever looks on must not die of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.strange = 0
        """Lines that were passed over."""
        self._rows: list[dict[str, Any]] = []
        self._offset, self._inode = 0, 0

    def rows(self) -> list[dict[str, Any]]:
        """Every row there is now."""
        try:
            with open(self.path, "rb") as file:
                self._follow(file)
        except FileNotFoundError:
            self._forget(0)
        return self._rows

    def _follow(self, file: Any) -> None:
        told = os.fstat(file.fileno())
        file.seek(max(self._offset - 1, 0))
        ends = self._offset == 0 or file.read(1) == b"\n"
        if told.st_ino != self._inode or told.st_size < self._offset or not ends:
            self._forget(told.st_ino)
            file.seek(0)
        for line in file:
            if not line.endswith(b"\n"):
                return
            self._offset += len(line)
            self._add(line)

    def _add(self, line: bytes) -> None:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            self._rows.append(row)
        else:
            self.strange += 1

    def _forget(self, inode: int) -> None:
        self._rows, self.strange, self._offset, self._inode = [], 0, 0, inode


def streamed(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a `.jsonl.gz` file one by one; never more than one of them is held. `logprobs` come out empty.

    They are half of the time that reading takes, and nobody who looks on needs them. Inside a text their key has
    backslashes before its quotes, so nothing but the key itself is found.

    Raises:
        UsageError: E106 it is absent, damaged, or has a line that is no JSON object.
    """
    try:
        with gzip.open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                row = json.loads(_LOGPROBS.sub(b'"logprobs": []', line, count=1))
                if not isinstance(row, dict):
                    raise UsageError(f"{path}, line {number} is not a JSON object.", code="E106")
                yield row
    except FileNotFoundError as error:
        raise UsageError(f"there is no {path}.", code="E106") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is damaged: {error}.", code="E106") from error
    except ValueError as error:
        raise UsageError(f"{path}, line {number} is not JSON: {error}.", code="E106") from error
