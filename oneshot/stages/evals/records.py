"""Finished evaluations: read, graded again from the recorded responses, and written. Nothing here samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from oneshot._store.evaluations import Key
from oneshot.data.tasks.task import LOGLIKELIHOOD
from oneshot.measure.scores import summary
from oneshot.measure.statistics import wilson
from oneshot.record import Evaluations
from oneshot.stages import graders
from oneshot.stages.evals import asked_alike
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.grading import Graders, Raw, raw_of, same_answer
from oneshot.stages.setup import annotate
from oneshot.types import EvalRow

SCHEMA = "oneshot.results/2"
_OF_A_FUNCTION = ("convention", "sha256")
"""What a protocol says of a user's function and of no other grader."""

Say = Callable[[str], None]


def recorded(
    asked: Asked, store: Evaluations, checkpoint: str, *, say: Say = lambda text: None
) -> list[EvalRow] | None:
    """A finished evaluation, without the model; None where there is none, or forced boxes are asked for and missing.

    One that was graded by another version of its grader is graded again from the recorded responses, and rewritten.

    Raises:
        UsageError: E106 it is damaged; E107 it was asked otherwise, or of other problems.
        DataError: E305 a user's function failed.
    """
    name = asked.under(checkpoint)
    if not store.has_eval(asked.name, name):
        return None
    protocol, rows = asked_alike.read(asked, store, name)
    if asked.forced and not has_forced(rows):
        return None
    now = asked_alike.without_model(asked)["grader_version"]
    before = protocol.get("grader_version", "")
    if before == now:
        return rows
    say(
        f"{asked.name}, {name}: the grader has changed ({before or 'unknown'} -> {now}); the recorded responses are "
        "graded again, and nothing is sampled"
    )
    return _again(asked, store, name, rows, protocol)


def take_over(asked: Asked, store: Evaluations, name: str, other: str, *, say: Say = lambda text: None) -> None:
    """Grade the responses recorded in evals/<other>/<name> with this grader, and record that.

    How they were asked differs in nothing but the grader (`asked_alike.of_other_grader`), and sampling knows of none.

    Raises:
        DataError: E305 a user's function failed.
    """
    rows = store.read_eval(other, name)[1]
    before = {key: value for key, value in store.protocol_of(other, name).items() if key not in _OF_A_FUNCTION}
    say(
        f"{asked.name}, {name}: the responses recorded in {store.eval_dir(other, name)} (grader {before['grader']}) "
        f"are graded by {asked.protocol.grader}, and nothing is sampled"
    )
    _again(asked, store, name, rows, {**before, "responses_of": other})


def _again(
    asked: Asked, store: Evaluations, name: str, rows: Sequence[EvalRow], protocol: Mapping[str, Any]
) -> list[EvalRow]:
    by = graders_of(replace(asked, forced=has_forced(rows)))
    again = [by.row(asked.problems[i], raw, annotate) for (i, _), raw in responses_of(asked, rows).items()]
    write(asked, store, name, again, {**protocol, **asked_alike.without_model(asked)})
    return again


def has_forced(rows: Sequence[EvalRow]) -> bool:
    """Whether every response has a grade with a forced box."""
    return all("forced" in row.meta for row in rows)


def graders_of(asked: Asked) -> Graders:
    """Whose verdicts a row has."""
    both = {"strict": asked.strict, "lenient": asked.lenient} if asked.maths else {}
    return Graders(verify=asked.verify, forced=asked.forced, **both)


def responses_of(asked: Asked, rows: Sequence[EvalRow]) -> dict[Key, Raw]:
    """The responses of a finished evaluation, whose rows are those of the problems, by (problem, sample)."""
    keys = [(i, s) for i in range(len(asked.problems)) for s in range(asked.protocol.samples)]
    return {key: raw_of(row) for key, row in zip(keys, rows, strict=True)}


def write(asked: Asked, store: Evaluations, name: str, rows: Sequence[EvalRow], protocol: Mapping[str, Any]) -> None:
    """Record graded responses with what they come to. `MachineError` E202 on a full disk."""
    task, grader = asked.task, asked.protocol.grader
    found = summary(rows, floor=task.floor, level_key=task.level_key, same=same_answer(grader))
    body: dict[str, Any] = {"schema": SCHEMA, **found}
    if asked.protocol.kind == LOGLIKELIHOOD:
        right = sum(bool(row.meta["correct_norm"]) for row in rows)
        normed = wilson(right, len(rows))
        body["acc_norm"] = {"correct": right, "value": normed.estimate, "ci_low": normed.low, "ci_high": normed.high}
        body["unmatchable"] = {}
    else:
        body["unmatchable"] = graders.unmatchable(asked.verify, asked.problems).as_dict()
    store.write_eval(asked.name, name, {**body, "protocol": dict(protocol)}, rows)
