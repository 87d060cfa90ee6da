"""Recorded evaluations for the exporters: two problems answered twice, a choice by log-likelihood, hostile texts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oneshot.data.tasks.task import Hub, Protocol, Task
from oneshot.measure.scores import summary
from oneshot.record import EvalFolder
from oneshot.types import EvalRow

DATE = datetime(2026, 11, 21, 17, 50, 7, tzinfo=UTC)
STAMP = "2026-11-21T17-50-07"
GSM8K = Hub(name="openai/gsm8k", config="main", split="test", revision="c0ffee")
HOSTILE = "</script>\x00\u2028 \ud800 {{x}}: !!python/object - 'é' \x1b[2J\r\n\udc00"


def task(name: str = "sums", **changes: Any) -> Task:
    values: dict[str, Any] = {"title": "Sums", "protocol": Protocol(), "problems": lambda rows, where: []}
    return Task(name=name, **{**values, **changes})


def row(key: str, correct: bool, sample: int = 0, **changes: Any) -> EvalRow:
    values: dict[str, Any] = {
        "category": "add",
        "prompt": f"What is {key}?",
        "answer": "7",
        "response": "It is \\boxed{7}." if correct else "It is 8.",
        "extracted": "7" if correct else None,
        "status": "ok" if correct else "no_answer",
        "cut": not correct,
        "tokens": 9,
        "meta": {"boxed": correct, "lenient": True, "repeated": False},
    }
    return EvalRow(id=key, correct=correct, sample=sample, **{**values, **changes})


TWICE = (row("p/1", True), row("p/1", True, 1), row("p/2", True), row("p/2", False, 1), row("p/3", False))
"""Shares 1, 1/2 and 0: accuracy 1/2, standard error sqrt(1/4 / 3) = 0.288675."""


def choice(key: str, sums: tuple[float, float], correct: bool, normed: bool) -> EvalRow:
    meta = {
        "choices": [{"label": "A", "text": "red"}, {"label": "B", "text": "blue"}],
        "correct_norm": normed,
        "chosen_norm": "A",
        "loglikelihoods": list(sums),
    }
    return row(key, correct, response="red", extracted="A", status="ok", answer="A", meta=meta)


def record(
    folder: Path, rows: Sequence[EvalRow] = TWICE, *, name: str = "sums", checkpoint: str = "base", **protocol: Any
) -> EvalFolder:
    """Add one evaluation to the folder of a model."""
    store = EvalFolder.open(folder, {"name": "tiny"})
    whole = {
        "model": "org/tiny",
        "revision": "",
        "weights": "0123456789abcdef",
        "dtype": "float32",
        "seed": 0,
        "prompt": "<|user|>What is p/1?",
        "eos_ids": [0],
        **Protocol(samples=2, temperature=0.6, max_new_tokens=64, suffix="Think.").as_dict(),
        "grader_version": "abcdef012345",
        "data": {"origin": "sums.jsonl", "rows": 3, "digest": "d" * 64, "limit": 0, "notes": []},
        "libraries": {"oneshot": "0.6.0", "torch": "2.13.0", "transformers": "5.23.0"},
        "seconds": 12.5,
        **protocol,
    }
    store.write_eval(name, checkpoint, {"schema": "oneshot.results/2", **summary(rows), "protocol": whole}, rows)
    return store


def record_stored(folder: Path) -> EvalFolder:
    """Graded responses of another system, as `oneshot eval --responses --out` records them: much is not known."""
    store = EvalFolder.open(folder, {"responses": "x"})
    told = {**summary(TWICE), "cut": None, "mean_tokens": None, "median_tokens": None, "missing": 2}
    protocol = {"responses": "feedbeef" * 8, "grader": "math-lenient", "samples": 2, "data": {"origin": "sums.jsonl"}}
    store.write_eval("sums", "base", {"schema": "oneshot.results/2", **told, "protocol": protocol}, TWICE)
    return store
