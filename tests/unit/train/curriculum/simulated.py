"""Pools whose success rates are known, and runs on them that cost nothing: answers are drawn, nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oneshot.history import History
from oneshot.train.checkpoint import Curriculum
from oneshot.train.curriculum import CURRICULA
from oneshot.types import Completion, Group, Problem, Verdict

Rates = Sequence[float]


def pool(count: int) -> list[Problem]:
    return [Problem(id=f"p{i}", prompt=f"question {i}", answer="7") for i in range(count)]


def vectors(count: int, width: int = 3) -> np.ndarray:
    """Embeddings, the same ones each time."""
    return np.random.default_rng(5).normal(size=(count, width)).astype(np.float32)


def started(
    name: str,
    problems: Sequence[Problem],
    *,
    groups: int = 4,
    seed: int = 3,
    embedding: np.ndarray | None = None,
    **options: Any,
) -> Curriculum:
    given = vectors(len(problems)) if embedding is None else embedding
    design = CURRICULA.build(name, options)
    return design.start(problems, groups=groups, seed=seed, embed=lambda _: given.astype(np.float32))


def answered(problem: Problem, number: int, successes: int, samples: int, step: int) -> Group:
    """A group with so many right answers; the wrong ones differ with the step."""
    completions = []
    for i in range(samples):
        text = "7" if i < successes else str(10 + (i * (step + 1)) % 5)
        verdict = Verdict(correct=text == "7", extracted=text, method="exact")
        completions.append(Completion(tokens=(1,), logprobs=(-1.0,), text=text, finished=True, verdict=verdict))
    return Group(id=number, problem=problem, prompt_tokens=(1,), completions=tuple(completions), policy_version=step)


def sampled(problems: Sequence[Problem], rates: Mapping[str, float], step: int, samples: int = 8) -> list[Group]:
    """One group a problem; what is drawn depends on the step and the place alone."""
    return [
        answered(p, g, int(np.random.default_rng([step, g]).binomial(samples, rates[p.id])), samples, step)
        for g, p in enumerate(problems)
    ]


def run(
    curriculum: Curriculum, rates: Mapping[str, float], steps: range, history: History | None = None
) -> tuple[list[list[str]], History]:
    """The ids of every step's groups, and the history."""
    history = History() if history is None else history
    chosen = []
    for step in steps:
        problems = curriculum.next(step, history)
        history.observe(step, sampled(problems, rates, step))
        chosen.append([p.id for p in problems])
    return chosen, history


def resumed(make: Callable[[], Curriculum], rates: Mapping[str, float], steps: int, at: int, file: Path) -> Any:
    """The same run by a killed process and a new one; the first had gone one step further than its state."""
    first = make()
    before, history = run(first, rates, range(at))
    history.save(file)
    state = json.loads(json.dumps(first.state_dict()))
    run(first, rates, range(at, at + 1), history)
    history.save(file)
    again = make()
    again.load_state_dict(state)
    kept = History.load(file, before=at)
    after, kept = run(again, rates, range(at, steps), kept)
    return before + after, kept
