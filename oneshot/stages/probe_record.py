"""The record of a probe: every sample that was drawn for it, appended batch by batch. Loads no torch.

A JSON-lines file. Its first line says what makes the samples comparable; every other one is a batch, whole or absent:

    {"schema": "oneshot.probe/1", "protocol": {"model": ..., "temperature": ..., "seed": ..., "pool": ...}}
    {"phase": "choose", "rows": [[index, sample, correct, answer, tokens, cut], ...]}

`phase` is `choose` or `fresh`. A sample is fixed by (seed, phase, index, sample), so what is here need not be drawn
again, whatever was asked for when it was; which samples a probe needs is worked out anew each time.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.errors import UsageError

SCHEMA = "oneshot.probe/1"
CHOOSE, FRESH = "choose", "fresh"
MAX_ANSWER = 200
"""Characters of an extracted answer that are kept."""
_ANOTHER = ("--out ANOTHER.jsonl   (a new probe, with a record of its own)",)
FOLLOWS = ("weights", "prompts")
"""Digests that change with other entries; they are named only when nothing else differs."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One graded response."""

    index: int
    """Of the problem in the pool."""
    sample: int
    """Counts the samples of one problem and phase from 0."""
    correct: bool
    answer: str | None
    """What was extracted, at most `MAX_ANSWER` characters."""
    tokens: int
    cut: bool
    """The response hit the length limit."""


def record_beside(out: Path) -> Path:
    """Where the samples of a probe for `out` are kept: `picks.jsonl` -> `picks.probe.jsonl`, in the same folder."""
    return out.with_name(f"{out.stem}.probe.jsonl")


class ProbeRecord:
    """The samples in one file; open it with `ProbeRecord.open`."""

    def __init__(self, path: Path, found: dict[tuple[str, int, int], Sample]) -> None:
        self.path = path
        self._found = found

    @classmethod
    def open(cls, path: Path, protocol: Mapping[str, Any]) -> ProbeRecord:
        """A new record, or the one that is there.

        Raises:
            UsageError: E107 it was made otherwise, with what differs; E106 it is no record of a probe, is damaged, or
                cannot be read or written there.
            MachineError: E202 the disk is full.
        """
        asked = files.plain(protocol)
        try:
            rows = files.read_lines(path)
            if not rows:
                path.parent.mkdir(parents=True, exist_ok=True)
                files.append_line(path, {"schema": SCHEMA, "protocol": asked})
                return cls(path, {})
        except OSError as error:
            message = f"the samples of the probe cannot be kept in {path}: {error.strerror}."
            raise UsageError(message, code="E106", tries=_ANOTHER) from error
        head, *batches = rows
        if head.get("schema") != SCHEMA or not isinstance(head.get("protocol"), dict):
            raise UsageError(
                f"{path} is where the samples of this probe would be kept, and it is not the record of a probe: its "
                f"line 1 is not the head of one ({SCHEMA}).",
                code="E106",
                tries=_ANOTHER,
                kept="It was left as it is.",
            )
        _same(path, head["protocol"], asked)
        found: dict[tuple[str, int, int], Sample] = {}
        for line, batch in enumerate(batches, start=2):
            try:
                phase, rows_of = str(batch["phase"]), [_read(row) for row in batch["rows"]]
            except (KeyError, TypeError, ValueError) as error:
                raise _damaged(path, line, f"is not a batch of samples ({type(error).__name__}: {error})") from error
            found |= {(phase, s.index, s.sample): s for s in rows_of}
        return cls(path, found)

    def __len__(self) -> int:
        return len(self._found)

    def get(self, phase: str, index: int, sample: int) -> Sample | None:
        """A sample, None when it was not drawn yet."""
        return self._found.get((phase, index, sample))

    def append(self, phase: str, samples: Sequence[Sample]) -> None:
        """Keep a batch, on disk when this returns. `MachineError` E202 on a full disk; the batches before are whole."""
        rows = [[s.index, s.sample, int(s.correct), s.answer, s.tokens, int(s.cut)] for s in samples]
        files.append_line(self.path, {"phase": phase, "rows": rows})
        self._found |= {(phase, s.index, s.sample): s for s in samples}


def _read(row: Sequence[Any]) -> Sample:
    index, sample, correct, answer, tokens, cut = row
    return Sample(
        index=int(index),
        sample=int(sample),
        correct=bool(correct),
        answer=None if answer is None else str(answer),
        tokens=int(tokens),
        cut=bool(cut),
    )


def _same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse a record made under another protocol, naming each difference."""
    differ = [name for name in dict.fromkeys((*before, *now)) if before.get(name) != now.get(name)]
    if not differ:
        return
    named = [name for name in differ if name not in FOLLOWS] or differ
    what = ", ".join(f"{name} was {before.get(name)!r} and is now {now.get(name)!r}" for name in named)
    raise UsageError(
        f"{path} holds the samples of another probe: {what}.",
        code="E107",
        tries=(*_ANOTHER, _aside(path)),
        kept="Nothing was sampled; the record is as it was.",
    )


def _damaged(path: Path, line: int, what: str) -> UsageError:
    return UsageError(f"{path}, line {line} {what}.", code="E106", tries=(*_ANOTHER, _aside(path)))


def _aside(path: Path) -> str:
    return f"mv {shlex.quote(str(path))} {shlex.quote(f'{path}.old')}"
