"""A file that samples are appended to, batch by batch, so that sampling goes on where it was killed. Loads no torch.

JSON lines. The first says what makes the samples comparable; every other one is a batch, whole or absent:

    {"schema": "oneshot.probe/1", "protocol": {"model": ..., "temperature": ..., "seed": ..., ...}}
    {...}

Who keeps samples says in a `Kind` what they are called and what one can do when they do not fit; a probe and an
evaluation do.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from oneshot._store import files
from oneshot.errors import UsageError

FOLLOWS = ("weights", "prompts")
"""Digests that change with other entries; they are named only when nothing else differs."""

Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is sampled, for messages and for the head."""

    schema: str
    name: str
    """`probe`: "the samples of the probe", "the record of a probe"."""
    tries: tuple[str, ...] = ()
    """Ways on beside moving the file."""


def opened(path: Path, kind: Kind, protocol: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The batches of a record, as they were appended; a new record with its head when there is none.

    Raises:
        UsageError: E107 it was made otherwise, with what differs; E106 it is no such record, is damaged, or cannot be
            read or written there.
        MachineError: E202 the disk is full.
    """
    asked = files.plain(protocol)
    try:
        rows = files.read_lines(path)
        if not rows:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.append_line(path, {"schema": kind.schema, "protocol": asked})
            return []
    except OSError as error:
        message = f"the samples of the {kind.name} cannot be kept in {path}: {error.strerror}."
        raise UsageError(message, code="E106", tries=kind.tries) from error
    head, *batches = rows
    if head.get("schema") != kind.schema or not isinstance(head.get("protocol"), dict):
        article = "an" if kind.name[0] in "aeiou" else "a"
        raise UsageError(
            f"{path} is where the samples of this {kind.name} would be kept, and it is not the record of {article} "
            f"{kind.name}: its line 1 is not the head of one ({kind.schema}).",
            code="E106",
            tries=kind.tries or (aside(path),),
            kept="It was left as it is.",
        )
    check_same(path, kind, head["protocol"], asked)
    return batches


def batches_of(
    path: Path, kind: Kind, batches: Sequence[Mapping[str, Any]], read: Callable[[str, Any], Row]
) -> list[tuple[str, list[Row]]]:
    """(phase, rows) of each batch `{"phase": ..., "rows": [...]}`, each row as `read(phase, row)` understands it.

    Raises:
        UsageError: E106 with the line of a damaged batch.
    """
    found = []
    for line, batch in enumerate(batches, start=2):
        try:
            phase = str(batch["phase"])
            found.append((phase, [read(phase, row) for row in batch["rows"]]))
        except (KeyError, TypeError, ValueError) as error:
            what = f"{path}, line {line} is not a batch of samples ({type(error).__name__}: {error})."
            raise UsageError(what, code="E106", tries=(*kind.tries, aside(path))) from error
    return found


def append(path: Path, phase: str, rows: Sequence[Any]) -> None:
    """Keep a batch, on disk when this returns. `MachineError` E202 on a full disk; the batches before are whole."""
    files.append_line(path, {"phase": phase, "rows": rows})


def check_same(path: Path, kind: Kind, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse what was sampled under another protocol, naming each difference. `UsageError` E107."""
    differ = [name for name in dict.fromkeys((*before, *now)) if before.get(name) != now.get(name)]
    if not differ:
        return
    named = [name for name in differ if name not in FOLLOWS] or differ
    what = ", ".join(f"{name} was {before.get(name)!r} and is now {now.get(name)!r}" for name in named)
    raise UsageError(
        f"{path} holds the samples of another {kind.name}: {what}.",
        code="E107",
        tries=(*kind.tries, aside(path)),
        kept="Nothing was sampled; the record is as it was.",
    )


def aside(path: Path) -> str:
    """A line that moves a file or folder out of the way."""
    return f"mv {shlex.quote(str(path))} {shlex.quote(f'{path}.old')}"
