"""GPS in its MoPPS special case: posterior means near one half, and examples unlike each other and the last ones."""

from __future__ import annotations

import numpy as np

from oneshot.history import History
from oneshot.train.curriculum.base import CURRICULA, DRAW, Design, Floats, Pool, nearest, random, unit, within
from oneshot.train.curriculum.mopps import Mopps

NAME = "gps"
TWINS = 1e-6
"""Two examples this near (squared distance over 4) are one to the diversity term."""


def diverse(utility_P: Floats, unit_PH: Floats, diversity: float, count: int, last: list[int]) -> list[int]:
    """Greedily the `count` places with the largest utility + diversity x distance to the nearest one chosen.

    Args:
        utility_P: what each is worth alone.
        unit_PH: embeddings of length 1; the distance is (1 − cos)/2, so 0 for twins and 1 for opposites.
        diversity: weight of the distance; 0 gives the largest utilities.
        count: how many; at most P.
        last: places chosen in earlier steps, from which the distance counts too.
    """
    if not diversity:
        return nearest(-utility_P, float((-utility_P).min()), count)
    apart_P: Floats = np.ones(len(utility_P))
    for place in last:
        apart_P = np.minimum(apart_P, _distances(unit_PH, place))
    chosen: list[int] = []
    open_P = np.ones(len(utility_P), dtype=bool)
    twin_P = np.zeros(len(utility_P), dtype=bool)
    for _ in range(count):
        allowed_P = open_P & ~twin_P if (open_P & ~twin_P).any() else open_P
        best = int(np.where(allowed_P, utility_P + diversity * apart_P, -np.inf).argmax())
        chosen.append(best)
        from_best_P = _distances(unit_PH, best)
        apart_P = np.minimum(apart_P, from_best_P)
        twin_P |= from_best_P < TWINS
        open_P[best] = False
    return chosen


def _distances(unit_PH: Floats, place: int) -> Floats:
    """From the example at `place` to each; two that equal the pool's mean, whose vector is 0, are twins and no half."""
    found: Floats = (1 - unit_PH @ unit_PH[place]) / 2
    if not unit_PH[place].any():
        found[~unit_PH.any(axis=1)] = 0.0
    return found


class Gps(Mopps):
    """MoPPS's posterior, its mean over several draws, and a greedy choice with a diversity term."""

    name = NAME

    def __init__(
        self, pool: Pool, *, target: float, decay: float, pick: int, diversity: float, draws: int, memory: int
    ) -> None:
        super().__init__(pool, target=target, decay=decay, pick=pick)
        assert pool.embedding_PH is not None
        self.unit_PH = unit(pool.embedding_PH)
        self.diversity, self.draws, self.memory = diversity, draws, memory

    def picked(self, step: int, history: History) -> list[int]:
        """Places of the examples of this step."""
        shape = (self.draws, len(self.pool.problems))
        drawn_DP = random(self.pool.seed, step, DRAW).beta(self.posterior.alpha_P, self.posterior.beta_P, shape)
        utility_P: Floats = -((drawn_DP.mean(axis=0) - self.target) ** 2)
        recent = history.visits(max(0, step - self.memory), step)
        last = [self.place[visit.problem_id] for visit in recent if visit.problem_id in self.place]
        return diverse(utility_P, self.unit_PH, self.diversity, self.pick, last)


@CURRICULA.register(NAME)
def gps(
    *,
    target: float = 0.5,
    decay: float = 0.5,
    pick: int = 0,
    diversity: float = 0.1,
    draws: int = 10,
    memory: int = 1,
) -> Design:
    """Generalizable Predictive Prompt Selection, arXiv:2602.01970, with MoPPS's Beta posteriors as its predictor.

    Options: as of mopps, and the weight of the `diversity` term λ_D, how many `draws` M the predicted rate γ̂ is the
    mean of, and the `memory`: from how many earlier steps' examples the picks keep away. Weight, draws and memory are
    ours: the defaults of the paper are not known here.

    Departures. No variational model: each example has a Beta posterior of its own, so nothing is learned about an
    example from others. The diversity of a pick is its distance to the nearest one chosen, in the space of the
    policy's prompt embeddings; the paper's is not known here. A sum over pairs was not taken, because it may choose a
    twin of what was chosen already; as it is a twin comes only when nothing else is left.
    """
    within(NAME, "target", target, 0, 1)
    within(NAME, "decay", decay, 0, 1)
    within(NAME, "pick", pick, 0)
    within(NAME, "diversity", diversity, 0)
    within(NAME, "draws", draws, 1)
    within(NAME, "memory", memory, 0)
    return Design(
        name=NAME,
        begin=lambda pool: Gps(
            pool, target=target, decay=decay, pick=pick, diversity=diversity, draws=draws, memory=memory
        ),
        pick=pick,
        embeds=True,
    )
