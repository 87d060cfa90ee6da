"""A run with recorded responses, an engine that answers by the prompt's text, and a task asked of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot.config.load import to_dict
from oneshot.config.schema import Config, DataConfig, EvalsConfig
from oneshot.data.tasks.task import Protocol, Task
from oneshot.record import EvalFolder, RunFolder
from oneshot.rewards.functions import build_verifier
from oneshot.stages.evals.asked import Asked
from oneshot.stages.setup import Setup
from oneshot.types import Completion, Group, Problem, Sampling, Verdict
from tests.unit.stages.setups import tiny_setup

EXAMPLE = Problem(id="pi", prompt="What is 3 + 4?", answer="7")
OTHER = Problem(id="rho", prompt="What is 4 + 4?", answer="8")
QUESTIONS = tuple(Problem(id=f"q{i}", prompt=f"What is {i} + 1?", answer=str(i + 1)) for i in range(3))


def setup_of(folder: Path, **changes: Any) -> Setup:
    """A tiny model; the training prompt ends in `Box it.`."""
    return tiny_setup(folder, **{"data": DataConfig(example="?", answer="7", suffix="Box it."), **changes})


class Speaker:
    """An engine that says what `answer` makes of the prompt's text and the sample. Remembers the prompts."""

    batch = 16

    def __init__(self, setup: Setup, answer: Callable[[str, int], str]) -> None:
        self.tokenizer = setup.policy.tokenizer
        self.answer = answer
        self.heard: list[str] = []
        self.streams: list[tuple[int, int]] = []

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, streams: Sequence[tuple[int, int]], **rest: Any
    ) -> list[Completion]:
        made = []
        for prompt, (step, sample) in zip(prompts, streams, strict=True):
            self.heard.append(self.tokenizer.decode(list(prompt)))
            self.streams.append((step, sample))
            text = self.answer(self.heard[-1], sample)
            tokens = (*self.tokenizer(text)["input_ids"], 0)
            made.append(Completion(tokens=tokens, logprobs=(), text=text, finished=True))
        return made


def speaking(setup: Setup, answer: Callable[[str, int], str]) -> tuple[Setup, Speaker]:
    """The setup with such an engine in both places."""
    engine = Speaker(setup, answer)
    return replace(setup, engine=engine, eval_engine=engine), engine  # type: ignore[arg-type]


def asked_of(problems: Sequence[Problem] = QUESTIONS, **changes: Any) -> Asked:
    """A task with its own prompt, suffix `Now.`, and 16 response tokens."""
    protocol = changes.pop("protocol", Protocol(max_new_tokens=16, suffix="Now.", grader="math"))
    task = Task(name="sums", title="Sums", protocol=protocol, problems=lambda rows, of: [])
    made = Asked(
        name="sums",
        task=task,
        problems=tuple(problems),
        protocol=protocol,
        verify=build_verifier("math"),
        strict=build_verifier("math"),
        lenient=build_verifier("math-lenient"),
        data={"origin": "here", "rows": len(problems), "digest": "0", "limit": 0, "notes": []},
    )
    return replace(made, **changes)


def response(text: str, *, right: bool = True, finished: bool = True) -> Completion:
    """A recorded response with one token a character."""
    verdict = Verdict(correct=right, extracted="7", method="text")
    tokens = tuple(range(5, 5 + len(text)))
    made = Completion(tokens=tokens, logprobs=(-1.0,) * len(tokens), text=text, finished=finished)
    return made.scored(verdict)


def run_of(
    folder: Path,
    setup: Setup,
    responses: Sequence[Completion],
    *,
    examples: Sequence[Problem] = (EXAMPLE,),
    version: int = 0,
    config: Config | None = None,
) -> RunFolder:
    """A run of the setup's model whose first step holds these responses to the first example, in two groups."""
    stored = config or replace(setup.config, evals=EvalsConfig())
    run = RunFolder.create(folder, "pi", to_dict(stored), ["oneshot", "train"])
    run.write_example(examples)
    half = (len(responses) + 1) // 2
    groups = [
        Group(id=i, problem=examples[0], prompt_tokens=(1,), completions=tuple(part), policy_version=version)
        for i, part in enumerate((responses[:half], responses[half:]))
        if part
    ]
    run.step(0, {"train/accuracy": 0.5}, groups)
    return run


DEV = [Problem(id=f"d{i}", prompt=f"What is {i} + 20?", answer=str(i + 20)) for i in range(8)]


def quiet(text: str) -> None:
    pass


def prompts(setup: Setup, asked: Asked) -> list[str]:
    assert asked.render is not None
    return [setup.policy.tokenizer.decode(list(asked.render(problem))) for problem in asked.problems]


def kept(folder: Path) -> EvalFolder:
    return EvalFolder.open(folder / "results", {"model": "tiny"})


def dev_file(folder: Path, problems: list[Problem] = DEV) -> EvalsConfig:
    path = folder / "dev.jsonl"
    path.write_text("".join(json.dumps({"id": p.id, "prompt": p.prompt, "answer": p.answer}) + "\n" for p in problems))
    return EvalsConfig(source=str(path))


def never(prompt: str, sample: int) -> str:
    raise AssertionError("nothing should be sampled")
