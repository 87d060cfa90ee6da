"""Positive-negative pairing: one hard example that is sometimes solved, one easy example that sometimes fails."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from oneshot.history import History, Visit
from oneshot.train.curriculum.base import (
    CURRICULA,
    DRAW,
    Design,
    Found,
    FromHistory,
    Pool,
    random,
    share,
    shuffled,
    summed,
    within,
)
from oneshot.types import PAIR, Problem

NAME = "pairing"
HEAVIEST = 1000.0
"""The largest weight that is taken."""


def paired(visits: Iterable[Visit], failures: int) -> tuple[str, str] | None:
    """The ids of (q⁺, q⁻) by the successes s of n samples; None where one of them is missing.

    q⁻ is brittle: 1 to `failures` of its samples fail (p̂ in [1 − c/n, 1 − 1/n]) and more succeed than fail. q⁺ is hard:
    solved at least once, and failed more often than solved. The hardest and the easiest are taken; of equals the first.
    """
    counted = list(visits)
    brittle = [v for v in counted if v.samples - failures <= v.successes < v.samples and 2 * v.successes > v.samples]
    hard = [v for v in counted if v.successes > 0 and 2 * v.successes < v.samples]
    if not brittle or not hard:
        return None
    return min(hard, key=lambda v: v.accuracy).problem_id, max(brittle, key=lambda v: v.accuracy).problem_id


class Pairing(FromHistory):
    """Rounds over the pool until one of them shows a pair; from then on the pair shares every step's groups."""

    name = NAME

    def __init__(self, pool: Pool, *, failures: int) -> None:
        super().__init__(pool)
        self.failures = failures
        self.round = steps_of_a_round(len(pool.problems), pool.groups)
        self.pair: tuple[Visit, Visit] | None = None
        """What the round in which they were found showed of q⁺ and q⁻."""

    def next(self, step: int, history: History) -> list[Problem]:
        """The problems of this step, one a group; the pair is looked for at the end of each round.

        Those of a pair carry their role in `meta` (`types.PAIR`), which the weights of `algos/pairs.py` go by.
        """
        while self.pair is None and self.seen + self.round <= step:
            self.pair = self._judged(self._round(self.seen, history))
            self.seen += self.round
        if self.pair is not None:
            hard, easy = (self.pool.problems[self.place[visit.problem_id]] for visit in self.pair)
            return share([_as(1, hard), _as(-1, easy)], self.pool.groups, step)
        number, turn = divmod(step, self.round)
        order = [self.pool.problems[i] for i in shuffled(self.pool.seed, number, len(self.pool.problems))]
        return share(order, self.pool.groups, turn)

    def found(self, step: int) -> Found | None:
        """The pair, at the first step that is trained on it; or that the round before this step showed none."""
        if not step or self.seen != step:
            return None
        if self.pair is None:
            said = f"{NAME}: no pair among {len(self.pool.problems)} examples yet; {self.round} more steps of looking"
            return Found("pair", said, {"hard": None, "easy": None})
        hard, easy = self.pair
        said = f"{NAME}: from here on {_told(hard)}, and {_told(easy)}"
        return Found("pair", said, {"hard": _row(hard), "easy": _row(easy)})

    def _judged(self, seen: list[Visit]) -> tuple[Visit, Visit] | None:
        """The pair that a round shows; of equals one that the seed and the round draw, not the first of the file."""
        order = random(self.pool.seed, self.seen, DRAW).permutation(len(seen))
        ids = paired([seen[i] for i in order], self.failures)
        by_id = {visit.problem_id: visit for visit in seen}
        return None if ids is None else (by_id[ids[0]], by_id[ids[1]])

    def _round(self, first: int, history: History) -> list[Visit]:
        """What a round showed of each example in file order, its samples added up."""
        ours = (visit for visit in history.visits(first, first + self.round) if visit.problem_id in self.place)
        return sorted(summed(ours).values(), key=lambda visit: self.place[visit.problem_id])


def steps_of_a_round(problems: int, groups: int) -> int:
    """Steps in which each example has at least one group."""
    return -(-problems // groups)


def _as(role: int, problem: Problem) -> Problem:
    return replace(problem, meta={**problem.meta, PAIR: role})


def _row(visit: Visit) -> dict[str, Any]:
    return {"id": visit.problem_id, "successes": visit.successes, "samples": visit.samples}


def _told(visit: Visit) -> str:
    return f"{visit.problem_id} (solved {visit.successes} of {visit.samples} times)"


@CURRICULA.register(NAME)
def pairing(*, failures: int = 2, success: float = 1.0, failure: float = 1.0) -> Design:
    """Beyond Variance, arXiv:2602.03452: two prompts, one hard but solvable, one easy but brittle.

    Options: `failures` c, so that the easy example solves all but 1 to c of its samples (2 is ours; the paper's is not
    known here); `success` w⁺, what the advantage of a success on the hard one is multiplied by, and `failure` w⁻, that
    of a failure on the easy one (1 is ours: plain advantages).

    Departures. The probe is made of training steps, in which the pool is gone through once in shuffled order: a
    curriculum has no samples of its own. Where a round shows no pair, another one follows; a run that ends before the
    first round does is refused. Hard means a rate below one half. `oneshot select` probes without training.

    There is deliberately no λ_neg, the paper's reward −λ of a failure. Advantages that are z-scores within a group do
    not change under any map r -> a·r + b with a > 0, and neither do they when the groups of the pair are pooled, so
    the knob would do nothing (a test holds this). The two weights are put on advantages, after the credit, so they act.
    Rare events weigh most without them: the one success of 8 has an advantage 7 times as large as each failure.
    """
    within(NAME, "failures", failures, 1)
    within(NAME, "success", success, 0, HEAVIEST)
    within(NAME, "failure", failure, 0, HEAVIEST)
    return Design(
        name=NAME,
        begin=lambda pool: Pairing(pool, failures=failures),
        fewest=2,
        before=steps_of_a_round,
        weights=(success, failure),
    )
