"""What is asked of the machine about a run: whether its process exists, when it last wrote."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from oneshot.measure.heartbeat import Process
from oneshot.record import RunFolder


def process_of(status: Mapping[str, Any]) -> Process:
    """The process that `status.json` names, looked for on this machine only; nothing is sent to it."""
    pid, host = status.get("pid"), status.get("host")
    here = host == platform.node()
    if not isinstance(pid, int) or pid <= 0 or os.name != "posix" or (host and not here):
        return Process(alive=None, here=here)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return Process(alive=False, here=here)
    except (PermissionError, OverflowError):  # somebody else's; or no number of a process at all
        pass
    return Process(alive=not _ended(pid), here=here)


def _ended(pid: int) -> bool:
    """Whether it has ended and only waits for its parent to ask how (a zombie), as in a container without an init."""
    with suppress(OSError):
        # `4711 (name) Z 1 ...`: the name may hold anything, brackets too
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:1] in ([b"Z"], [b"X"])
    return False  # no Linux


def written(run: RunFolder) -> float:
    """When the log or the samples of an evaluation last grew, in seconds since 1970; 0 where there are none."""
    times = [0.0]
    with suppress(OSError):  # also of `glob`, while a resume moves folders
        for path in (run.log_path, *run.path.glob("evals/*/*/partial.jsonl")):
            with suppress(OSError):
                times.append(path.stat().st_mtime)
    return max(times)
