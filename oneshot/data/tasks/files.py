"""Any jsonl or parquet file as a task: columns as in `data/readers.py`, one greedy response to each row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from oneshot.data.readers import COLUMNS, to_problems
from oneshot.data.rows import JSONL, RawRow
from oneshot.data.tasks.reading import Reading
from oneshot.data.tasks.task import GREEDY, Task
from oneshot.types import Problem

SUFFIXES = (*JSONL, ".parquet")


def is_file(spec: str) -> bool:
    """Whether a text names a file rather than a task: by its ending."""
    return Path(spec).suffix in SUFFIXES


def file_task(spec: str, taken: Sequence[str]) -> Task:
    """The task of one file, called by its stem; `file-...` before it where that is the name of a task (`taken`)."""
    path = Path(spec).expanduser()
    stem = re.sub(r"[^\w.-]", "_", path.stem).strip(".") or "file"
    return Task(
        name=f"file-{stem}" if stem in taken else stem,
        title=str(spec),
        protocol=GREEDY,
        problems=problems,
        file=str(path),
    )


def problems(rows: Sequence[RawRow], source: str) -> list[Problem]:
    """Rows with ids must have different ones; where no row has one, the id is a hash of the question."""
    with_ids = any(row.values.get(name) is not None for row in rows for name in COLUMNS["id"][:3])
    return Reading()(rows, source) if with_ids else to_problems(rows, source, allow_empty_answer=True)[0]
