"""SGAC: features of a few rollouts choose one of a few candidates, which is then trained on for a short burst."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from oneshot.history import History, Visit
from oneshot.measure.selection import answer_entropy, distinct_ratio
from oneshot.train.curriculum.base import CURRICULA, Design, FromHistory, Pool, share, shuffled, summed, within
from oneshot.types import Problem

NAME = "sgac"


def success(visit: Visit) -> float:
    """Share of right responses."""
    return visit.accuracy


def variance(visit: Visit) -> float:
    """Population variance of the 0/1 rewards, p(1 − p)."""
    return visit.accuracy * (1 - visit.accuracy)


def distinct(visit: Visit) -> float:
    """Different answers over responses: (a, a, b, c) has 0.75."""
    return distinct_ratio(dict(visit.answers), visit.samples)


def entropy(visit: Visit) -> float:
    """Entropy of the distribution of answers, in nats: (a, a, b, c) has 1.0397, one answer throughout 0."""
    return answer_entropy(dict(visit.answers))


FEATURES: Mapping[str, Callable[[Visit], float]] = {
    "success": success,
    "variance": variance,
    "distinct": distinct,
    "entropy": entropy,
}


def score(visit: Visit, weights: Mapping[str, float]) -> float:
    """Σ weight x feature, summed exactly, so that the order of the features cannot matter."""
    return math.fsum(weight * FEATURES[name](visit) for name, weight in weights.items())


def steps_of_a_probe(candidates: int, groups: int) -> int:
    """Steps in which each candidate has at least one group."""
    return -(-candidates // groups)


class Sgac(FromHistory):
    """Cycles of one probe of the next candidates, then a burst on the best of them."""

    name = NAME

    def __init__(self, pool: Pool, *, candidates: int, burst: int, weights: Mapping[str, float]) -> None:
        super().__init__(pool)
        self.candidates, self.burst, self.weights = candidates, burst, weights
        self.probe = steps_of_a_probe(candidates, pool.groups)

    def next(self, step: int, history: History) -> list[Problem]:
        """The problems of this step, one a group: the candidates in turn, or the best of them."""
        cycle, turn = divmod(step, self.probe + self.burst)
        drawn = self._drawn(cycle)
        if turn < self.probe:
            return share(drawn, self.pool.groups, turn)
        return [self._best(drawn, step - turn, history)] * self.pool.groups

    def _drawn(self, cycle: int) -> list[Problem]:
        """The candidates of a cycle: none comes twice before the pool is used up, but for a remainder left out."""
        cycles = len(self.pool.problems) // self.candidates
        epoch, number = divmod(cycle, cycles)
        order = shuffled(self.pool.seed, epoch, len(self.pool.problems))
        places = order[number * self.candidates : (number + 1) * self.candidates]
        return [self.pool.problems[i] for i in places]

    def _best(self, drawn: list[Problem], first: int, history: History) -> Problem:
        """The best candidate of the probe, its visits added up; of equals the one drawn first.

        One that was solved always or never comes after all others, whatever its score: groups of equal rewards have
        no advantages, so a burst on it would train nothing. Where all are like that, the score decides alone.
        """
        seen = summed(history.visits(first, first + self.probe))
        worth = [_worth(seen.get(problem.id), self.weights) for problem in drawn]
        return drawn[worth.index(max(worth))]


def _worth(visit: Visit | None, weights: Mapping[str, float]) -> tuple[bool, float]:
    """(whether it was solved sometimes but not always, its score); without a visit the least there is."""
    if visit is None:
        return False, -math.inf
    return 0 < visit.successes < visit.samples, score(visit, weights)


@CURRICULA.register(NAME)
def sgac(
    *,
    candidates: int = 4,
    burst: int = 5,
    success: float = 0.0,
    variance: float = 0.0,
    distinct: float = 0.0,
    entropy: float = 1.0,
) -> Design:
    """Selector-Guided Autonomous Curriculum, arXiv:2605.01823: a feature selector with micro-bursts.

    Options: `candidates` B drawn at a time and then used up; `burst` steps on the best one; the weights of the
    features `success`, `variance`, `distinct` and `entropy`.

    Departures. A candidate that was sometimes solved and sometimes not is preferred to one that was not, whatever the
    features say: the answers to a question that is never solved may vary most, and a group of equal rewards has no
    advantages. The default score is the entropy of the answers alone, the strongest feature by the paper's own words,
    and not its regression: with the published weights (success 0.0050, variance 0.1832, distinct −0.0751, and 0.2188 on
    the data set's level) the terms beside the level span less than one level at 4 rollouts, so that rule always takes
    the highest level, and disagreement counts against an example. There is no level here, and the variance is that of
    right or wrong, without the paper's half point for a box. The probe's rollouts are trained on too, a group or more a
    candidate; a burst is whole steps of the run's own algorithm, not single-completion updates.
    """
    within(NAME, "candidates", candidates, 2)
    within(NAME, "burst", burst, 1)
    weights = {"success": success, "variance": variance, "distinct": distinct, "entropy": entropy}
    return Design(
        name=NAME,
        begin=lambda pool: Sgac(pool, candidates=candidates, burst=burst, weights=weights),
        fewest=candidates,
        before=lambda problems, groups: steps_of_a_probe(candidates, groups),
    )
