"""Grades stored outputs as the answers of tasks, with the graders and statistics of `oneshot eval`. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot.config.request import Request
from oneshot.data.tasks.task import LOGLIKELIHOOD
from oneshot.errors import OneshotError, Stopped, UsageError
from oneshot.measure.scores import summary
from oneshot.record import EvalFolder
from oneshot.rewards.version import grader_version
from oneshot.stages import graders
from oneshot.stages.evals import responses as eval_responses
from oneshot.stages.evals import tasks as eval_tasks
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.failures import ends, told
from oneshot.stages.evals.flags import Flags, check_least
from oneshot.stages.evals.grading import Graders, Raw, same_answer
from oneshot.stages.evals.responses import Given
from oneshot.stages.evals.results import Measured
from oneshot.stages.evals.targets import BASE
from oneshot.types import EvalRow

UNKNOWN = {"cut": ("cut",), "tokens": ("mean_tokens", "median_tokens")}
"""What a row may leave out -> the keys of a summary that are unknown then."""


def grade(
    flags: Flags, request: Request, say: Callable[[str], None]
) -> tuple[dict[str, Any], list[Measured], Mapping[str, OneshotError]]:
    """(head of the JSON object, the tasks, those that cannot be had or graded).

    Raises:
        UsageError: E103 a k above the responses of a problem, E105 a task that is no text, E106 no such file.
        DataError: E301 a row that is none, E302 a grader that matches no reference, E305 a user's function failed.
    """
    tasks, names = eval_tasks.named(request.config, request)
    check_least(flags.least, names)
    for named in tasks:
        if named.protocol.kind == LOGLIKELIHOOD:
            raise UsageError(
                f"{named.name} compares likelihoods that only a model has; stored responses cannot be graded so.",
                code="E105",
                tries=(f"--tasks {named.name.removesuffix('-' + LOGLIKELIHOOD)}",),
            )
    rows = eval_responses.read(flags.responses, names)
    chosen = eval_tasks.choose(request.config, request, limited=False)  # only this may fetch anything
    limit = request.config.evals.limit
    given: dict[str, Given] = {}
    for data in chosen.data:
        name = data.task.name
        given[name] = eval_responses.match(rows, flags.responses, data.task, data.problems, limit=limit)
        _check_k(flags.ks, given[name], name)
    cut = replace(chosen, data=tuple(eval_tasks.limited(data, limit) for data in chosen.data))
    asked = eval_tasks.ask_all(cut, request.config, request.given, forced=False, say=say)
    for task in asked:
        for sentence in given[task.task.name].warnings(task.task.name):
            say(sentence)
    digest = eval_responses.digest(Path(flags.responses).expanduser())
    store = EvalFolder.open(Path(flags.out).expanduser(), {"responses": digest}) if flags.out else None
    measured: list[Measured] = []
    failed: dict[str, OneshotError] = dict(chosen.absent)
    for task in asked:
        name = task.task.name
        try:
            with ends(), told(flags.out):
                measured.append(_measure(task, given[name], digest, store))
        except OneshotError as error:  # what is graded is printed; another task may have another grader
            failed[name] = error
            if isinstance(error, Stopped):
                break
    head: dict[str, Any] = {"responses_file": flags.responses, "sha256": digest}
    return head | ({"folder": str(store.path)} if store else {}), measured, failed


def _check_k(ks: Sequence[int], given: Given, task: str) -> None:
    least, most = given.samples[0], max(ks, default=0)
    if most > least:
        raise UsageError(
            f"--k {most} needs {most} responses to each problem, and {task} has one with {least}.",
            code="E103",
            tries=(f"--k {least}",),
            kept="Nothing was graded.",
        )


def _measure(asked: Asked, given: Given, digest: str, store: EvalFolder | None) -> Measured:
    strict, lenient = (asked.strict, asked.lenient) if asked.maths else (None, None)
    grade_row = Graders(verify=asked.verify, strict=strict, lenient=lenient).row
    rows = [
        grade_row(
            problem,
            Raw(text=s.response, tokens=s.tokens or 0, cut=bool(s.cut), sample=s.sample or 0),
            lambda *_: {},
        )
        for problem, s in given.rows
    ]
    results = results_of(asked, given, rows, digest)
    if store is not None:
        store.write_eval(asked.name, BASE, results, rows)
    found = Measured(asked=asked)
    found.add(BASE, results, rows)
    return found


def results_of(asked: Asked, given: Given, rows: Sequence[EvalRow], digest: str) -> dict[str, Any]:
    """The content of results.json; what the rows do not say is null."""
    told = summary(
        rows, floor=asked.task.floor, level_key=asked.task.level_key, same=same_answer(asked.protocol.grader)
    )
    silent = [name for name, says in (("cut", given.says_cut), ("tokens", given.says_tokens)) if not says]
    told |= {key: None for name in silent for key in UNKNOWN[name]}
    protocol = {
        "responses": digest,
        "kind": asked.protocol.kind,
        **graders.described(asked.verify),
        "grader_version": grader_version(asked.protocol.grader),
        "data": dict(asked.data),
        "samples": given.samples[1],
    }
    return {
        "schema": "oneshot.results/2",
        **told,
        "missing": len(given.missing),
        "value_missing_wrong": told["value"] * told["n"] / (told["n"] + len(given.missing)),
        "missing_ids": list(given.missing[:20]),
        "protocol": protocol,
        "unmatchable": graders.unmatchable(asked.verify, asked.problems).as_dict(),
    }
