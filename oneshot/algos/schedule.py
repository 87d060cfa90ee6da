"""A coefficient over a run: a pure function of the step, so that a resumed run needs no state for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

SHAPES: dict[str, Callable[[float], float]] = {
    "constant": lambda t: 0.0,
    "linear": lambda t: t,
    "cosine": lambda t: (1 - math.cos(math.pi * t)) / 2,
}
"""Name -> share of the way from start to final at t, the share of the run that is over."""


@dataclass(frozen=True)
class Schedule:
    """From `start` at step 0 to `final` at the last of `steps` steps, and `final` after it."""

    shape: str
    start: float
    final: float
    steps: int

    def __call__(self, step: int) -> float:
        """The coefficient of a step."""
        share = SHAPES[self.shape](min(step / max(self.steps - 1, 1), 1.0))
        return self.start + (self.final - self.start) * share
