"""Evaluate the policy on problems: greedy, one response each, graded, with everything a comparison needs later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from oneshot.measure.statistics import wilson
from oneshot.model.policy import Policy
from oneshot.rewards.numbers import parse
from oneshot.rollout.collect import Render
from oneshot.types import Completion, Engine, EvalRow, Problem, Sampling, Verdict, Verifier

Annotate = Callable[[Problem, Verdict], Mapping[str, Any]]


def nothing(problem: Problem, verdict: Verdict) -> Mapping[str, Any]:
    """No annotation."""
    return {}


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
    annotate: Annotate = nothing,
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
    return [
        _row(policy, p, c, verify, strict, short, annotate) for p, c in zip(problems, completions, strict=True)
    ]


def _row(
    policy: Policy,
    problem: Problem,
    completion: Completion,
    verify: Verifier,
    strict: Verifier,
    short: int,
    annotate: Annotate,
) -> EvalRow:
    verdict = verify(completion.text, problem.answer)
    cut_short = len(completion.tokens) > short
    at_limit = verify(policy.decode(completion.tokens[:short]), problem.answer) if cut_short else verdict
    extra = {
        "boxed": strict(completion.text, problem.answer).correct,
        "correct_short": at_limit.correct,
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


def results(rows: Sequence[EvalRow], **protocol: Any) -> dict[str, Any]:
    """The content of results.json: accuracy with its 95 % Wilson interval, shares, per category, and the protocol."""
    categories = sorted({r.category for r in rows})
    return {
        "schema": "oneshot.results/1",
        **_share(rows),
        "found": sum(r.extracted is not None for r in rows) / len(rows),
        "cut": sum(r.cut for r in rows) / len(rows),
        "boxed": sum(bool(r.meta.get("boxed")) for r in rows) / len(rows),
        "mean_tokens": sum(r.tokens for r in rows) / len(rows),
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


def number(text: str | None) -> Fraction | None:
    """An extracted answer as an exact number, None where it is none."""
    parsed = None if text is None else parse(text)
    return None if parsed is None else parsed.value
