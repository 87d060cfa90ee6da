"""Evaluation folders made by hand, for `oneshot compare`: a character a response, no model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.measure.scores import summary
from oneshot.record import EvalFolder, Evaluations, RunFolder
from oneshot.stages.evals.averages import base_name
from oneshot.types import EvalRow

Told = tuple[int, str, str]
"""Status, stdout, stderr."""
PROTOCOL: dict[str, Any] = {
    "model": "toy", "weights": "aaaa", "dtype": "float32", "prompt": "<user>1 + 1?", "eos_ids": [2], "kind": "generate",
    "samples": 1, "temperature": 0.0, "max_new_tokens": 64, "suffix": "", "system": "", "seed": 0,
    "grader": "math-lenient", "grader_version": "g1",
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
    store: Evaluations,
    task: str,
    checkpoint: str,
    words: str | Sequence[str] | Sequence[EvalRow],
    *,
    floor: float = 0.0,
    **protocol: Any,
) -> None:
    """Record an evaluation; `protocol` replaces entries of `PROTOCOL`. Trained weights are each run's own."""
    made = [word for word in words if isinstance(word, EvalRow)] or responses([str(word) for word in words])
    rows = [replace(row, prompt=f"{base_name(task)}: {row.id}?") for row in made]
    trained = checkpoint.startswith("checkpoint-")
    own = {
        "weights": f"{store.path.name[-4:]}{checkpoint[10:]}" if trained else "aaaa",
        "data": {"digest": f"d {base_name(task)}", "limit": 0, "rows": 4},
    }
    results = {"schema": "oneshot.results/2", **summary(rows, floor=floor), "protocol": PROTOCOL | own | protocol}
    store.write_eval(task, checkpoint, results, rows)


def run(root: Path, name: str = "pi1", *, source: str = "", seed: int = 0, reward: str = "math") -> RunFolder:
    """An empty run folder below `root`."""
    config = {"seed": seed, "model": {"name": "toy"}, "reward": {"name": reward}, "evals": {"source": source}}
    return RunFolder.create(root, name, config, ["oneshot", "train"])


def folder(path: Path, **model: Any) -> EvalFolder:
    """The folder of a model without a run."""
    return EvalFolder.open(path, model or {"model": "toy"})


def compared(capsys: pytest.CaptureFixture[str], *words: object) -> Told:
    """What `oneshot compare` does with these words."""
    code = main(["compare", *map(str, words)])
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return code, told.out, told.err


def object_of(compare: Callable[..., Told], *words: object, code: int = 0) -> dict[str, Any]:
    """The JSON object of a comparison that ends with this status."""
    status, out, err = compare(*words, "--json")
    assert status == code, out + err
    found: dict[str, Any] = json.loads(out)
    return found
