"""Measure the policy on a dev set with the sampler that trains it: greedy, one response each, graded and recorded.

It is short, so nothing is kept until it is done. Whole tasks are measured by `eval_sampling.measure_task`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from oneshot.data.problems import BUILTIN
from oneshot.data.tasks.digest import digest_of
from oneshot.data.tasks.task import GENERATE
from oneshot.measure.scores import summary
from oneshot.model.fingerprint import fingerprint
from oneshot.model.policy import Policy
from oneshot.record import RunFolder
from oneshot.rewards.functions import build_verifier
from oneshot.rewards.version import grader_version
from oneshot.rollout.collect import Render, graded
from oneshot.stages import graders
from oneshot.stages.evals import asked_alike
from oneshot.stages.evals.asked import LENIENT, is_maths
from oneshot.stages.evals.grading import Annotate, Graders, Raw
from oneshot.stages.evals.records import SCHEMA, recorded
from oneshot.stages.evals.sampling import measure_task
from oneshot.stages.setup import Setup, annotate
from oneshot.types import Engine, EvalRow, Problem, Sampling, Verifier

__all__ = ["evaluate", "measure", "measure_task", "recorded", "results"]


def evaluate(
    engine: Engine,
    policy: Policy,
    problems: Sequence[Problem],
    render: Render,
    verify: Verifier,
    strict: Verifier,
    *,
    max_new_tokens: int,
    short: int,
    annotate: Annotate,
    lenient: Verifier | None = None,
) -> list[EvalRow]:
    """Greedy responses to every problem, graded; rows in problem order. Nothing is recorded.

    Args:
        engine: the sampler that trains too: one numerics.
        policy: for decoding the shortened responses.
        problems: what to ask.
        render: problem to prompt tokens.
        verify: the grader whose verdict counts.
        strict: the box-only grader whose verdict is kept beside it (`meta["boxed"]`).
        max_new_tokens: response limit.
        short: the training limit; the same output cut there is graded too (`meta["correct_short"]`).
        annotate: adds to `meta`, e.g. the built-in task's answer class.
        lenient: the grader of what is stated without a box too (`meta["lenient"]`).
    """
    sampling = Sampling(temperature=0.0, max_new_tokens=max_new_tokens)
    completions = engine.generate([render(p) for p in problems], sampling, [(0, i) for i in range(len(problems))])
    by, rows = Graders(verify=verify, strict=strict, lenient=lenient), []
    for problem, made in zip(problems, completions, strict=True):
        raw = Raw(text=made.text, tokens=len(made.tokens), cut=not made.finished)
        row = by.row(problem, raw, annotate)
        at_limit = row.correct
        if len(made.tokens) > short:
            where = f"the evaluation of problem {problem.id!r}, cut at {short} tokens"
            at_limit = graded(verify, policy.decode(made.tokens[:short]), problem.answer, where).correct
        rows.append(replace(row, meta={**row.meta, "correct_short": at_limit}))
    return rows


def measure(
    setup: Setup,
    problems: Sequence[Problem],
    run: RunFolder,
    task: str,
    checkpoint: str,
) -> list[EvalRow]:
    """Evaluate the policy as it is now and record it under evals/<task>/<checkpoint>; one already there is read.

    Raises:
        UsageError: E107 what is there was asked otherwise, or of other problems, such as a task's own.
    """
    config, verify = setup.config, setup.names.eval_verify
    asked = _protocol(setup, problems)
    if run.has_eval(task, checkpoint):
        recorded_as, read = run.read_eval(task, checkpoint)
        asked_alike.check(run.eval_dir(task, checkpoint), recorded_as.get("protocol") or {}, asked, whole=False)
        return read
    began = time.perf_counter()
    rows = evaluate(
        setup.eval_engine,
        setup.policy,
        problems,
        setup.render_eval,
        verify,
        setup.names.strict,
        max_new_tokens=config.evals.source_tokens,
        short=config.rollout.max_new_tokens,
        annotate=annotate,
        lenient=build_verifier(LENIENT) if is_maths(verify.name) else None,
    )
    protocol = {
        "task": task,
        "checkpoint": checkpoint,
        "model": config.model.name,
        "revision": config.model.revision,
        "weights": fingerprint(setup.policy.model)[:16],
        "dtype": str(setup.policy.model.dtype).removeprefix("torch."),
        "prompt": setup.policy.tokenizer.decode(list(setup.render_eval(problems[0]))) if problems else "",
        **asked,
        "grader_version": grader_version(verify.name),
        "eos_ids": sorted(setup.policy.eos_ids),
        "seed": config.seed,
        "seconds": time.perf_counter() - began,
    }
    alone = graders.unmatchable(verify, problems).as_dict()
    run.write_eval(task, checkpoint, {**results(rows, **protocol), "unmatchable": alone}, rows)
    return rows


def _protocol(setup: Setup, problems: Sequence[Problem]) -> dict[str, Any]:
    """What must be equal for two readings of the dev set to be comparable."""
    config = setup.config
    return {
        "kind": GENERATE,
        **graders.described(setup.names.eval_verify),
        "temperature": 0.0,
        "samples": 1,
        "max_new_tokens": config.evals.source_tokens,
        "suffix": config.evals.suffix,
        "system": config.data.system,
        "data": {
            "origin": config.evals.source or BUILTIN,
            "rows": len(problems),
            "digest": digest_of(problems),  # of those that were read: what a limit left out is not known here
            "limit": 0,
        },
    }


def results(rows: Sequence[EvalRow], **protocol: Any) -> dict[str, Any]:
    """The content of results.json without a task's own numbers: `measure.scores.summary`, and the protocol."""
    return {"schema": SCHEMA, **summary(rows), "protocol": protocol}
