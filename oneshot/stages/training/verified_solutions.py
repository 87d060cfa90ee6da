"""Solutions of a run's training examples that its base model wrote itself and the run's reward called right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from oneshot.config.load import from_dict
from oneshot.config.schema import Config
from oneshot.data.prompts import render
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.stages.loop import build_sampling
from oneshot.stages.probing.probe import Prober
from oneshot.stages.setup import Setup, resolve_names
from oneshot.stages.training.preflight import ROUND
from oneshot.stages.training.resume import examples
from oneshot.types import Completion, Problem

FRESH = 64
"""Responses sampled to an example whose first step holds no right one. Of one example the first 32 are the preflight's
again, which are not recorded whole."""
MOST = 16
"""Examples that a prompt may be asked to hold."""
RECORDED, SAMPLED = "first step", "sampled"


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The one that stands for an example, and what it was chosen from."""

    problem: Problem
    text: str
    tokens: int
    right: int
    """Right, finished responses it was chosen from."""
    responses: int
    """Responses among which those were."""
    source: str
    """`first step`: the run's own record; `sampled`: from the base model now."""


@dataclass(frozen=True, kw_only=True)
class Solutions:
    """Of every example of a run that has one, in the run's order."""

    found: tuple[Solution, ...]
    left_out: tuple[str, ...]
    """Ids of the examples without one."""
    suffix: str
    """What training puts after the question: the solutions are answers to that."""


def typical(completions: Sequence[Completion]) -> tuple[Completion | None, int]:
    """The right and finished response of median length (the lower of two), and how many right ones there are.

    Neither the shortest, which may be a bare answer, nor the longest, which may ramble: what the model usually writes
    when it is right. Equal lengths are ordered by their text, so the choice does not depend on the order sampled.
    """
    right = sorted(
        (c for c in completions if c.finished and c.text.strip() and c.verdict is not None and c.verdict.correct),
        key=lambda c: (len(c.tokens), c.text),
    )
    return (right[(len(right) - 1) // 2], len(right)) if right else (None, 0)


def verified_solutions(setup: Setup, run: RunFolder, say: Callable[[str], None]) -> Solutions:
    """A right response to each example of a run, from the run's first step, else sampled from the base model.

    Args:
        setup: the run's base model; the sampler is used only where the record holds no right response.
        run: any run of it.
        say: told what is sampled and left out.

    Raises:
        UsageError: E104 the run has no example yet, E103 it has too many, E105 none of them was ever solved.
    """
    problems = examples(run)
    if not problems:
        raise UsageError(f"{run.path.name} ended before its example was chosen.", code="E104")
    if len(problems) > MOST:
        raise UsageError(
            f"{run.path.name} was trained on {len(problems):,} examples; a prompt is given at most {MOST}.",
            code="E103",
            tries=("--best-prompt   (the other baseline)", "--icl RUN   (a run of one example)"),
        )
    config = from_dict(run.config(), where=str(run.path / "config.json"))
    recorded = _first_step(run)
    found, left_out = list[Solution](), list[str]()
    for problem in problems:
        solution = _chosen(problem, recorded.get((problem.id, problem.prompt), []), RECORDED)
        if solution is None:
            say(f"{run.path.name} records no right response to {problem.id} by its base model: sampling {FRESH}")
            solution = _chosen(problem, _fresh(setup, config, problem), SAMPLED)
        if solution is None:
            left_out.append(problem.id)
        else:
            found.append(solution)
    if not found:
        raise UsageError(
            f"the base model never solved {_named(left_out)} of {run.path.name}: no right and finished response in "
            f"its first step, none in {FRESH} samples. A solution by another hand would be no baseline.",
            code="E105",
            tries=("--best-prompt   (the other baseline)", "--icl RUN   (a run whose example the base model solves)"),
            kept="Nothing was measured with it.",
        )
    if left_out:
        say(f"warning: left out of the prompt, since the base model never solved them: {', '.join(left_out)}")
    return Solutions(found=tuple(found), left_out=tuple(left_out), suffix=config.data.suffix)


def _named(ids: Sequence[str]) -> str:
    return f"the example {ids[0]}" if len(ids) == 1 else f"any of the {len(ids)} examples"


def _first_step(run: RunFolder) -> dict[tuple[str, str], list[Completion]]:
    """(id, question) -> responses by the untrained weights: those of step 0 that no optimiser step came before."""
    found: dict[tuple[str, str], list[Completion]] = {}
    for group in run.read_groups(0) if 0 in run.rollout_steps() else ():
        if group.policy_version == 0:
            found.setdefault((group.problem.id, group.problem.prompt), []).extend(group.completions)
    return found


def _fresh(setup: Setup, config: Config, problem: Problem) -> list[Completion]:
    """`FRESH` responses of the base model as training sampled them: its prompt, temperature, limit, seed and reward."""
    data = config.data
    prompt = partial(
        render, setup.policy.tokenizer, suffix=data.suffix, system=data.system, limit=config.rollout.max_prompt_tokens
    )
    probe = Prober(
        engine=setup.engine, render=prompt, verify=resolve_names(config).verify, sampling=build_sampling(config)
    )
    (group,) = probe.groups([problem], FRESH, round=ROUND)
    return list(group.completions)


def _chosen(problem: Problem, completions: Sequence[Completion], source: str) -> Solution | None:
    best, right = typical(completions)
    if best is None:
        return None
    return Solution(
        problem=problem,
        text=best.text,
        tokens=len(best.tokens),
        right=right,
        responses=len(completions),
        source=source,
    )
