"""The one error for a full disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneshot.errors import MachineError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no space, a quota, a limit on a file's size


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """Turn the system's out-of-space errors, met while `path` is written, into `MachineError` E202."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise MachineError(
            f"the disk is full: {path} could not be written ({error.strerror}).",
            code="E202",
            tries=(f"df -h {path.parent}",),
            kept=f"Everything recorded before in {path.parent} is intact.",
        ) from error
