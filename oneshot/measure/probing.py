"""Which problems of a pool are solved about half of the time: where to sample next, and the order found. Counts only.

The rule is sequential halving (Karnin, Koren and Somekh, ICML 2013) for the `top` arms with the smallest |p - target|:
the budget is split evenly over rounds, each round samples what is left equally often, and then the worst are dropped.
Departures: a quarter is dropped and not a half (`benchmarks/probe.py` compares them, and other rules); a small budget
drops more, so that every round can sample what is left; the counts of all rounds are pooled; arms are ordered by the
expected squared distance, which counts what is not known yet against an arm; what is clearly in or out by its interval
is no longer sampled, so that the others get its share; and what is certainly near enough is in. Ties at a cut fall by a
seeded shuffle, because files are often sorted by difficulty.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oneshot.measure.statistics import wilson

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TOLERANCE = 0.05
"""What the command is content with. With .1 it found a quarter fewer of the 50 nearest of a uniform pool
(`benchmarks/probe.py`), though at .4 or .6 98 % of groups of 8 carry signal, at .5 99 %."""
DIGITS = 12
"""Expected squared distances that agree to so many decimals are ties; 3 of 8 is as far from 1/2 as 5 of 8."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is looked for and what may be spent. Example: `Rule(top=50, budget=16_000)`."""

    top: int
    """How many problems are wanted."""
    budget: int
    """Samples in all, never exceeded."""
    target: float = 0.5
    """The pass rate looked for."""
    keep: float = 3 / 4
    """Share of the open problems that goes on to the next round."""
    first: int = 2
    """Samples a problem in the first round at least, if the budget has them: one sample says nothing about 1/2."""
    clear: float = 3.0
    """Standard deviations of the (Wilson) intervals that decide; 3 is 99.7 % each, not for all of them together."""
    tolerance: float = 0.0
    """A problem whose whole interval lies so close to the target is good enough; 0: only the nearest will do."""
    seed: int = 0
    """Of the shuffle that breaks ties."""


def spread(successes_P: Ints, samples_P: Ints, target: float = 0.5) -> Floats:
    """E[(p - target)^2] of each problem under Beta(1 + successes, 1 + failures), rounded to `DIGITS` decimals.

    Distance of the posterior mean squared, plus the posterior's variance. 4 of 8: 0 + .25/11; never sampled: 1/12.
    """
    total_P = samples_P + 2.0
    mean_P = (successes_P + 1) / total_P
    spread_P: Floats = np.round((mean_P - target) ** 2 + mean_P * (1 - mean_P) / (total_P + 1), DIGITS)
    return spread_P


def ranking(successes_P: Ints, samples_P: Ints, target: float = 0.5, *, hopeless: Collection[int] = ()) -> Ints:
    """The problems from the best to the worst by `spread`; of equals the ones ever solved first, then by place.

    (0 of 8 and 8 of 8 are as far from 1/2, but only the latter can be reinforced.) The hopeless come last.
    """
    return np.lexsort(_keys(successes_P, samples_P, target, hopeless)).astype(np.int64)


def ties(
    successes_P: Ints, samples_P: Ints, target: float = 0.5, *, hopeless: Collection[int] = ()
) -> tuple[Ints, Ints]:
    """First and last rank (from 1) of the problems whose counts say the same as each problem's own."""
    keys_P2 = np.stack(_keys(successes_P, samples_P, target, hopeless), axis=1)
    of_P = np.unique(keys_P2[:, ::-1], axis=0, return_inverse=True)[1].reshape(-1)
    size_U = np.bincount(of_P)
    last_U = np.cumsum(size_U)
    return (last_U - size_U + 1)[of_P].astype(np.int64), last_U[of_P].astype(np.int64)


