"""Problems to scored groups: render, sample, verify."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oneshot.types import Engine, Group, Problem, Sampling, Verifier

Render = Callable[[Problem], tuple[int, ...]]


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
) -> list[Group]:
    """One group of `group_size` scored responses per problem *occurrence*; group ids count occurrences.

    The reward sees the response text only. Response `s` of group `g` draws from stream (step, g · group_size + s).
    """
    prompts = [render(p) for p in problems]
    requests = [prompt for prompt in prompts for _ in range(group_size)]
    streams = [(step, i) for i in range(len(requests))]
    completions = engine.generate(requests, sampling, streams)
    scored = [c.scored(verify(c.text, problems[i // group_size].answer)) for i, c in enumerate(completions)]
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
