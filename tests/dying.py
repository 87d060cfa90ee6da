"""A process that kills itself, as by SIGKILL, before a given call that changes the disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

CALLS = ("fsync", "replace", "rename", "unlink", "rmdir")
"""Between two of these functions of `os` a kill leaves the same behind."""


def dying(at: int) -> None:
    """Let call number `at` of any of these functions be the end of this process. For a forked child only."""
    calls = [0]

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            calls[0] += 1
            if calls[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        return call

    for name in CALLS:
        setattr(os, name, wrapped(getattr(os, name)))
