"""How a probe chooses: by the pass rate, sampled where it is open, or by the answers, sampled equally often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from oneshot.measure.probing import Floats, Halving, Ints, Rule, ranking, ties
from oneshot.measure.selection import ANSWERS
from oneshot.measure.uncertainty import ranking as ranked_by
from oneshot.stages.probing.record import CHOOSE, Sample
from oneshot.stages.probing.sampler import Sampler


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the samples say; [P] in the pool's order."""

    successes_P: Ints
    samples_P: Ints
    answers: Mapping[int, Counter[str]]
    """Extracted answers, by problem; one without any is missing."""
    order: Sequence[int]
    """Places in the pool, best first."""
    first_P: Ints
    last_P: Ints
    """First and last rank of the problems that cannot be told apart."""
    settled: bool | None
    """The picks were clear before the budget was spent; None where it was spent evenly."""


Chooser = Callable[[Sampler], Chosen]
"""Samples what it needs and says what was found."""


def by_rate(rule: Rule, size: int, hopeless: Set[int]) -> Chooser:
    """The nearest to the rule's pass rate, the budget spent where that is open (`measure/probing.py`)."""

    def choose(sampler: Sampler) -> Chosen:
        race, answers = Halving(rule, size, hopeless=hopeless), dict[int, Counter[str]]()
        while (wanted_P := race.wanted()).any():
            numbers = {
                int(i): range(int(race.samples_P[i]), int(race.samples_P[i] + wanted_P[i]))
                for i in np.flatnonzero(wanted_P)
            }
            race.observe(_counted(sampler.draw(CHOOSE, numbers), size, answers), wanted_P)
            sampler.decided(int(race.open_P.sum()))
        counts = race.successes_P, race.samples_P, rule.target
        first_P, last_P = ties(*counts, hopeless=hopeless)
        return Chosen(
            successes_P=race.successes_P,
            samples_P=race.samples_P,
            answers=answers,
            order=ranking(*counts, hopeless=hopeless).tolist(),
            first_P=first_P,
            last_P=last_P,
            settled=race.settled,
        )

    return choose


def by_answers(name: str, samples: int, size: int, hopeless: Set[int]) -> Chooser:
    """The largest `ANSWERS[name]` of equally many samples of each problem; the hopeless are not sampled and last.

    Nothing is spared: such a score depends on the number of samples, so unequal numbers would not compare.
    """

    def choose(sampler: Sampler) -> Chosen:
        answers: dict[int, Counter[str]] = {}
        wanted = {i: range(samples) for i in range(size) if i not in hopeless}
        successes_P = _counted(sampler.draw(CHOOSE, wanted), size, answers)
        score_P: Floats = np.full(size, np.nan)
        for i in wanted:
            score_P[i] = round(ANSWERS[name](answers.get(i, Counter()), samples), 12)
        ranks, samples_P = ranked_by(score_P), np.zeros(size, dtype=np.int64)
        samples_P[list(wanted)] = samples
        return Chosen(
            successes_P=successes_P,
            samples_P=samples_P,
            answers=answers,
            order=ranks.order,
            first_P=ranks.first_P,
            last_P=ranks.last_P,
            settled=None,
        )

    return choose


def _counted(drawn: Sequence[Sample], size: int, answers: dict[int, Counter[str]]) -> Ints:
    """[P]: the right ones among these samples; their answers are added to `answers`."""
    right_P: Ints = np.zeros(size, dtype=np.int64)
    for sample in drawn:
        right_P[sample.index] += sample.correct
        if sample.answer is not None:
            answers.setdefault(sample.index, Counter())[sample.answer] += 1
    return right_P
