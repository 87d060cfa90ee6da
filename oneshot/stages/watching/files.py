"""Reading a run folder that somebody else is writing: files grow, end in half a line, and are cut back by a resume."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


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
        self._offset, self._inode, self._last = 0, 0, b""

    def rows(self) -> list[dict[str, Any]]:
        """Every row there is now; none where the file is absent or cannot be opened."""
        try:
            with open(self.path, "rb") as file:
                self._follow(file)
        except OSError:
            self._forget(0)
        return self._rows

    def _follow(self, file: Any) -> None:
        told = os.fstat(file.fileno())
        file.seek(self._offset - len(self._last))
        same = file.read(len(self._last)) == self._last  # the number of a file that is gone may be another one's
        if told.st_ino != self._inode or not same:
            self._forget(told.st_ino)
            file.seek(0)
        for line in file:
            if not line.endswith(b"\n"):
                return
            self._offset, self._last = self._offset + len(line), line
            self._add(line)

    def _add(self, line: bytes) -> None:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            self._rows.append(row)
        else:
            self.strange += 1

    def _forget(self, inode: int) -> None:
        self._rows, self.strange, self._offset, self._inode, self._last = [], 0, 0, inode, b""
