"""Evaluate the policy on problems: greedy, one response each, graded, with everything a comparison needs later."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oneshot.measure.statistics import wilson
from oneshot.model.policy import Policy
from oneshot.record import RunFolder
from oneshot.rollout.collect import Render, graded
from oneshot.stages import graders
from oneshot.stages.setup import Setup, annotate
from oneshot.types import Completion, Engine, EvalRow, Problem, Sampling, Verdict, Verifier

Annotate = Callable[[Problem, Verdict], Mapping[str, Any]]


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
) -> list[EvalRow]:
    """Greedy responses to every problem, graded; rows in problem order.

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
    """
    sampling = Sampling(temperature=0.0, max_new_tokens=max_new_tokens)
    completions = engine.generate([render(p) for p in problems], sampling, [(0, i) for i in range(len(problems))])
    return [_row(policy, p, c, verify, strict, short, annotate) for p, c in zip(problems, completions, strict=True)]


def _row(
    policy: Policy,
    problem: Problem,
    completion: Completion,
    verify: Verifier,
    strict: Verifier,
    short: int,
    annotate: Annotate,
) -> EvalRow:
    where = f"the evaluation of problem {problem.id!r}"
    verdict = at_limit = graded(verify, completion.text, problem.answer, where)
    if len(completion.tokens) > short:
        at_limit = graded(verify, policy.decode(completion.tokens[:short]), problem.answer, where)
    boxed = verdict if verify is strict else strict(completion.text, problem.answer)
    extra = {
        "boxed": boxed.correct,
        "correct_short": at_limit.correct,
        **({} if verdict.score is None else {"score": verdict.score}),
        **annotate(problem, verdict),
    }
    return EvalRow(
        id=problem.id,
        category=problem.category,
        prompt=problem.prompt,
        answer=problem.answer,
        response=completion.text,
        extracted=verdict.extracted,
        correct=verdict.correct,
        status=verdict.status,
        cut=not completion.finished,
        tokens=len(completion.tokens),
        meta={**problem.meta, **extra},
    )


def measure(
    setup: Setup,
    problems: Sequence[Problem],
    run: RunFolder,
    task: str,
    checkpoint: str,
) -> list[EvalRow]:
    """Evaluate the policy as it is now and record it under evals/<task>/<checkpoint>; one already there is read."""
    if (task, checkpoint) in run.evals():
        return run.read_eval(task, checkpoint)[1]
    config = setup.config
    began = time.perf_counter()
    rows = evaluate(
        setup.eval_engine,
        setup.policy,
        problems,
        setup.render_eval,
        setup.names.eval_verify,
        setup.names.strict,
        max_new_tokens=config.evals.max_new_tokens,
        short=config.rollout.max_new_tokens,
        annotate=annotate,
    )
    protocol = {
        "task": task,
        "checkpoint": checkpoint,
        "model": config.model.name,
        "dtype": str(setup.policy.model.dtype).removeprefix("torch."),
        **graders.described(setup.names.eval_verify),
        "temperature": 0.0,
        "samples": 1,
        "max_new_tokens": config.evals.max_new_tokens,
        "suffix": config.evals.suffix,
        "eos_ids": sorted(setup.policy.eos_ids),
        "seconds": time.perf_counter() - began,
    }
    alone = graders.unmatchable(setup.names.eval_verify, problems).as_dict()
    run.write_eval(task, checkpoint, {**results(rows, **protocol), "unmatchable": alone}, rows)
    return rows


def results(rows: Sequence[EvalRow], **protocol: Any) -> dict[str, Any]:
    """The content of results.json: accuracy with its 95 % Wilson interval, shares, per category, and the protocol."""
    categories = sorted({r.category for r in rows})
    return {
        "schema": "oneshot.results/1",
        **_share(rows),
        "found": sum(map(graders.answered, rows)) / len(rows),
        "cut": sum(r.cut for r in rows) / len(rows),
        "boxed": sum(bool(r.meta.get("boxed")) for r in rows) / len(rows),
        "mean_tokens": sum(r.tokens for r in rows) / len(rows),
        "statuses": graders.statuses(rows),
        "categories": {c: _share([r for r in rows if r.category == c]) for c in categories},
        "protocol": protocol,
    }


def _share(rows: Sequence[EvalRow]) -> dict[str, Any]:
    correct = sum(r.correct for r in rows)
    interval = wilson(correct, len(rows))
    return {
        "correct": correct,
        "n": len(rows),
        "value": correct / len(rows),
        "ci_low": interval.low,
        "ci_high": interval.high,
    }
