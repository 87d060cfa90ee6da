"""MoPPS: a Beta posterior of each example's success rate, and a Thompson draw to pick those near one half."""

from __future__ import annotations

import numpy as np

from oneshot.history import History, Visit
from oneshot.train.curriculum.base import (
    CURRICULA,
    DRAW,
    Design,
    Floats,
    FromHistory,
    Pool,
    nearest,
    random,
    within,
)
from oneshot.types import Problem

NAME = "mopps"
PRIOR = 1.0
"""α₀ = β₀: nothing is known."""


class Posterior:
    """Beta(α, β) of P success rates that drift: a visit first draws an example back towards the prior, then counts.

    α ← λα + (1 − λ)α₀ + s and β ← λβ + (1 − λ)β₀ + (n − s), for the examples visited only. λ = 1 is the exact
    conjugate posterior, λ = 0 keeps the last visit alone.
    """

    def __init__(self, count: int, decay: float) -> None:
        self.decay = decay
        self.alpha_P: Floats = np.full(count, PRIOR)
        self.beta_P: Floats = np.full(count, PRIOR)

    def update(self, place: int, visit: Visit) -> None:
        """Take one visit in."""
        kept, prior = self.decay, (1 - self.decay) * PRIOR
        self.alpha_P[place] = kept * self.alpha_P[place] + prior + visit.successes
        self.beta_P[place] = kept * self.beta_P[place] + prior + (visit.samples - visit.successes)


class Mopps(FromHistory):
    """Picks the examples whose drawn success rate is nearest to the target."""

    name = NAME

    def __init__(self, pool: Pool, *, target: float, decay: float, pick: int) -> None:
        super().__init__(pool)
        self.target = target
        self.posterior = Posterior(len(pool.problems), decay)
        self.pick = pick or pool.groups

    def next(self, step: int, history: History) -> list[Problem]:
        """The problems of this step, one a group; visits of earlier steps are taken in first."""
        for visit in self.news(step, history):
            self.posterior.update(self.place[visit.problem_id], visit)
        return self.shared(self.picked(step, history), step)

    def picked(self, step: int, history: History) -> list[int]:
        """Places of the examples of this step."""
        drawn_P = random(self.pool.seed, step, DRAW).beta(self.posterior.alpha_P, self.posterior.beta_P)
        return nearest(drawn_P, self.target, self.pick)


@CURRICULA.register(NAME)
def mopps(*, target: float = 0.5, decay: float = 0.5, pick: int = 0) -> Design:
    """Qu et al. 2025, arXiv:2507.04632: predict each prompt's difficulty by a bandit instead of by rollouts.

    Options: `target` success rate γ*; `decay` λ of what was counted before (0.5 in the released Countdown script);
    `pick` examples a step, 0 for as many as there are groups. α₀ = β₀ = 1 as released.

    Departures. The whole pool is a candidate at each step, not a random batch of 8 or 16 times the picks. Of the
    released strategies this is `topk`. The released update has a slip of operator precedence for one sample a prompt
    (the new α is then 8 whatever happened); here the formula of the paper holds for every n.
    """
    within(NAME, "target", target, 0, 1)
    within(NAME, "decay", decay, 0, 1)
    within(NAME, "pick", pick, 0)
    return Design(
        name=NAME,
        begin=lambda pool: Mopps(pool, target=target, decay=decay, pick=pick),
        pick=pick,
    )
