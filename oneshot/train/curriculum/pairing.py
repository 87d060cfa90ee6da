"""Positive-negative pairing: one hard example that is sometimes solved, one easy example that sometimes fails."""

from __future__ import annotations

from collections.abc import Iterable

from oneshot.history import History, Visit
from oneshot.train.curriculum.base import CURRICULA, Design, FromHistory, Pool, share, shuffled, within
from oneshot.types import Problem

NAME = "pairing"


def paired(visits: Iterable[Visit], failures: int) -> tuple[str, str] | None:
    """The ids of (q⁺, q⁻) by the successes s of n samples; None where one of them is missing.

    q⁻ is brittle: 1 to `failures` of its samples fail (p̂ in [1 − c/n, 1 − 1/n]) and more succeed than fail. q⁺ is hard:
    solved at least once, and below that band. The hardest and the easiest are taken; of equals the first.
    """
    counted = list(visits)
    brittle = [v for v in counted if v.samples - failures <= v.successes < v.samples and 2 * v.successes > v.samples]
    hard = [v for v in counted if 0 < v.successes < v.samples - failures]
    if not brittle or not hard:
        return None
    return min(hard, key=lambda v: v.accuracy).problem_id, max(brittle, key=lambda v: v.accuracy).problem_id


class Pairing(FromHistory):
    """Rounds over the pool until one of them shows a pair; from then on the pair shares every step's groups."""

    name = NAME

    def __init__(self, pool: Pool, *, failures: int) -> None:
        super().__init__(pool)
        self.failures = failures
        self.round = -(-len(pool.problems) // pool.groups)
        """Steps of a round, in which each example has at least one group."""
        self.pair: tuple[str, str] | None = None

    def next(self, step: int, history: History) -> list[Problem]:
        """The problems of this step, one a group; the pair is looked for at the end of each round."""
        while self.pair is None and self.seen + self.round <= step:
            seen = self._round(self.seen, history)
            self.pair = paired(seen, self.failures)
            self.seen += self.round
        if self.pair is not None:
            return self.shared([self.place[problem_id] for problem_id in self.pair], step)
        number, turn = divmod(step, self.round)
        order = [self.pool.problems[i] for i in shuffled(self.pool.seed, number, len(self.pool.problems))]
        return share(order, self.pool.groups, turn)

    def _round(self, first: int, history: History) -> list[Visit]:
        """What a round showed of each example in file order, its samples added up."""
        total: dict[str, Visit] = {}
        for visit in history.visits(first, first + self.round):
            if visit.problem_id in self.place:
                old = total.get(visit.problem_id)
                total[visit.problem_id] = (
                    visit
                    if old is None
                    else visit._replace(samples=visit.samples + old.samples, successes=visit.successes + old.successes)
                )
        return sorted(total.values(), key=lambda visit: self.place[visit.problem_id])


@CURRICULA.register(NAME)
def pairing(*, failures: int = 2) -> Design:
    """Beyond Variance, arXiv:2602.03452: two prompts, one hard but solvable, one easy but brittle.

    Option: `failures` c, so that the easy example solves all but 1 to c of its samples (2 is ours; the paper's is not
    known here).

    Departures. The probe is made of training steps, in which the pool is gone through once in shuffled order: a
    curriculum has no samples of its own. Where a round shows no pair, another one follows. `oneshot select` probes
    without training.

    There is deliberately no λ_neg, the paper's reward −λ of a failure. Advantages that are z-scores within a group do
    not change under any map r -> a·r + b with a > 0, and neither do they when the groups of the pair are pooled, so
    the knob would do nothing (a test holds this). Rare events weigh most without it: the one success of 8 has an
    advantage 7 times as large as each failure. Weights that act would have to be put on advantages, after the credit.
    """
    within(NAME, "failures", failures, 1)
    return Design(name=NAME, begin=lambda pool: Pairing(pool, failures=failures), fewest=2)
