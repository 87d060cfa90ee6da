"""The claims of one table of `oneshot eval`, and the averages over its tasks. Loads no torch.

Every paired difference of the table is a claim, that of the average over the tasks too; Holm's adjustment is over all.
What interval, p and room come to is decided by the function that decides it in `oneshot compare`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from oneshot.measure import gains
from oneshot.measure.differences import JUDGED
from oneshot.measure.statistics import Interval, macro_mean
from oneshot.stages.comparing.dev import MOST
from oneshot.stages.comparing.numbers import guesses
from oneshot.stages.evals import judged
from oneshot.stages.evals.averages import Member, independent
from oneshot.stages.evals.results import Measured
from oneshot.stages.evals.targets import BASE
from oneshot.types import EvalRow

CHOSEN = "chosen by these problems"
"""In place of `supported`, where the checkpoint was chosen by them: its value on them is too high."""

Values = Mapping[str, Any]


def judge(tasks: Mapping[str, dict[str, Any]], mean: dict[str, Any] | None = None) -> None:
    """Put the claim into every paired difference of a table, in place of `badge`; none of one chosen by it."""
    found = [*_claims(tasks)]
    if mean is not None and "paired" in mean:
        found.append((mean["paired"], mean["room"], any(map(chosen_here, tasks.values()))))
    judged.judge([(pair, room) for pair, room, _ in found])
    for pair, _, chosen in found:
        if chosen and pair["claim"] == JUDGED[0]:
            pair["claim"] = CHOSEN


def said(pair: Values) -> str:
    """`supported, this run`; other words claim nothing and have no scope."""
    return f"{pair['claim']}, {pair['scope']}" if pair["claim"] in JUDGED else str(pair["claim"])


def _claims(tasks: Mapping[str, dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bool, bool]]:
    """Every paired difference once, whether there is room for it, and whether its model was chosen by the problems."""
    for told in tasks.values():
        base = told.get("base", told)
        chosen = told.get("checkpoint", "") if chosen_here(told) else ""
        parts = told.get("checkpoints") or ({told["checkpoint"]: told} if "checkpoint" in told else {})
        for name, part in parts.items():
            if "paired" in part:
                yield part["paired"], room(base, part), name == chosen
        for part in told.get("baselines", {}).values():
            if "over_base" in part:
                yield part["over_base"], room(base, part), False
            if "trained_over" in part:
                yield part["trained_over"], room(part, told), bool(chosen)


def chosen_here(told: Values) -> bool:
    """Whether the checkpoint was chosen by most of a task's problems; fewer of them are told, and bias it little."""
    by = told.get("chosen_by")
    return by is not None and by["problems"] >= MOST * by["of"]


def room(control: Values, arm: Values) -> bool:
    """Whether a difference can be told from guessing: not where the control, or what the arm reached, may be that."""
    return control["room"] is not False and not guesses(_bounds(control), _bounds(arm), float(control["floor"]))


def _bounds(values: Values) -> Interval:
    return Interval(estimate=values["value"], low=values["ci_low"], high=values["ci_high"], n=values["n"], method="")


def why_no_mean(measured: Sequence[Measured]) -> str:
    """Why several tasks have no mean with an interval, as a sentence; empty where they have one."""
    if small := [found.name for found in measured if any(len(set(_ids(rows))) < 2 for rows in found.rows.values())]:
        return f"no mean over the tasks: {small[0]} has a single problem, so how sure its value is cannot be told"
    members = [
        Member(
            name=found.name,
            ids=frozenset(id for rows in found.rows.values() for id in _ids(rows)),
            data=found.asked.data,
        )
        for found in measured
    ]
    for one, two in combinations(members, 2):
        if not independent((one, two)):
            return (
                f"no mean over the tasks: {one.name} and {two.name} ask the same problems, so they are not independent"
            )
    return ""


def _ids(rows: Sequence[EvalRow]) -> list[str]:
    return [row.id for row in rows]


def macro(measured: Sequence[Measured], checkpoint: str) -> dict[str, Any] | None:
    """The mean over several tasks with equal weight, SE = sqrt(sum SE²)/K; None for fewer than two.

    Of a trained checkpoint with base beside it also `paired`, the average of the paired differences, which has no
    `room` where one of the tasks has none; or `not_paired`, why there is none.
    """
    have = [found for found in measured if checkpoint in found.results]
    if len(have) < 2 or why_no_mean(have):
        return None
    mean = macro_mean([found.interval(checkpoint) for found in have])
    told: dict[str, Any] = {
        "value": mean.estimate,
        "ci_low": mean.low,
        "ci_high": mean.high,
        "tasks": len(have),
        "n": mean.n,
        "method": mean.method,
    }
    if checkpoint == BASE or not all(BASE in found.rows for found in have):
        return told
    if why := next(filter(None, (found.not_paired(BASE, checkpoint) for found in have)), ""):
        return told | {"not_paired": why}
    paired = gains.average([found.paired(BASE, checkpoint) for found in have])
    whole = all(room(found.results[BASE], found.results[checkpoint]) for found in have)
    return told | {"room": whole, "paired": paired.as_dict()}
