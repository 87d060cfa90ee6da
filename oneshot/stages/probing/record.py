"""The record of a probe: every sample that was drawn for it, appended batch by batch. Loads no torch.

A JSON-lines file. Its first line says what makes the samples comparable; every other one is a batch, whole or absent:

    {"schema": "oneshot.probe/1", "protocol": {"model": ..., "temperature": ..., "seed": ..., "pool": ...}}
    {"phase": "choose", "rows": [[index, sample, correct, answer, tokens, cut], ...]}

`phase` is `choose` or `fresh`. A sample is fixed by (seed, phase, index, sample), so what is here need not be drawn
again, whatever was asked for when it was; which samples a probe needs is worked out anew each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot._store import sample_record

CHOOSE, FRESH = "choose", "fresh"
MAX_ANSWER = 200
"""Characters of an extracted answer that are kept."""
KIND = sample_record.Kind(
    schema="oneshot.probe/1",
    name="probe",
    tries=("--out ANOTHER.jsonl   (a new probe, with a record of its own)",),
)


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
        batches = sample_record.opened(path, KIND, protocol)
        found: dict[tuple[str, int, int], Sample] = {}
        for phase, rows in sample_record.batches_of(path, KIND, batches, _read):
            found |= {(phase, s.index, s.sample): s for s in rows}
        return cls(path, found)

    def __len__(self) -> int:
        return len(self._found)

    def get(self, phase: str, index: int, sample: int) -> Sample | None:
        """A sample, None when it was not drawn yet."""
        return self._found.get((phase, index, sample))

    def append(self, phase: str, samples: Sequence[Sample]) -> None:
        """Keep a batch, on disk when this returns. `MachineError` E202 on a full disk; the batches before are whole."""
        rows = [[s.index, s.sample, int(s.correct), s.answer, s.tokens, int(s.cut)] for s in samples]
        sample_record.append(self.path, phase, rows)
        self._found |= {(phase, s.index, s.sample): s for s in samples}


def _read(phase: str, row: Sequence[Any]) -> Sample:
    index, sample, correct, answer, tokens, cut = row
    return Sample(
        index=int(index),
        sample=int(sample),
        correct=bool(correct),
        answer=None if answer is None else str(answer),
        tokens=int(tokens),
        cut=bool(cut),
    )
