"""What ends an evaluation that is no error of ours yet, in words; what was measured before it is kept and printed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneshot.errors import MachineError, OneshotError, Stopped, UsageError

NOTHING = ("Nothing was measured.", "Nothing was graded.")
"""What an error says was kept, which is not so beside the results of other tasks."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def told(out: str | Path = "") -> Iterator[None]:
    """Turn what the file system refuses inside into an error with its path. `out`: the folder of the results.

    Raises:
        UsageError: E104 below `out`, E106 any other file. MachineError: E202 the disk is full.
    """
    try:
        yield
    except OSError as error:
        found = of_files(error, out)
        if found is None:
            raise
        raise found from error


def of_files(error: OSError, out: str | Path) -> OneshotError | None:
    """The error in words; None where it names no file, so that it is none of a file system."""
    if not error.filename:
        return None
    path, why = str(error.filename), os.strerror(error.errno) if error.errno else str(error)
    shown = path if len(path) <= 200 else f"{path[:197]}..."
    said = f"{shown}: {why[:1].lower()}{why[1:]}."
    if error.errno in _FULL:
        return MachineError(said, code="E202", tries=(f"df -h {shown}",))
    if out and _below(path, out):
        return UsageError(
            f"the results cannot be kept in {said}", code="E104", tries=("--out DIR   (a folder that can be written)",)
        )
    return UsageError(f"a file cannot be used: {said}", code="E106", tries=(f"ls -ld {shown}",))


def _below(path: str, out: str | Path) -> bool:
    """Whether a path is a folder or in it; or the nearest folder above it, which then could not be made."""
    one, two = os.path.abspath(path), os.path.abspath(os.path.expanduser(out))
    return os.path.commonpath([one, two]) in (one, two)


@contextmanager
def ends() -> Iterator[None]:
    """Turn Ctrl-C and exhausted memory inside into errors, beside which results can be printed.

    Raises:
        Stopped: 130. MachineError: E201.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Stopped("stopped by Ctrl-C; what was recorded before is kept.", exit_code=130) from stop
    except MemoryError as error:
        again = "the same command again   (it measures only what is missing)"
        raise MachineError("memory ran out.", code="E201", tries=(again,)) from error


def beside(error: OneshotError, more: str = "") -> OneshotError:
    """The same error as it is printed beside results, where it is not true that nothing was measured."""
    kept = error.kept
    for sentence in NOTHING:
        kept = kept.replace(sentence, "")
    error.kept = f"{kept.strip()} {more}".strip()
    return error
