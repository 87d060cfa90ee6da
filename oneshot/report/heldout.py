"""Which recorded evaluations the page uses: the comparison, the curve, the other tasks. Counts come from the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneshot.errors import OneshotError
from oneshot.measure import gains
from oneshot.measure.compared import both, chosen, readings_of, sizes_of, step_of, summary_size
from oneshot.measure.pairing import by_problem
from oneshot.measure.scores import accuracy
from oneshot.measure.statistics import Interval
from oneshot.report.reading import Reading
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]
MOST_TASKS = 40


@dataclass(frozen=True, kw_only=True)
class Read:
    """One evaluation on a held-out curve: optimiser steps taken, accuracy with its interval."""

    step: int
    accuracy: Interval


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task beside the comparison: base against the last checkpoint that read it."""

    name: str
    title: str
    checkpoint: str
    paired: Mapping[str, Any] | None
    """`gains.Paired` as a mapping; None where the two cannot be paired."""
    why: str = ""
    """Why they cannot."""
    best_on_dev: Mapping[str, Any] = field(default_factory=dict)
    """Of the checkpoint that was best on dev, as summary.json has it; empty where there is none."""
    best_on_test: Mapping[str, Any] = field(default_factory=dict)
    """What choosing on the task itself would give, with its correction."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What of `evals/` the page needs."""

    task: str = ""
    checkpoint: str = ""
    summarised: bool = True
    """What summary.json compares, if anything, is this task and this checkpoint."""
    base: Rows = ()
    trained: Rows = ()
    between: tuple[str, Rows] = ("", ())
    """Another checkpoint that read the compared task, nearest to the middle of the run, and its rows."""
    readings: Mapping[str, int] = field(default_factory=dict)
    """Task -> checkpoints that read it, the base among them."""
    curve_task: str = ""
    curves: Mapping[str, Sequence[Read]] = field(default_factory=dict)
    tasks: Sequence[Task] = ()
    results: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """(task, checkpoint) -> results.json."""


def own_rows(rows: Rows, kind: str) -> list[EvalRow]:
    """The rows of the example's own kind: the rung `own_kind` where rungs exist, else the example's category."""
    if any(row.meta.get("rungs") for row in rows):
        return [row for row in rows if "own_kind" in (row.meta.get("rungs") or ())]
    return [row for row in rows if kind and row.category == kind]


def held_out(
    reading: Reading,
    kind: str,
    config: Mapping[str, Any],
    summary: Mapping[str, Any],
    beside: HeldOut | None = None,
) -> HeldOut:
    """Read what is needed of a run's evaluations; what cannot be read is noted in `reading`.

    Which task is compared is `measure.compared`'s choice. With `beside`, the evaluations of the run that this one is a
    control arm of: that run's task, after as many steps, as far as this one was read there.
    """
    results = reading.evals()
    steps = readings_of(results)
    bases = {t: rows for t, read in steps.items() if 0 in read and (rows := reading.graded(t, "base", texts=False))}
    sizes = sizes_of(results, both(steps), lambda name: len({row.id for row in bases.get(name, ())}))
    own = chosen(steps, sizes, summary, config)
    task = beside.task if beside is not None and beside.task in both(steps) else own
    curve = max(steps, key=lambda name: (len(steps[name]), name != task, name), default="")
    read = steps.get(task, {})
    wanted = step_of(beside.checkpoint) if beside is not None else None
    place = wanted if wanted and wanted in read else max(read, default=0)
    last, middle = read.get(place, ""), _between([step for step in read if step <= place])
    told = summary_size(summary)
    return HeldOut(
        task=task,
        checkpoint=last,
        summarised=task == own and place == max(read, default=0) and told in (None, sizes.get(task)),
        base=reading.graded(task, "base", texts=True) if task else (),
        trained=reading.graded(task, last, texts=True) if task else (),
        between=(read[middle], reading.graded(task, read[middle], texts=True)) if middle else ("", ()),
        readings={name: len(found) for name, found in steps.items()},
        curve_task=curve,
        curves=_curves(reading, curve, steps.get(curve, {}), kind),
        tasks=_others(reading, steps, bases, {task, curve if _is_dev(curve, steps) else task}, summary),
        results=results,
    )


def _is_dev(curve: str, steps: Mapping[str, Mapping[int, str]]) -> bool:
    """Whether the curve's task was read more often than the others: what is drawn need not be a row too."""
    return all(len(found) < len(steps[curve]) for name, found in steps.items() if name != curve)


def _between(steps: Sequence[int]) -> int:
    """Of the steps read, the one nearest to half of the last, not counting base and last; 0 where there is none."""
    inner = sorted(steps)[1:-1]
    return min(inner, key=lambda step: (abs(step - max(steps) / 2), step), default=0)


def _curves(reading: Reading, task: str, read: Mapping[int, str], kind: str) -> dict[str, list[Read]]:
    """Own kind and other kinds apart where the rows tell; else one curve."""
    out: dict[str, list[Read]] = {}
    for step in sorted(read):
        rows = reading.graded(task, read[step], texts=False)
        own = own_rows(rows, kind)
        mine = {row.id for row in own}
        others = [row for row in rows if row.id not in mine]
        split = {"held-out, own kind": own, "held-out, other kinds": others} if own and others else {"held-out": rows}
        for label, part in split.items():
            if part:
                out.setdefault(label, []).append(Read(step=step, accuracy=accuracy(by_problem(part))))
    return out


def _others(
    reading: Reading,
    steps: Mapping[str, Mapping[int, str]],
    bases: Mapping[str, Rows],
    left_out: set[str],
    summary: Mapping[str, Any],
) -> list[Task]:
    """Every other task with base and a checkpoint, as recorded for the run (`evals.tasks`) or by a later `eval`."""
    told = summary.get("tasks")
    entries = {str(e.get("folder") or name): e for name, e in told.items() if isinstance(e, Mapping)} \
        if isinstance(told, Mapping) else {}  # fmt: skip
    tasks = []
    for name in sorted(set(bases) - left_out)[:MOST_TASKS]:
        last = max(steps[name])
        if last == 0:
            continue
        checkpoint, entry = steps[name][last], entries.get(name, {})
        title = str(entry.get("title") or name)
        rows = reading.graded(name, checkpoint, texts=False)
        paired, why = pair(bases[name], rows)
        best = [found if isinstance(found := entry.get(f"best_on_{by}"), Mapping) else {} for by in ("dev", "test")]
        tasks.append(
            Task(
                name=name, title=title, checkpoint=checkpoint, paired=paired, why=why, best_on_dev=best[0],
                best_on_test=best[1],
            )
        )  # fmt: skip
    return tasks


def pair(base: Rows, trained: Rows) -> tuple[Mapping[str, Any] | None, str]:
    """The paired difference, or why there is none."""
    try:
        return gains.paired(base, trained).as_dict(), ""
    except OneshotError as error:
        return None, error.message
