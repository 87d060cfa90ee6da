"""Where a difference comes from: how responses end, what they are under two graders, and in which categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneshot.measure import gains, grades
from oneshot.measure.decompose import found, share
from oneshot.stages.comparing.match import Matched
from oneshot.stages.comparing.models import Arm
from oneshot.stages.comparing.numbers import sides
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]


def origin(task: Matched, control: Arm, arm: Arm, notes: list[str]) -> dict[str, Any]:
    """Everything about one arm against the control on one task that is no claim of the table.

    `states`, `transitions`, `decomposition`: as of `measure.decompose`; `strict`, `lenient`: the difference under these
    grades, where both sides recorded them; `categories`: the difference in each, where there are several.
    """
    base, trained, samples = sides(task.arms[control.letter], task.arms[arm.letter])
    states = {"base": gains.outcome_states(base), "trained": gains.outcome_states(trained)}
    body: dict[str, Any] = {
        "found": {"base": share(base, found).estimate, "trained": share(trained, found).estimate},
        "states": states,
        "transitions": gains.transitions(base, trained),
        "decomposition": gains.decomposition(base, trained).as_dict(),
    }
    for name, key in (("strict", "boxed"), ("lenient", "lenient")):
        if grades.recorded(base, key) and grades.recorded(trained, key):
            body[name] = gains.paired(base, trained, right=grades.KEYS[key], samples=samples).as_dict()
    body["categories"] = {}
    if _categories(base) != _categories(trained):
        notes.append(
            f"{task.name}: {control.letter} and {arm.letter} call the categories of its problems otherwise, so none is "
            "compared."
        )
    elif len(set(_categories(base).values())) > 1:
        pairs = gains.by_category(base, trained, samples=samples)
        body["categories"] = {name: pair.as_dict() for name, pair in pairs.items()}
    return body


def _categories(rows: Rows) -> dict[str, str]:
    """Problem -> its category."""
    return {row.id: row.category for row in rows}
