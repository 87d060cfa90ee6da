"""Where `oneshot select` writes: looked at before any work, then written whole or not at all. Loads no torch."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from oneshot._store import files
from oneshot._store.disk import full_disk
from oneshot.errors import UsageError
from oneshot.stages.probing.record import record_beside


def check_place(out: Path, *, probe: bool) -> None:
    """Refuse a file that is there, or that could not be written, before anything is ranked or loaded.

    Raises:
        UsageError: E104 it exists; E106 its folder is none or not ours to write, or the place of a probe's record is
            taken by a folder.
    """
    if os.path.lexists(out):
        raise _taken(out)
    for path in (out, record_beside(out))[: 1 + probe]:
        try:
            os.lstat(path)
        except FileNotFoundError:
            continue
        except OSError as error:  # a name that is too long, a file in place of a folder
            raise _unwritable(path, error.strerror) from error
        if path.is_dir():
            raise _unwritable(path, "it is a folder")
    folder = next(above for above in out.absolute().parents if os.path.exists(above))
    if not folder.is_dir():
        raise _unwritable(out, f"{folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(out, f"{folder} may not be written")


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet; it appears whole, and never over another one.

    Raises:
        UsageError: E104 it exists, E106 it cannot be written there.
        MachineError: E202 the disk is full; no part of it is left.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with full_disk(path), open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _publish(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _taken(path) if os.path.lexists(path) else _unwritable(path, error.strerror) from error
    except OSError as error:
        raise _unwritable(path, error.strerror) from error
    files.sync_folder(path.parent)


def _publish(temporary: Path, path: Path) -> None:
    """Give the file its name. A link fails where there is one already; not every file system has links."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        os.replace(temporary, path)


def _taken(out: Path) -> UsageError:
    return UsageError(
        f"{out} exists already, and nothing is overwritten.",
        code="E104",
        tries=(f"--out {out.with_name(f'{out.stem}-2{out.suffix}')}",),
        kept="Nothing was written.",
    )


def _unwritable(path: Path, why: str | None) -> UsageError:
    return UsageError(
        f"{path} cannot be written: {why or 'the system does not say why'}.", code="E106", tries=("--out FILE.jsonl",)
    )
