"""Choose the training example by probing: sample the base model on candidates, then again on the best.

Two rounds, because the best of many noisy rates is too high (winner's curse): the rate that is shown comes from fresh
samples of the chosen example only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oneshot.errors import DataError
from oneshot.measure.statistics import wilson
from oneshot.rollout.collect import Render, collect
from oneshot.rollout.streams import PROBE_STEP
from oneshot.types import Completion, Engine, Group, Problem, Sampling, Verifier


@dataclass(frozen=True, kw_only=True)
class Probed:
    """One candidate and what the base model did with it."""

    problem: Problem
    successes: int
    samples: int

    @property
    def rate(self) -> float:
        """Share of samples that were right."""
        return self.successes / self.samples

    def as_dict(self) -> dict[str, Any]:
        """A row of `selection.jsonl`."""
        interval = wilson(self.successes, self.samples)
        return {
            "id": self.problem.id,
            "problem": self.problem.prompt,
            "answer": self.problem.answer,
            "successes": self.successes,
            "samples": self.samples,
            "mean_accuracy": self.rate,
            "ci_low": interval.low,
            "ci_high": interval.high,
        }


def successes(completions: Iterable[Completion]) -> int:
    """How many are right by their verdict; a user's score need not be 0 or 1."""
    return sum(c.verdict is not None and c.verdict.correct for c in completions)


@dataclass(frozen=True, kw_only=True)
class Prober:
    """Everything a probe needs; `__call__` samples each problem `samples` times."""

    engine: Engine
    render: Render
    verify: Verifier
    sampling: Sampling

    def groups(self, problems: Sequence[Problem], samples: int, *, round: int) -> list[Group]:
        """Scored groups of fresh samples; every round has streams of its own."""
        return collect(
            self.engine, problems, self.render, self.verify, self.sampling, PROBE_STEP + round,
            group_size=samples, at="the samples before training",
        )  # fmt: skip

    def __call__(self, problems: Sequence[Problem], samples: int, *, round: int) -> list[Probed]:
        """Success counts of each problem, in order."""
        return [
            Probed(problem=g.problem, successes=successes(g.completions), samples=samples)
            for g in self.groups(problems, samples, round=round)
        ]


def closest_to_half(probed: Probed) -> float:
    """Distance of the rate from 1/2, where a group carries most signal (r varies most).

    One that was never solved comes after all others, the always solved ones included.
    """
    return abs(probed.rate - 0.5) if probed.successes else 1.0


def choose(
    probe: Prober,
    candidates: Sequence[Problem],
    *,
    score: Callable[[Probed], float] = closest_to_half,
    first: int = 8,
    second: int = 24,
    finalists: int = 8,
    fresh: int = 32,
) -> tuple[Probed, list[Probed]]:
    """The example to train on, with its rate from `fresh` new samples, and every candidate's counts (both rounds).

    Args:
        probe: the sampler.
        candidates: from the train split.
        score: smaller is better; ties go to the earlier candidate.
        first: samples a candidate in round one.
        second: samples a finalist in round two.
        finalists: how many go to round two.
        fresh: new samples of the winner.

    Raises:
        DataError: E306 when no candidate was ever solved.
    """
    counted = probe(candidates, first, round=0)
    best = sorted(counted, key=score)[:finalists]
    again = probe([p.problem for p in best], second, round=1)
    pooled = {
        a.problem.id: replace(a, successes=a.successes + b.successes, samples=a.samples + b.samples)
        for a, b in zip(again, best, strict=True)
    }
    counted = [pooled.get(p.problem.id, p) for p in counted]
    winner = min(pooled.values(), key=score)
    if not any(p.successes for p in counted):
        raise DataError(
            f"the model solved none of {len(candidates)} candidates in {first} tries each: nothing can be reinforced.",
            code="E306",
            tries=("--task-seed 1", "--model a-stronger-model"),
        )
    (rated,) = probe([winner.problem], fresh, round=2)
    return rated, counted
