"""The arm `rft`: the untrained model's own right responses are collected once, recorded, and imitated.

They are sampled before step 0 on streams of their own, at the training temperature and limit, and kept in `rft.json` of
the run folder, so that a resumed run imitates the same ones and samples nothing. An example with more right responses
than are wanted keeps the first; equal responses are kept as often as they came, as the model says them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneshot.errors import DataError
from oneshot.record import RunFolder
from oneshot.rewards.controls import keyed
from oneshot.rollout.collect import Render
from oneshot.stages.probing.probe import Prober
from oneshot.types import Completion, Problem, Sampling

FILE = "rft.json"
WANTED = 64
"""Right responses in all, `EACH` of an example at least."""
EACH = 8
BUDGET = 512
"""Responses that are sampled in all, `EACH_BUDGET` for an example at least."""
EACH_BUDGET = 32
ROUND = 20
"""First of the rounds of sampling; those of probing and preflight are below."""

Right = Mapping[str, Sequence[Completion]]
"""Problem id -> its right responses; a problem without any is missing."""


def right_responses(
    probe: Callable[[], Prober], problems: Sequence[Problem], run: RunFolder, say: Callable[[str], None]
) -> Right:
    """What `rft.json` holds, or what is sampled now and written there.

    Raises:
        DataError: E303 when the base model solves no example within the budget.
    """
    path = run.path / FILE
    if path.is_file():
        rows = json.loads(path.read_text("utf-8"))["responses"]
        return {problem: [_completion(row) for row in found] for problem, found in rows.items()}
    right, sampled = _sampled(probe(), problems)
    if not right:
        raise DataError(
            f"0 of {sampled} responses of the base model were right, so there is nothing to imitate.",
            code="E303",
            tries=("an easier example, or a stronger --model", "--control shuffled"),
            kept="Nothing was trained.",
        )
    kept = sum(map(len, right.values()))
    rows = {problem: [_row(completion) for completion in found] for problem, found in right.items()}
    run.write_json(FILE, {"schema": "oneshot.rft/1", "sampled": sampled, "kept": kept, "responses": rows})
    run.event("control", name="rft", sampled=sampled, kept=kept, examples=len(right), of=len(problems))
    out = f"; {len(problems) - len(right)} examples have none and are left out" if len(right) < len(problems) else ""
    say(f"rft: imitates {kept} right responses of the base model, found in {sampled} samples{out}")
    return right


def _sampled(probe: Prober, problems: Sequence[Problem]) -> tuple[dict[str, list[Completion]], int]:
    """(right responses, how many were sampled): rounds over the examples that still lack some."""
    wanted = max(EACH, math.ceil(WANTED / len(problems)))
    budget = max(EACH_BUDGET, math.ceil(BUDGET / len(problems)))
    size = min(EACH_BUDGET, budget)
    found: dict[str, list[Completion]] = {problem.id: [] for problem in problems}
    sampled = 0
    for number in range(math.ceil(budget / size)):
        lacking = [problem for problem in problems if len(found[problem.id]) < wanted]
        if not lacking:
            break
        for group in probe.groups(lacking, size, round=ROUND + number):
            right = [c for c in group.completions if c.verdict is not None and c.verdict.correct]
            found[group.problem.id] += right
            sampled += size
    return {problem: responses[:wanted] for problem, responses in found.items() if responses}, sampled


def _row(completion: Completion) -> dict[str, Any]:
    return {name: getattr(completion, name) for name in ("tokens", "logprobs", "text", "finished")}


def _completion(row: Mapping[str, Any]) -> Completion:
    return Completion(
        tokens=tuple(row["tokens"]),
        logprobs=tuple(math.nan if value is None else value for value in row["logprobs"]),
        text=row["text"],
        finished=row["finished"],
    )


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """An engine that samples nothing: each request gets one of the recorded responses to its prompt, drawn by key."""

    responses: Mapping[tuple[int, ...], Sequence[Completion]]
    """By prompt tokens."""
    seed: int

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, streams: Sequence[tuple[int, int]]
    ) -> list[Completion]:
        """With replacement; a stream draws the same response whatever else is asked for."""
        return [self._draw(tuple(prompt), *stream) for prompt, stream in zip(prompts, streams, strict=True)]

    def _draw(self, prompt: tuple[int, ...], step: int, sample: int) -> Completion:
        known = self.responses[prompt]
        return known[int(keyed(self.seed, step, 0, sample) * len(known))]


def engine(right: Right, problems: Sequence[Problem], render: Render, seed: int) -> Recorded:
    """The engine of these problems; of two with the same prompt the responses are put together."""
    by_prompt: dict[tuple[int, ...], list[Completion]] = {}
    for problem in problems:
        by_prompt.setdefault(tuple(render(problem)), []).extend(right[problem.id])
    return Recorded(responses=by_prompt, seed=seed)
