"""A small task for tests of the evaluation: sums for a tiny model, or for an engine that says what it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot.config.schema import Config
from oneshot.data.tasks.task import Protocol, Task, TaskData
from oneshot.record import EvalFolder
from oneshot.rollout.streams import EVAL_STEP
from oneshot.stages.evals.asked import Asked, ask
from oneshot.stages.evals.work import stream_step
from oneshot.stages.setup import Setup
from oneshot.types import Completion, Problem, Sampling

SHORT = Protocol(max_new_tokens=8)


def sums(count: int) -> tuple[Problem, ...]:
    return tuple(
        Problem(id=f"p{i}", prompt=f"What is {i} + 1?", answer=str(i + 1), category="odd" if i % 2 else "even")
        for i in range(count)
    )


def task_of(name: str = "sums", protocol: Protocol = SHORT, **given: Any) -> Task:
    return Task(name=name, title="Sums", protocol=protocol, problems=lambda rows, source: [], digest="d" * 64, **given)


def asked_for(
    problems: Sequence[Problem], protocol: Protocol = SHORT, *, config: Config | None = None, **given: Any
) -> Asked:
    """These problems under this protocol, which is the task's own."""
    found = TaskData(
        task=task_of(protocol=protocol),
        problems=tuple(problems),
        digest="d" * 64,
        rows=given.pop("rows", len(problems)),
        origin="sums.jsonl",
    )
    return ask(found, config or Config(), **given)


def folder(path: Path) -> EvalFolder:
    return EvalFolder.open(path, {"model": "tiny"})


def samples_of(store: EvalFolder, asked: Asked, checkpoint: str = "base") -> bytes:
    return (store.eval_dir(asked.name, checkpoint) / "samples.jsonl.gz").read_bytes()


class ScriptedEngine:
    """Says `script(problem, sample)`; a response depends on its stream alone. What is greedy and forced is `filled`."""

    batch = 16

    def __init__(
        self,
        script: Callable[[int, int], str],
        *,
        on_call: Callable[[int], None] = lambda call: None,
        filled: Callable[[int, int], str] = lambda i, s: "",
        task: str = "sums",
    ) -> None:
        self.script, self.on_call, self.filled, self.task = script, on_call, filled, task
        self.calls = 0
        self.asked: list[tuple[int, int]] = []
        self.forced: list[tuple[int, int]] = []
        self.prompts: list[tuple[int, ...]] = []
        self.check: Callable[[], None] = lambda: None

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, streams: Sequence[tuple[int, int]]
    ) -> list[Completion]:
        self.calls += 1
        self.on_call(self.calls)
        self.check()
        self.prompts += map(tuple, prompts)
        forced = sampling.max_new_tokens == 64
        first = EVAL_STEP if forced else stream_step(self.task)
        keys = [(step - first, sample) for step, sample in streams]
        (self.forced if forced else self.asked).extend(keys)
        say = self.filled if forced else self.script
        return [Completion(tokens=(1, 2, 3), logprobs=(), text=say(*key), finished=True) for key in keys]


def with_engine(setup: Setup, engine: Any) -> Setup:
    return replace(setup, eval_engine=engine)


def boxed(i: int, s: int) -> str:
    """Even problems are right in a box, odd ones are stated without one; every third sample is wrong."""
    answer = i + 1 if s < 2 else i + 2
    return f"so \\boxed{{{answer}}}." if i % 2 == 0 else f"The answer is {answer}."
