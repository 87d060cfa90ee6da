"""The disk: room before a run, and the one error for a full one."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneshot.errors import MachineError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no space, a quota, a limit on a file's size


def check_disk(path: Path, need_bytes: int) -> None:
    """Raise `MachineError` E202 when the disk of `path` (which need not exist yet) has less than `need_bytes` free."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < need_bytes:
        raise MachineError(
            f"{path} needs {_size(need_bytes)} but only {_size(free)} are free on its disk.",
            code="E202",
            tries=(f"df -h {place}",),
            kept="Nothing was written.",
        )


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


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
