"""Which evaluations a run has, and on which of them base and trained model are compared: one rule for every output.

Loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from oneshot._store import files, names
from oneshot._store.values import number, section
from oneshot.errors import OneshotError
from oneshot.record import RunFolder

BASE = "base"
Readings = Mapping[str, Mapping[int, str]]
"""Task -> step -> checkpoint of its evaluations, by step; the base model is step 0."""


def step_of(checkpoint: str) -> int | None:
    """Optimiser steps behind a checkpoint's name: 0 for `base`, 12 for `checkpoint-12`, None for other names."""
    step = 0 if checkpoint == BASE else names.checkpoint_number(checkpoint)
    return step if step >= 0 else None


def evaluated(run: RunFolder, missing: list[str]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """(task, checkpoint) -> results.json of every finished evaluation, base first, then by step.

    A damaged file costs its own evaluation and a sentence in `missing`. The names are those of results.json; where an
    older one lacks them, those of the folders. A folder with another name than its evaluation's was put aside by hand.
    """
    found = {}
    for path in sorted(run.path.glob("evals/*/*/results.json")):
        told = _results(path, missing)
        task, checkpoint = str(told.get("task") or path.parts[-3]), str(told.get("checkpoint") or path.parts[-2])
        if path.parent == run.eval_dir(task, checkpoint):
            found[task, checkpoint] = told
    return dict(sorted(found.items(), key=lambda item: (item[0][0], names.checkpoint_number(item[0][1]), item[0][1])))


def _results(path: Path, missing: list[str]) -> Mapping[str, Any]:
    try:
        return files.read_json(path)
    except (OneshotError, OSError, RecursionError) as error:
        missing.append(f"evals/{path.parent.parent.name}/{path.parent.name}/results.json cannot be read: {error}.")
        return {}


def readings_of(found: Sequence[tuple[str, str]] | Mapping[tuple[str, str], Any]) -> dict[str, dict[int, str]]:
    """The evaluations of the base model and of its checkpoints; others, as `base+icl`, are left out."""
    table: dict[str, dict[int, str]] = {}
    for task, checkpoint in found:
        step = step_of(checkpoint)
        if step is not None:
            table.setdefault(task, {})[step] = checkpoint
    return {task: dict(sorted(steps.items())) for task, steps in table.items()}


def both(readings: Readings) -> list[str]:
    """The tasks that were read with the base and with a trained model."""
    return [task for task, steps in readings.items() if steps.get(0) == BASE and len(steps) > 1]


def sizes_of(
    found: Mapping[tuple[str, str], Mapping[str, Any]], tasks: Sequence[str], count: Callable[[str], int]
) -> dict[str, int]:
    """Problems of each task, as results.json of its base has them; of an older one without them what `count` finds."""
    told = {task: number(found[task, BASE].get("n")) for task in tasks}
    return {task: count(task) if n is None else int(n) for task, n in told.items()}


def chosen(readings: Readings, sizes: Mapping[str, int], summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """The task that base and trained model are compared on; empty where there is none.

    The one that summary.json is about, whose sentence every output begins with; else a test set (`...test`), else the
    one with most problems. A summary names its task; of an older one it shows in the number of problems, and of
    several with as many it is the test set of the demo, else the dev set (`evals.source`), as the verbs write it.

    Args:
        readings: of the run.
        sizes: problems of each task.
        summary: `summary.json`, or nothing.
        config: `config.json`, or nothing.
    """
    told, dev = summary_size(summary), PurePath(str(section(config, "evals").get("source") or "")).stem

    def rank(task: str) -> tuple[bool, bool, bool, int, str]:
        size = sizes.get(task, 0)
        ours = told is not None and size == told
        return ours, task.endswith("test"), ours and task == dev, size, task

    there, named = both(readings), str(summary.get("task") or "")
    return named if named in there else max(there, key=rank, default="")


def summary_size(summary: Mapping[str, Any]) -> int | None:
    """How many problems the comparison in summary.json has; None where it has none."""
    found = number((section(summary, "overall") or section(summary, "paired")).get("n"))
    return None if found is None else int(found)
