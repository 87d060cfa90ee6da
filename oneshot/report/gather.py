"""Everything the page says, read from the run folder alone. What `summary.json` lacks is computed from the evaluations.

A run of `oneshot train` has no summary, an old run may have lost files: whatever is absent stays empty here, and the
page says "not measured".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneshot.errors import OneshotError
from oneshot.measure import gains
from oneshot.measure.pairing import by_problem
from oneshot.measure.scores import accuracy, answered
from oneshot.measure.statistics import Interval
from oneshot.record import RunFolder
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One evaluation on a held-out curve: optimiser steps taken, accuracy with its interval."""

    step: int
    accuracy: Interval


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One run as the page sees it."""

    name: str
    config: Mapping[str, Any]
    env: Mapping[str, Any]
    status: Mapping[str, Any]
    summary: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    example: Mapping[str, Any]
    examples: int = 0
    """How many training examples the run has."""
    kind: str = ""
    """The example's category."""
    task: str = ""
    """The evaluation that base and trained model are compared on."""
    checkpoint: str = ""
    """The trained model of that comparison, such as `checkpoint-12`."""
    base: Rows = ()
    trained: Rows = ()
    curves: Mapping[str, Sequence[Reading]] = field(default_factory=dict)
    """Held-out accuracy by label."""
    curve_task: str = ""
    rollouts: Mapping[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Training responses of the first and the last recorded step."""
    notes: Sequence[str] = ()
    """What could not be read."""

    @property
    def state(self) -> str:
        """The run's state; `done` as soon as there is a summary, because the page is written just before the end."""
        said = str(self.status.get("state") or "")
        return "done" if said == "running" and self.summary.get("headline") else said

    @property
    def responses_a_step(self) -> int:
        """Training responses of one step; 0 when the configuration does not say."""
        rollout = self.config.get("rollout", {})
        return int(rollout.get("groups", 0)) * int(rollout.get("group_size", 0))

    def own(self, rows: Rows) -> list[EvalRow]:
        """The rows of the example's own kind: the rung `own_kind` where rungs exist, else the example's category."""
        if any(row.meta.get("rungs") for row in rows):
            return [row for row in rows if "own_kind" in row.meta.get("rungs", ())]
        return [row for row in rows if self.kind and row.category == self.kind]


def gather(run: RunFolder) -> Facts:
    """Read a run folder. Files that are absent or damaged are noted, never an error."""
    notes: list[str] = []
    examples, summary = run.example(), run.summary()
    example = {**(examples[0] if examples else {}), **summary.get("example", {})}
    kind = str(example.get("kind") or example.get("category") or "")
    evals = _read_evals(run, notes)
    task, checkpoint = _comparison(evals)
    curve_task = _curve_task(evals, task)
    facts = Facts(
        name=run.path.resolve().name,
        config=run.config(),
        env=run.env(),
        status=run.status(),
        summary=summary,
        metrics=run.metrics(),
        events=run.events(),
        example=example,
        examples=len(examples),
        kind=kind,
        task=task,
        checkpoint=checkpoint,
        base=evals.get((task, "base"), ()),
        trained=evals.get((task, checkpoint), ()),
        curve_task=curve_task,
        rollouts=_rollouts(run, notes),
        notes=notes,
    )
    curves = _curves(facts, {name: rows for (of, name), rows in evals.items() if of == curve_task})
    filled = _completed(facts, notes)
    return Facts(**{**facts.__dict__, "curves": curves, "summary": filled})


def step_of(checkpoint: str) -> int | None:
    """Optimiser steps behind a checkpoint's name: 0 for `base`, 12 for `checkpoint-12`, None for other names."""
    if checkpoint == "base":
        return 0
    number = checkpoint.removeprefix("checkpoint-")
    return int(number) if number != checkpoint and number.isdecimal() else None


def _read_evals(run: RunFolder, notes: list[str]) -> dict[tuple[str, str], Rows]:
    found: dict[tuple[str, str], Rows] = {}
    for task, checkpoint in run.evals():
        try:
            found[task, checkpoint] = run.read_eval(task, checkpoint)[1]
        except OneshotError as error:
            notes.append(f"evaluation {task} of {checkpoint}: {error.message}")
    return found


def _comparison(evals: Mapping[tuple[str, str], Rows]) -> tuple[str, str]:
    """The task and last checkpoint to compare with the base: a test set before others, then the larger set."""
    last: dict[str, tuple[int, str]] = {}
    for task, checkpoint in evals:
        step = step_of(checkpoint)
        if checkpoint != "base" and step is not None and evals.get((task, "base")):
            last[task] = max(last.get(task, (-1, "")), (step, checkpoint))
    if not last:
        return "", ""
    task = max(last, key=lambda name: (name.endswith("test"), len(evals[name, "base"]), name))
    return task, last[task][1]


def _curve_task(evals: Mapping[tuple[str, str], Rows], compared: str) -> str:
    """The task with most readings; of equals, one that is not the final comparison."""
    tasks: dict[str, int] = {}
    for task, checkpoint in evals:
        if step_of(checkpoint) is not None:
            tasks[task] = tasks.get(task, 0) + 1
    return max(tasks, key=lambda name: (tasks[name], name != compared, name), default="")


def _curves(facts: Facts, readings: Mapping[str, Rows]) -> dict[str, list[Reading]]:
    """Own kind and other kinds apart where the rows tell; else one curve."""
    out: dict[str, list[Reading]] = {}
    for checkpoint, rows in readings.items():
        step = step_of(checkpoint)
        if step is None or not rows:
            continue
        own = facts.own(rows)
        mine = {row.id for row in own}
        others = [row for row in rows if row.id not in mine]
        split = {"held-out, own kind": own, "held-out, other kinds": others} if own and others else {"held-out": rows}
        for label, part in split.items():
            out.setdefault(label, []).append(Reading(step=step, accuracy=accuracy(by_problem(part))))
    return {label: sorted(points, key=lambda r: r.step) for label, points in out.items()}


def _rollouts(run: RunFolder, notes: list[str]) -> dict[int, Sequence[Mapping[str, Any]]]:
    steps = run.rollout_steps()
    found: dict[int, Sequence[Mapping[str, Any]]] = {}
    for step in sorted({steps[0], steps[-1]}) if steps else ():
        try:
            if rows := run.rollouts(step):
                found[step] = rows
        except OneshotError as error:
            notes.append(f"rollouts of step {step}: {error.message}")
    return found


def _completed(facts: Facts, notes: list[str]) -> dict[str, Any]:
    """The summary, with the comparisons it lacks computed from the graded responses."""
    summary = dict(facts.summary)
    if not facts.base or not facts.trained:
        return summary
    try:
        computed = _computed(facts)
    except OneshotError as error:
        notes.append(f"base and {facts.checkpoint} on {facts.task} cannot be compared: {error.message}")
        return summary
    return {**computed, **{key: value for key, value in summary.items() if value not in (None, {}, [], "")}}


def _computed(facts: Facts) -> dict[str, Any]:
    base, trained = facts.base, facts.trained
    first_base, first_trained = facts.own(base) or base, facts.own(trained) or trained
    names = dict.fromkeys(name for row in base for name in row.meta.get("rungs", ()))
    out: dict[str, Any] = {
        "overall": gains.overall(base, trained).as_dict(),
        "categories": {k: v.as_dict() for k, v in gains.by_category(base, trained).items()},
        "ladder": {k: v.as_dict() for k, v in gains.ladder(base, trained, gains.by_rung(names)).items()},
        "paired": gains.paired(first_base, first_trained).as_dict(),
        "decomposition": gains.decomposition(first_base, first_trained).as_dict(),
        "transitions": gains.transitions(first_base, first_trained),
        "found": {name: gains.share(rows, answered).estimate for name, rows in _two(facts)},
        "cut": {name: gains.share(rows, lambda r: r.cut).estimate for name, rows in _two(facts)},
    }
    if any("answer_class" in row.meta for row in base):
        out["operations"] = gains.operation_table(base, trained, facts.kind)
        out["operation_decomposition"] = gains.operation_decomposition(first_base, first_trained).as_dict()
    if all("boxed" in row.meta for row in (*base, *trained)):
        out["boxed"] = {name: gains.share(rows, gains.strict_box).estimate for name, rows in _two(facts)}
    if all("correct_short" in row.meta for row in (*base, *trained)):
        out["training_limit"] = gains.paired(first_base, first_trained, right=gains.at_training_limit).as_dict()
    return out


def _two(facts: Facts) -> tuple[tuple[str, Rows], tuple[str, Rows]]:
    return ("base", facts.base), ("trained", facts.trained)
