"""Evaluation folders made by hand, for `oneshot compare`: a character a response, no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot.measure.scores import summary
from oneshot.record import EvalFolder, Evaluations, RunFolder
from oneshot.types import EvalRow

PROTOCOL: dict[str, Any] = {
    "model": "toy", "weights": "aaaa", "dtype": "float32", "prompt": "<user>1 + 1?", "eos_ids": [2], "kind": "generate",
    "samples": 1, "temperature": 0.0, "max_new_tokens": 64, "suffix": "", "system": "", "seed": 0,
    "grader": "math-lenient", "grader_version": "g1", "data": {"digest": "d1", "limit": 0, "rows": 4},
}  # fmt: skip


def response(key: str, kind: str, sample: int = 0, category: str = "") -> EvalRow:
    """`1` right in a box, `l` right outside one, `0` wrong, `n` no answer, `c` cut."""
    return EvalRow(
        id=key, category=category, prompt="1 + 1?", answer="2", response=kind, extracted="2" if kind in "1l0" else None,
        correct=kind in "1l", status="ok", cut=kind == "c", tokens=3, sample=sample,
        meta={"boxed": kind == "1", "lenient": kind in "1l"},
    )  # fmt: skip


def responses(words: str | Sequence[str], prefix: str = "p") -> list[EvalRow]:
    """A character a problem, or a word a problem with a character a sample."""
    return [response(f"{prefix}{i}", kind, sample) for i, word in enumerate(words) for sample, kind in enumerate(word)]


def put(
    store: Evaluations, task: str, checkpoint: str, words: str | Sequence[str] | Sequence[EvalRow], *, floor: float = 0.0,
    **protocol: Any,
) -> None:  # fmt: skip
    """Record an evaluation; `protocol` replaces entries of `PROTOCOL`."""
    made = [word for word in words if isinstance(word, EvalRow)] or responses([str(word) for word in words])
    rows = [replace(row, prompt=f"{task}: 1 + 1?") for row in made]
    results = {"schema": "oneshot.results/2", **summary(rows, floor=floor), "protocol": PROTOCOL | protocol}
    store.write_eval(task, checkpoint, results, rows)


def run(root: Path, name: str = "pi1", *, source: str = "") -> RunFolder:
    """An empty run folder below `root`."""
    config = {"seed": 0, "model": {"name": "toy"}, "evals": {"source": source}}
    return RunFolder.create(root, name, config, ["oneshot", "train"])


def folder(path: Path, **model: Any) -> EvalFolder:
    """The folder of a model without a run."""
    return EvalFolder.open(path, model or {"model": "toy"})
