"""A pool with known pass rates for tests of the probe: an engine that solves each problem so often, a short probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from oneshot.rewards.functions import build_verifier
from oneshot.stages.probing.probe import Prober
from oneshot.stages.probing.probing import PoolProbe, probe_pool
from oneshot.types import Completion, Problem, Sampling

RIGHT = "7"


class Engine:
    """Problem `i` is solved with `rates[i]`; a response depends on its stream and the seed alone."""

    def __init__(self, rates: Sequence[float], on_call: Callable[[int], None] = lambda call: None) -> None:
        self.rates, self.on_call = rates, on_call
        self.asked: list[tuple[int, int]] = []
        self.calls = 0
        self.check: Callable[[], None] = lambda: None

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, streams: Sequence[tuple[int, int]]
    ) -> list[Completion]:
        self.calls += 1
        self.on_call(self.calls)
        self.check()
        self.asked += streams
        made = []
        for (i,), (step, sample) in zip(prompts, streams, strict=True):
            drawn = np.random.default_rng([sampling.seed, step, sample]).random(2)
            text = RIGHT if drawn[0] < self.rates[i] else str(10 + int(3 * drawn[1]))
            made.append(Completion(tokens=(1, 2), logprobs=(-1.0,) * 2, text=text, finished=True))
        return made


def pool(size: int, **answers: str) -> list[Problem]:
    return [Problem(id=f"p{i}", prompt=f"question {i}", answer=answers.get(f"p{i}", RIGHT)) for i in range(size)]


def prober(engine: Engine, **changes: Any) -> Prober:
    made = Prober(
        engine=engine, render=lambda p: (int(p.id[1:]),), verify=build_verifier("exact"), sampling=Sampling(seed=3)
    )
    return replace(made, **changes)


def rates_of(size: int) -> list[float]:
    return np.random.default_rng(11).beta(0.3, 0.5, size).tolist()


def probe(engine: Engine, record: Path, size: int = 60, **changes: Any) -> PoolProbe:
    given: dict[str, Any] = {
        "top": 4,
        "samples": 16,
        "protocol": {"model": "m"},
        "problems": pool(size),
        "prober": prober(engine),
    }
    given |= changes
    return probe_pool(given.pop("prober"), given.pop("problems"), record=record, **given)


def values(found: PoolProbe) -> list[tuple[Any, ...]]:
    return [
        (f.rank, f.index, f.successes, f.samples, f.answers, f.fresh_successes, f.fresh_samples) for f in found.ranked
    ]
