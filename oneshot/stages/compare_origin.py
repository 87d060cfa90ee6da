"""Where a difference comes from: how responses end, two ways to grade them, and gains beyond format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneshot.errors import OneshotError
from oneshot.measure import gains, grades, reasoning
from oneshot.measure.decompose import found, share
from oneshot.stages.compare_match import Matched, differences
from oneshot.stages.compare_numbers import sides
from oneshot.stages.compare_refs import BASE, Arm, Evaluation, Model, evals_of
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]
ICL, PROMPT = f"{BASE}+icl", f"{BASE}+prompt-"
"""Checkpoint names of the baselines without training."""


def origin(task: Matched, arms: Sequence[Arm], arm: Arm, format_only: Model | None, notes: list[str]) -> dict[str, Any]:
    """Everything about one arm against the control on one task that is no claim of the table.

    `states`, `transitions`, `decomposition`: as of `measure.decompose`; `strict`, `lenient`: the difference under these
    grades, where both sides recorded them; `gains`: those of `measure.reasoning`, where the control is a base model.
    """
    base, trained = sides(task.arms[arms[0].letter], task.arms[arm.letter])
    states = {"base": gains.outcome_states(base), "trained": gains.outcome_states(trained)}
    body: dict[str, Any] = {
        "found": {"base": share(base, found).estimate, "trained": share(trained, found).estimate},
        "states": states,
        "transitions": gains.transitions(base, trained),
        "decomposition": gains.decomposition(base, trained).as_dict(),
    }
    for name, key in (("strict", "boxed"), ("lenient", "lenient")):
        if grades.recorded(base, key) and grades.recorded(trained, key):
            body[name] = gains.paired(base, trained, right=grades.KEYS[key]).as_dict()
    categories = gains.by_category(base, trained)
    body["categories"] = {name: pair.as_dict() for name, pair in categories.items()} if len(categories) > 1 else {}
    body["gains"] = {}
    if arms[0].models[0].checkpoint == BASE and arm.models[0].trained:
        control = task.arms[arms[0].letter][0]
        others = _baselines(control, arms, format_only, notes)
        body["gains"] = {name: gain.as_dict() for name, gain in reasoning.gains_of(base, trained, others).items()}
    return body


def _baselines(
    control: Evaluation, arms: Sequence[Arm], format_only: Model | None, notes: list[str]
) -> dict[str, Rows]:
    """The recorded baselines of the base model on a task: beside it, or in the folder of another arm.

    One that was measured under another protocol is left out, with a note; one of another base model without one. Of
    several prompts the best is taken.
    """
    read: dict[str, list[Evaluation]] = {}
    stores = {str(model.store.path): model for arm in arms for model in arm.models}
    for model in stores.values():
        for task, checkpoint in evals_of(model.store):
            kind = reasoning.ICL if checkpoint == ICL else reasoning.PROMPT if checkpoint.startswith(PROMPT) else ""
            if task == control.task and kind:
                _add(read, kind, control, model.at(checkpoint), notes)
    if format_only is not None and control.task in format_only.tasks():
        _add(read, reasoning.FORMAT, control, format_only, notes)
    elif format_only is not None:
        notes.append(f"{format_only.name} was not evaluated on {control.task}.")
    return {kind: max(several, key=_lenient).rows for kind, several in read.items()}


def _add(read: dict[str, list[Evaluation]], kind: str, control: Evaluation, model: Model, notes: list[str]) -> None:
    """Keep a baseline that is comparable with the control; else say why not."""
    try:
        evaluation = model.read(control.task)
    except OneshotError as error:
        notes.append(f"{model.name} on {control.task} is left out: {error.message}")
        return
    if model.untrained and _weights(evaluation) != _weights(control):
        return
    told = [what for what, _, _ in differences(control, evaluation, varied=model.varied)]
    if evaluation.ids != control.ids:
        told.insert(0, "problems")
    if told:
        notes.append(f"{model.name} on {control.task} is left out: other {', '.join(told)}.")
    else:
        read.setdefault(kind, []).append(evaluation)


def _lenient(evaluation: Evaluation) -> float:
    right = grades.lenient if grades.recorded(evaluation.rows, "lenient") else grades.is_right
    return share(evaluation.rows, right).estimate


def _weights(evaluation: Evaluation) -> object:
    """Which model answered."""
    protocol = evaluation.protocol
    return protocol.get("weights") or protocol.get("model")
