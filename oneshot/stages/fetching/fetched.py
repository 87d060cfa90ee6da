"""What `oneshot fetch` says of one thing. Loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot.errors import OneshotError

FETCHED, THERE, NOTHING, FAILED = "fetched", "there", "nothing", "failed"
WORDS: Mapping[str, str] = {
    FETCHED: "fetched",
    THERE: "was there already",
    NOTHING: "needs no fetching",
    FAILED: "failed",
}


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """One model, task or data set."""

    name: str
    kind: str
    """`model`, `task` or `data`."""
    state: str
    """One of `WORDS`."""
    where: str = ""
    """Folder or file."""
    bytes: int | None = None
    """On disk; None where it is not known."""
    rows: int | None = None
    """Problems of a task."""
    notes: tuple[str, ...] = ()
    error: OneshotError | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        told = {key: value for key, value in self.__dict__.items() if key != "error"}
        error = self.error
        said = {"code": error.code, "message": error.message, "tries": error.tries} if error else None
        return {**told, "notes": list(self.notes), "error": said}


def bytes_below(folder: Path) -> int:
    """The sum of the files below a folder, or of the one file."""
    return sum(path.stat().st_size for path in ([folder] if folder.is_file() else folder.rglob("*")) if path.is_file())
