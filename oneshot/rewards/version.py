"""Which grader gave a verdict: a short name for its code, to tell whether recorded verdicts are still its own."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import metadata
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from oneshot.config.gym import LENIENT, PREFIX

LENGTH = 12
"""Hex digits."""
_GYM_PACKAGE = "reasoning-gym"


def grader_version(name: str) -> str:
    """Twelve hex digits that change with the code of a grader.

    Of a grader of ours: sha256 over every source of `oneshot/rewards` and `boxes.py`, so that a change anywhere in it
    counts, also one that changes no verdict. Of a reasoning-gym scorer: the same with the package's version. Of a
    user's `file.py:function`: the sha256 of the file; what it imports is not looked at. A version is to be compared
    for equality, nothing else.
    """
    if name.startswith((PREFIX, LENIENT)):
        return hashlib.sha256(f"{_ours()} {_installed(_GYM_PACKAGE)}".encode()).hexdigest()[:LENGTH]
    if ":" in name or name.endswith(".py"):
        file = Path(name.rpartition(":")[0] or name).expanduser()
        return hashlib.sha256(file.read_bytes()).hexdigest()[:LENGTH] if file.is_file() else ""
    return _ours()[:LENGTH]


@lru_cache(maxsize=1)
def _ours() -> str:
    package = files("oneshot")
    sources = _sources(package / "rewards", "rewards") | {"boxes.py": package / "boxes.py"}
    digest = hashlib.sha256()
    for path, source in sorted(sources.items()):
        text = source.read_bytes().replace(b"\r\n", b"\n")  # a checkout may have other line ends
        digest.update(f"{path} {len(text)} ".encode() + text)
    return digest.hexdigest()


def _sources(folder: Traversable, name: str) -> dict[str, Traversable]:
    """Every Python file under a folder of the package, by its path."""
    found: dict[str, Traversable] = {}
    for entry in folder.iterdir():
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            found |= _sources(entry, path)
        elif entry.name.endswith(".py"):
            found[path] = entry
    return found


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
