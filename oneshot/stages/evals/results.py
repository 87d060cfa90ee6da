"""What one evaluation found, task by task and checkpoint by checkpoint, with the paired differences between them."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from oneshot._store import names
from oneshot.data.tasks.task import LOGLIKELIHOOD
from oneshot.measure import gains
from oneshot.measure.gains import Paired
from oneshot.measure.pairing import by_problem, cluster_of
from oneshot.measure.scores import accuracy, curves
from oneshot.measure.statistics import Interval
from oneshot.stages import graders
from oneshot.stages.comparing.match import unlike
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.best import best_on_test
from oneshot.stages.evals.grading import same_answer
from oneshot.stages.evals.targets import BASE
from oneshot.types import EvalRow

_NOT_SHOWN = ("schema", "task", "checkpoint")
"""Keys of results.json that say where it lies."""
BASELINES = ", baselines"
"""What follows a task's name where only its baselines failed."""


@dataclass
class Measured:
    """A task's results so far. Of the responses only the grades are kept in memory; the rest is on disk."""

    asked: Asked
    folder: Path | None = None
    """Where the task's evaluations are kept, `<run>/evals/<task>`."""
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Checkpoint -> the content of its results.json."""
    rows: dict[str, list[EvalRow]] = field(default_factory=dict)
    """Checkpoint -> its graded responses, without their texts."""
    _pairs: dict[tuple[str, str], Paired] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The task's name."""
        return self.asked.task.name

    def add(self, checkpoint: str, results: Mapping[str, Any], rows: Sequence[EvalRow]) -> None:
        """Take one evaluation in."""
        self.results[checkpoint] = dict(results)
        self.rows[checkpoint] = [replace(row, prompt="", response="", meta=_cluster(row)) for row in rows]

    def interval(self, checkpoint: str) -> Interval:
        """The accuracy with its standard error, which results.json does not have."""
        return accuracy(by_problem(self.rows[checkpoint]))

    def paired(self, before: str, after: str) -> Paired:
        """The second of two checkpoints minus the first."""
        if (before, after) not in self._pairs:
            self._pairs[before, after] = gains.paired(self.rows[before], self.rows[after])
        return self._pairs[before, after]

    def unlike(self, before: str, after: str) -> str:
        """What differs between how two checkpoints were measured, in words; empty where nothing does.

        Their recorded protocols are compared as `oneshot compare` does it: a record may be from another machine, where
        the weights had another dtype.
        """
        return unlike(self.results[before], self.results[after], varied="+" in before or "+" in after)

    def not_paired(self, before: str, after: str) -> str:
        """Why two checkpoints have no paired difference, as a sentence with the way out; empty where they have one."""
        told = self.unlike(before, after)
        if not told:
            return ""
        way = "evaluate both alike"
        if self.folder is not None:
            old = self.folder.parent.parent / f"{self.folder.name}.old"
            moved = f"mv {shlex.quote(str(self.folder))} {shlex.quote(str(old))}"
            way = f"to measure both alike: {moved}, then the same command again"
        return (
            f"{after} is not paired with {before}, which was measured differently: {told}. A difference "
            f"would not be one of the models alone; {way}"
        )

    def pair(self, key: str, before: str, after: str) -> dict[str, Any]:
        """The paired difference under `key`, or under `not_paired` why there is none."""
        why = self.not_paired(before, after)
        return {"not_paired": why} if why else {key: self.paired(before, after).as_dict()}


def _cluster(row: EvalRow) -> dict[str, str]:
    """What tells copies of a problem without its text: the statistics count them once."""
    return {"cluster": hashlib.sha256(repr(cluster_of(row)).encode()).hexdigest()[:16]}


def entry(
    found: Measured, headline: str, chosen_by: Mapping[str, Any] | None = None, ks: Sequence[int] = ()
) -> dict[str, Any]:
    """The object of a task: the values of the headline checkpoint, and beside base each with its paired difference.

    Where the work ended before the headline checkpoint there are no values of the task, only `base` and `checkpoints`.
    `chosen_by` says that the headline checkpoint was chosen by these problems; `ks` are the k of pass@k and maj@k that
    are told instead of those in results.json. What may be claimed of the differences
    depends on the whole table: `eval_claims.judge`.
    """
    likelihood = found.asked.protocol.kind == LOGLIKELIHOOD  # graded by no grader, as results.json has it
    told: dict[str, Any] = {"data": found.asked.data["origin"]}
    told |= {"grader": ""} if likelihood else graders.described(found.asked.verify)
    told |= _values(found, headline, ks) if headline in found.results else {}
    told["recorded_as"] = found.asked.name
    if chosen_by:
        told["chosen_by"] = dict(chosen_by)
    baselines = [name for name in found.results if name.startswith(f"{BASE}+")]
    if baselines:
        told["baselines"] = {name: _baseline(found, name, headline, ks) for name in baselines}
    if headline == BASE:
        return told
    if BASE in found.results:
        told["base"] = _values(found, BASE, ks)
    parts = {name: _part(found, name, ks) for name in found.results if name != BASE and name not in baselines}
    if headline in parts:
        told["checkpoint"] = headline
        told |= {key: parts[headline][key] for key in ("paired", "not_paired") if key in parts[headline]}
    if len(parts) > 1 or (parts and headline not in parts):
        told["checkpoints"] = parts
    return told | _best(found, list(parts))


def _best(found: Measured, checkpoints: Sequence[str]) -> dict[str, Any]:
    """`best_on_test`, or `no_best_on_test`, why there is none though there are checkpoints enough."""
    best = best_on_test({names.checkpoint_number(name): found.rows[name] for name in checkpoints})
    if best is None:
        return {}
    for name in checkpoints[1:]:
        if why := found.unlike(checkpoints[0], name):
            said = f"none is called the best: {name} was measured otherwise than {checkpoints[0]}: {why}"
            return {"no_best_on_test": said}
    return {"best_on_test": best}


def _values(found: Measured, name: str, ks: Sequence[int]) -> dict[str, Any]:
    """What results.json says of a checkpoint, with the curves that are asked for."""
    told = {key: value for key, value in found.results[name].items() if key not in _NOT_SHOWN}
    if not ks:
        return told
    return told | curves(found.rows[name], ks, same=same_answer(found.asked.protocol.grader))


def _part(found: Measured, name: str, ks: Sequence[int]) -> dict[str, Any]:
    told = _values(found, name, ks)
    return told | found.pair("paired", BASE, name) if BASE in found.rows else told


def _baseline(found: Measured, name: str, headline: str, ks: Sequence[int]) -> dict[str, Any]:
    """A baseline over base, and the trained model over the baseline."""
    told = _values(found, name, ks)
    told |= found.pair("over_base", BASE, name)
    if headline != BASE and headline in found.rows:
        told |= found.pair("trained_over", name, headline)
    return told
