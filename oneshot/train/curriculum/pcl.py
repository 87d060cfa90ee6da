"""Prompt Curriculum Learning: a value model predicts the success rate of each prompt; those near one half are trained.

The value model is a ridge regression on the policy's own prompt embedding, solved in closed form: no gradient, so the
learner stays the only place that calls backward.
"""

from __future__ import annotations

import numpy as np

from oneshot.history import History
from oneshot.train.curriculum.base import (
    CURRICULA,
    DRAW,
    Design,
    Floats,
    FromHistory,
    Pool,
    nearest,
    random,
    unit,
    within,
)
from oneshot.types import Problem

NAME = "pcl"


def fitted(unit_PH: Floats, samples_P: Floats, successes_P: Floats, ridge: float) -> Floats:
    """V of every example, [P]: the mean rate plus a ridge regression of what deviates from it.

    Minimises Σ n (V(x) − r)² + ridge·|w|² over the visited examples, V(x) = b + w·x, with the intercept b = Σ s / Σ n
    held fixed and not shrunk. Not cut to [0, 1]: only the order of |V − τ| is used. 0.5 for all before any visit.

    Args:
        unit_PH: embeddings.
        samples_P: weight n of each example, in samples; 0 for one never visited.
        successes_P: weighted successes s; the rate is r = s / n.
        ridge: strength, in samples.
    """
    seen = samples_P > 0
    if not seen.any():
        return np.full(len(samples_P), 0.5)
    mean = float(successes_P.sum() / samples_P.sum())
    # With A = √n x the solution is Aᵀ(AAᵀ + ridge)⁻¹ y or (AᵀA + ridge)⁻¹ Aᵀy, whichever matrix is smaller.
    root_S = np.sqrt(samples_P[seen])
    a_SH = root_S[:, None] * unit_PH[seen]
    y_S = (successes_P[seen] - mean * samples_P[seen]) / root_S
    rows, width = a_SH.shape
    if rows <= width:
        w_H = a_SH.T @ np.linalg.solve(a_SH @ a_SH.T + ridge * np.eye(rows), y_S)
    else:
        w_H = np.linalg.solve(a_SH.T @ a_SH + ridge * np.eye(width), a_SH.T @ y_S)
    found: Floats = mean + unit_PH @ w_H
    return found


class Pcl(FromHistory):
    """Draws `wide` times as many candidates as are picked, and keeps those predicted to be nearest to the target."""

    name = NAME

    def __init__(self, pool: Pool, *, target: float, wide: int, pick: int, ridge: float, decay: float) -> None:
        super().__init__(pool)
        assert pool.embedding_PH is not None
        self.unit_PH = unit(pool.embedding_PH)
        self.target, self.wide, self.ridge, self.decay = target, wide, ridge, decay
        self.pick = pick or pool.groups
        self.samples_P: Floats = np.zeros(len(pool.problems))
        self.successes_P: Floats = np.zeros(len(pool.problems))
        self.at = 0
        """The step to which the sums are faded."""

    def next(self, step: int, history: History) -> list[Problem]:
        """The problems of this step, one a group; visits of earlier steps are taken in first."""
        for visit in self.news(step, history):
            self._fade(visit.step)
            place = self.place[visit.problem_id]
            self.samples_P[place] += visit.samples
            self.successes_P[place] += visit.successes
        value_P = fitted(self.unit_PH, self.samples_P, self.successes_P, self.ridge)
        count = min(self.wide * self.pick, len(self.pool.problems))
        drawn = random(self.pool.seed, step, DRAW).permutation(len(self.pool.problems))[:count]
        kept = nearest(value_P[drawn], self.target, self.pick)
        return self.shared([int(drawn[i]) for i in kept], step)

    def _fade(self, step: int) -> None:
        """Let what was counted before weigh less; step by step, so that a replay multiplies alike."""
        while self.at < step:
            self.samples_P *= self.decay
            self.successes_P *= self.decay
            self.at += 1


@CURRICULA.register(NAME)
def pcl(*, target: float = 0.5, wide: int = 4, pick: int = 0, ridge: float = 1.0, decay: float = 0.9) -> Design:
    """Gao et al. 2025, arXiv:2510.01135: train on prompts of intermediate difficulty, found without rollouts.

    Options: `target` τ; `wide` k, so that k x m candidates are drawn for m picks (1 is uniform sampling); `pick` m, 0
    for as many as there are groups; `ridge`, in samples; `decay` of a visit's weight for each step since. Only τ = 0.5
    is the paper's; k, ridge and decay are ours.

    Departures. The paper's value model is a second language model trained along with the policy; here it is a linear
    head on the mean of the policy's last hidden states over the prompt, under the initial weights, computed once.
    It is fitted to all earlier visits with fading weights, not by one gradient step on the last batch.
    """
    within(NAME, "target", target, 0, 1)
    within(NAME, "wide", wide, 1)
    within(NAME, "pick", pick, 0)
    within(NAME, "ridge", ridge, 1e-9)
    within(NAME, "decay", decay, 0, 1)
    return Design(
        name=NAME,
        begin=lambda pool: Pcl(pool, target=target, wide=wide, pick=pick, ridge=ridge, decay=decay),
        pick=pick,
        embeds=True,
    )
