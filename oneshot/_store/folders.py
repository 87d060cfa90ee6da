"""Folders that are whole or absent, and that can tell later whether they still are what was written.

A folder is filled beside its place, sealed (checksums inside, everything forced to disk) and renamed into place.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from pathlib import Path

from oneshot._store import files

CHECKSUMS = "checksums.json"
"""sha256 of every other file of the folder. Whoever does not know it passes over it."""
SCHEMA = "oneshot.checksums/1"


def seal(folder: Path) -> None:
    """Write `checksums.json` over every file below `folder`, and force all of it to disk."""
    inside = sorted(folder.rglob("*"))
    sums = {path.relative_to(folder).as_posix(): _force(path) for path in inside if path.is_file()}
    body = files.dumps({"schema": SCHEMA, "files": sums}, indent=2).encode() + b"\n"
    (folder / CHECKSUMS).write_bytes(body)
    _force(folder / CHECKSUMS)
    for path in (folder, *(path for path in inside if path.is_dir())):
        files.sync_folder(path)


def put(made: Path, target: Path) -> None:
    """Rename `made` to `target`. What was there is whole until then, and removed afterwards."""
    old = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    if target.exists():
        os.replace(target, old)
    try:
        os.replace(made, target)
    except OSError:
        if old.exists():
            os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)
    files.sync_folder(target.parent)


def fault(folder: Path) -> str:
    """What is wrong with a sealed folder, as the end of a sentence about it; empty when every file is as written."""
    if not folder.is_dir():
        return "is gone"
    try:
        told = json.loads((folder / CHECKSUMS).read_bytes())["files"]
        for name, expected in told.items():
            if not (folder / name).is_file():
                return f"has no {name}"
            if _sha256(folder / name) != expected:
                return f"is damaged: {name} is not what was written"
    except FileNotFoundError:
        return f"has no {CHECKSUMS}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"is damaged: {CHECKSUMS} cannot be read"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _force(path: Path) -> str:
    """Force a file to disk; returns its sha256."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
