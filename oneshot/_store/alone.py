"""One process at a time: a lock file with the process's id. The system lets go of it when the process ends, however.

{"pid": 4711, "host": "node3", "since": "2026-01-31T12:00:00+00:00"}
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.errors import UsageError

NAME = "lock.json"


@contextmanager
def alone(folder: Path, what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Inside, no other process is in a folder. A lock of a process that has ended is taken over, which is said.

    Where no file can be made or the file system has no locks, nothing is locked: who writes there says what is wrong.

    Args:
        folder: made where there is none.
        what: is done there, for the message: "is measured".
        say: told in a sentence of a lock that was taken over.

    Raises:
        UsageError: E104 another process holds it.
    """
    path, handle = folder / NAME, None
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle = _taken(path, what)
    if handle is None:
        yield
        return
    try:
        if left := _read(handle):
            say(f"{folder}: process {left.get('pid')} ended before its work did; its work goes on here")
        os.truncate(handle, 0)
        os.pwrite(handle, files.dumps(_own()).encode() + b"\n", 0)
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(handle)


def _own() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(timespec="seconds")}


def _taken(path: Path, what: str) -> int:
    """The file, open and locked."""
    while True:
        with ExitStack() as open_files:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            open_files.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _refused(path.parent, _read(handle), what) from None
            if _same(handle, path):  # else the one who held it has removed it
                open_files.pop_all()
                return handle


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _read(handle: int) -> Mapping[str, Any]:
    try:
        found = json.loads(os.pread(handle, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refused(folder: Path, held: Mapping[str, Any], what: str) -> UsageError:
    pid, host = held.get("pid"), held.get("host", "")
    who = f"process {pid}" if isinstance(pid, int) else "another process"
    where = f" on {host}" if host not in ("", socket.gethostname()) else ""
    since = f" since {held['since']}" if "since" in held else ""
    tries = (f"ps -p {pid}",) if isinstance(pid, int) and not where else ()
    return UsageError(
        f"{folder} {what} by {who}{where}{since}. Two at once would do the work twice and mix what they keep.",
        code="E104",
        tries=(*tries, "the same command again   (when that process has ended)"),
        kept="Nothing was sampled.",
    )