def _keys(
    successes_P: Ints, samples_P: Ints, target: float, hopeless: Collection[int]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """What is sorted by: never solved, within equal spread."""
    spread_P = spread(successes_P, samples_P, target)
    spread_P[list(hopeless)] = np.inf
    return successes_P == 0, spread_P


def away(low: float, high: float, target: float = 0.5) -> tuple[float, float]:
    """Smallest and largest |p - target| over an interval of p."""
    return max(low - target, target - high, 0.0), max(high - target, target - low)


def distances(successes_P: Ints, samples_P: Ints, target: float, z: float) -> tuple[Floats, Floats]:
    """[P], [P]: `away` over Wilson intervals of `z` standard deviations; of [0, 1] where there are no samples."""
    level, base = math.erf(z / math.sqrt(2)), int(samples_P.max(initial=0)) + 1
    pair_U, of_P = np.unique(samples_P * base + successes_P, return_inverse=True)
    bounds = [wilson(int(pair % base), int(pair // base), level) for pair in pair_U]
    near_far_U2 = np.array([away(b.low, b.high, target) for b in bounds], dtype=np.float64).reshape(-1, 2)
    near_P, far_P = near_far_U2[of_P.reshape(-1)].T
    return near_P, far_P


class Halving:
    """The allocation, one round at a time: `wanted`, sample, `observe`, until nothing is wanted.

    It depends on the rule and the counts alone, so that what it asked for can be worked out again from a record.
    """

    def __init__(self, rule: Rule, size: int, *, hopeless: Collection[int] = ()) -> None:
        """`size` problems, of which the `hopeless` (known never to be solved) are out from the start."""
        assert 1 <= rule.top <= size, (rule.top, size)
        assert 0 < rule.keep < 1, rule.keep
        self.rule = rule
        self.successes_P: Ints = np.zeros(size, dtype=np.int64)
        self.samples_P: Ints = np.zeros(size, dtype=np.int64)
        self.open_P: Bools = np.ones(size, dtype=np.bool_)
        """Not decided yet; a problem never becomes open again."""
        self.in_P: Bools = np.zeros(size, dtype=np.bool_)
        """Clearly among the wanted, or good enough."""
        self.cut_P: Bools = np.zeros(size, dtype=np.bool_)
        """Dropped at the end of a round though its interval left it open: out by the rule, not by the evidence."""
        self.open_P[list(hopeless)] = False
        self.order_P = np.random.default_rng([rule.seed, size]).permutation(size)

    @property
    def spent(self) -> int:
        """Samples observed so far."""
        return int(self.samples_P.sum())

    @property
    def left(self) -> int:
        """Samples the budget still has."""
        return self.rule.budget - self.spent

    @property
    def missing(self) -> int:
        """Wanted problems that are not certain yet."""
        return self.rule.top - int(self.in_P.sum())

    @property
    def settled(self) -> bool:
        """The wanted are certain by the evidence (or certainly near enough), not only by the budget's end."""
        if self.rule.top == len(self.open_P):
            return False  # nobody is out, and the order itself is never certain
        return self.missing <= 0 or (int(self.open_P.sum()) <= self.missing and not self.cut_P.any())

    def rounds(self, count: int) -> int:
        """Rounds left with `count` open problems, if each drops its share and no more; 0 when there is no choice."""
        rounds = 0
        while count > self.missing > 0:
            rounds += 1
            count = self._share(count)
        return rounds

    def _share(self, count: int) -> int:
        """How many of `count` go on to the next round: the rule's share, at least as many as are wanted."""
        return max(self.missing, min(math.floor(self.rule.keep * count), count - 1))

    def _kept(self, count: int) -> int:
        """As `_share`, but no more than the next round can sample once each."""
        kept = self._share(count)
        rounds = self.rounds(kept)
        return kept if not rounds else max(self.missing, min(kept, self.left // rounds))

    def wanted(self) -> Ints:
        """Samples to draw now of each problem; zero everywhere at the end. Never more than the budget has left."""
        wanted_P: Ints = np.zeros(len(self.open_P), dtype=np.int64)
        count, begins = int(self.open_P.sum()), not self.spent
        rounds = self.rounds(count)
        if begins and count:
            rounds = max(rounds, 1)  # where all are wanted there is nothing to choose, but still an order to find
        if not rounds:
            return wanted_P
        least = self.rule.first if begins else 1
        each = min(max(self.left // (rounds * count), least), self.left // count)
        wanted_P[self.open_P] = each
        if not each and begins:  # a budget below one sample a problem: some by lot, and that is all
            wanted_P[self.order_P[self.open_P[self.order_P]][: self.left]] = 1
        return wanted_P

    def observe(self, successes_P: Ints, samples_P: Ints) -> None:
        """Take in a round that was sampled as wanted, then decide what is clear and drop the worst of the rest."""
        assert not samples_P[~self.open_P].any(), "a decided problem was sampled"
        assert (successes_P <= samples_P).all()
        self.successes_P = self.successes_P + successes_P
        self.samples_P = self.samples_P + samples_P
        assert self.left >= 0, "more than the budget"
        self._decide()
        count = int(self.open_P.sum())
        if count > self.missing > 0:
            order_P = self._order()
            dropped = order_P[self.open_P[order_P]][self._kept(count) :]
            self.open_P[dropped] = False
            self.cut_P[dropped] = True

    def _order(self) -> Ints:
        """As `ranking`, with ties by lot."""
        shuffled_P = ranking(self.successes_P[self.order_P], self.samples_P[self.order_P], self.rule.target)
        return self.order_P[shuffled_P]

    def _decide(self) -> None:
        """Close what is good enough, clearly in or clearly out among the open ones."""
        rule = self.rule
        near_P, far_P = distances(self.successes_P, self.samples_P, rule.target, rule.clear)
        good_P = self.open_P & (far_P <= rule.tolerance)
        best = [i for i in self._order() if good_P[i]][: max(self.missing, 0)]
        self.in_P[best] = True
        self.open_P[best] = False
        count = int(self.open_P.sum())
        if 0 < self.missing < count:
            cut_far = np.partition(far_P[self.open_P], self.missing - 1)[self.missing - 1]
            cut_near = np.partition(near_P[self.open_P], self.missing)[self.missing]
            out_P, in_P = self.open_P & (near_P > cut_far), self.open_P & (far_P < cut_near)
            self.in_P |= in_P
            self.open_P &= ~(out_P | in_P)
