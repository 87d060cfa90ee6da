"""What one evaluation found, task by task and checkpoint by checkpoint, and the claims of the whole table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from oneshot._store import names
from oneshot.measure import gains
from oneshot.measure.multiplicity import holm
from oneshot.measure.pairing import by_problem
from oneshot.measure.scores import accuracy
from oneshot.measure.statistics import Interval, macro_mean
from oneshot.stages import graders
from oneshot.stages.asked import Asked
from oneshot.stages.best import best_on_test
from oneshot.stages.eval_targets import BASE
from oneshot.types import EvalRow

_NOT_SHOWN = ("schema", "task", "checkpoint")
"""Keys of results.json that say where it lies."""
BASELINES = ", baselines"
"""What follows a task's name where only its baselines failed."""


@dataclass
class Measured:
    """A task's results so far. Of the responses only the grades are kept in memory; the rest is on disk."""

    asked: Asked
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Checkpoint -> the content of its results.json."""
    rows: dict[str, list[EvalRow]] = field(default_factory=dict)
    """Checkpoint -> its graded responses, without their texts."""

    @property
    def name(self) -> str:
        """The task's name."""
        return self.asked.task.name

    def add(self, checkpoint: str, results: Mapping[str, Any], rows: Sequence[EvalRow]) -> None:
        """Take one evaluation in."""
        self.results[checkpoint] = dict(results)
        self.rows[checkpoint] = [replace(row, prompt="", response="", meta={}) for row in rows]

    def interval(self, checkpoint: str) -> Interval:
        """The accuracy with its standard error, which results.json does not have."""
        return accuracy(by_problem(self.rows[checkpoint]))


def entry(found: Measured, headline: str) -> dict[str, Any]:
    """The object of a task: the values of the headline checkpoint, and beside base each with its paired difference.

    Where the work ended before the headline checkpoint there are no values of the task, only `base` and `checkpoints`.
    """
    told: dict[str, Any] = {"data": found.asked.data["origin"], **graders.described(found.asked.verify)}
    told |= _values(found.results[headline]) if headline in found.results else {}
    told["recorded_as"] = found.asked.name
    baselines = [name for name in found.results if name.startswith(f"{BASE}+")]
    if baselines:
        told["baselines"] = {name: _baseline(found, name, headline) for name in baselines}
    if headline == BASE:
        return told
    if BASE in found.results:
        told["base"] = _values(found.results[BASE])
    parts = {name: _part(found, name) for name in found.results if name != BASE and name not in baselines}
    if headline in parts:
        told["checkpoint"] = headline
        told["paired"] = parts[headline]["paired"]
    if len(parts) > 1 or (parts and headline not in parts):
        told["checkpoints"] = parts
    best = best_on_test({names.checkpoint_number(name): found.rows[name] for name in parts})
    return told if best is None else told | {"best_on_test": best}


def _values(results: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in results.items() if name not in _NOT_SHOWN}


def _part(found: Measured, name: str) -> dict[str, Any]:
    told = _values(found.results[name])
    if BASE in found.rows:
        told["paired"] = gains.paired(found.rows[BASE], found.rows[name]).as_dict()
    return told


def _baseline(found: Measured, name: str, headline: str) -> dict[str, Any]:
    """A baseline over base, and the trained model over the baseline."""
    told = _values(found.results[name])
    told["over_base"] = gains.paired(found.rows[BASE], found.rows[name]).as_dict()
    if headline != BASE and headline in found.rows:
        told["trained_over"] = gains.paired(found.rows[name], found.rows[headline]).as_dict()
    return told


def adjust(tasks: Mapping[str, dict[str, Any]]) -> None:
    """Add `p_holm` to every paired difference of a table that makes several claims, in place."""
    claims: list[dict[str, Any]] = []
    for told in tasks.values():
        claims += [part["paired"] for part in told.get("checkpoints", {}).values() if "paired" in part]
        if "checkpoints" not in told and "paired" in told:
            claims.append(told["paired"])
        for part in told.get("baselines", {}).values():
            claims += [part[name] for name in ("over_base", "trained_over") if name in part]
    if len(claims) < 2:
        return
    for claim, adjusted in zip(claims, holm([claim["p_value"] for claim in claims]), strict=True):
        claim["p_holm"] = adjusted


def macro(measured: Sequence[Measured], checkpoint: str) -> dict[str, Any] | None:
    """The mean over several tasks with equal weight, SE = sqrt(sum SE²)/K; None for fewer than two."""
    have = [found for found in measured if checkpoint in found.results]
    if len(have) < 2:
        return None
    each = [found.interval(checkpoint) for found in have]
    if not all(math.isfinite(interval.se) for interval in each):  # of one problem
        return None
    mean = macro_mean(each)
    return {
        "value": mean.estimate,
        "ci_low": mean.low,
        "ci_high": mean.high,
        "tasks": len(each),
        "n": mean.n,
        "method": mean.method,
    }
