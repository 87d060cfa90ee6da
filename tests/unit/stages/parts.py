"""Small parts for tests of the stages: an engine that answers from a script, evaluation rows, metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from oneshot.rewards.functions import build_verifier
from oneshot.rollout.streams import PROBE_STEP
from oneshot.stages.probing.probe import Prober
from oneshot.types import Completion, EvalRow, Problem, Sampling

RIGHT, WRONG = "7", "8"


class ScriptedEngine:
    """Of the samples of problem `i` in round `r` the first `script(r, i)` are right. Remembers what it was asked."""

    def __init__(self, script: Callable[[int, int], int]) -> None:
        self.script = script
        self.asked: list[tuple[int, list[int]]] = []
        """(round, problem of each request)."""

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, streams: Sequence[tuple[int, int]]
    ) -> list[Completion]:
        (step,) = {step for step, _ in streams}
        assert len(set(streams)) == len(streams), "every response has a stream of its own"
        problems = [prompt[0] for prompt in prompts]
        self.asked.append((step - PROBE_STEP, problems))
        left = {i: self.script(step - PROBE_STEP, i) for i in set(problems)}
        made = []
        for i in problems:
            made.append(Completion(tokens=(1,), logprobs=(-1.0,), text=RIGHT if left[i] > 0 else WRONG, finished=True))
            left[i] -= 1
        return made


def problems(count: int) -> list[Problem]:
    return [Problem(id=f"p{i}", prompt=f"question {i}", answer=RIGHT) for i in range(count)]


def prober(engine: ScriptedEngine) -> Prober:
    def render(problem: Problem) -> tuple[int, ...]:
        return (int(problem.id[1:]),)

    return Prober(engine=engine, render=render, verify=build_verifier("exact"), sampling=Sampling())


def row(number: int, *, correct: bool, category: str = "", rungs: Sequence[str] = (), **other: Any) -> EvalRow:
    """A graded response; `meta` keys by name (`boxed`, `correct_short`, `answer_class`, `operation`)."""
    values: dict[str, Any] = {
        "id": f"{category}-{number}",
        "category": category,
        "prompt": f"{category}-{number}?",
        "answer": "7",
        "response": "7" if correct else "8",
        "extracted": "7" if correct else "8",
        "correct": correct,
        "status": "ok",
        "cut": False,
        "tokens": 3,
    }
    meta = {"rungs": list(rungs), "boxed": False, "correct_short": correct}
    meta |= {name: other.pop(name) for name in list(other) if name not in values}
    return EvalRow(**(values | other), meta=meta)


def metrics(**changed: float) -> dict[str, float]:
    """The metrics of a healthy step."""
    healthy = {
        "train/accuracy": 0.25,
        "signal": 1.0,
        "entropy": 0.5,
        "found": 1.0,
        "completions/mean_length": 20.0,
        "completions/clipped_ratio": 0.1,
        "step_time": 2.0,
    }
    return healthy | {name.replace("__", "/"): value for name, value in changed.items()}
