"""Problems to scored groups: render, sample, verify."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from oneshot.errors import DataError
from oneshot.types import Engine, Group, Problem, Sampling, Verdict, Verifier

Render = Callable[[Problem], tuple[int, ...]]

FAILED = ("error", "timeout", "memory")
"""Statuses with which a user's function gives no reward at all."""


def graded(verify: Verifier, response: str, reference: str, where: str) -> Verdict:
    """The verdict on one response, with the seconds it took.

    A grader of ours that fails counts as wrong. One with a true `fatal` (a user's function) ends the work instead:
    learning from a reward that failed would be learning from garbage.

    Raises:
        DataError: E305 when a `fatal` grader failed, naming the function and `where`.
    """
    start = time.perf_counter()
    verdict = verify(response, reference)
    if verdict.status in FAILED and getattr(verify, "fatal", False):
        said = verdict.message or f"{verify.name} gave no score"
        raise DataError(
            f"the reward failed at {where} (status {verdict.status}): {said}",
            code="E305",
            tries=(f"oneshot check {verify.name}",),
        )
    return replace(verdict, seconds=time.perf_counter() - start)


def collect(
    engine: Engine,
    problems: Sequence[Problem],
    render: Render,
    verify: Verifier,
    sampling: Sampling,
    step: int,
    *,
    group_size: int,
    version: int = 0,
    at: str = "",
    check: Callable[[], None] = lambda: None,
) -> list[Group]:
    """One group of `group_size` scored responses per problem *occurrence*; group ids count occurrences.

    The reward sees the response text only. Response `s` of group `g` draws from stream (step, g · group_size + s).
    `at` is what an error says instead of the step; `check` is called before each verdict and may raise.

    Raises:
        DataError: E305 as in `graded`, with step, group and sample.
    """
    prompts = [render(p) for p in problems]
    requests = [prompt for prompt in prompts for _ in range(group_size)]
    streams = [(step, i) for i in range(len(requests))]
    completions = engine.generate(requests, sampling, streams)
    scored = []
    for i, completion in enumerate(completions):
        check()
        group, sample = divmod(i, group_size)
        where = f"{at or f'step {step}'}, group {group}, sample {sample}"
        scored.append(completion.scored(graded(verify, completion.text, problems[group].answer, where)))
    return [
        Group(
            id=g,
            problem=problem,
            prompt_tokens=prompts[g],
            completions=tuple(scored[g * group_size : (g + 1) * group_size]),
            policy_version=version,
        )
        for g, problem in enumerate(problems)
    ]
