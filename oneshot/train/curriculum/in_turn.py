"""The default curriculum: every example in turn, so E examples share the groups evenly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneshot.history import History
from oneshot.train.curriculum.base import CURRICULA, DEFAULT, Design, same, share, shuffled
from oneshot.types import Problem


class InTurn:
    """One example gets every group of every step; E examples share them evenly, remainders by turn.

    A pool larger than `groups` is visited in shuffled epochs, each example once an epoch. Where an epoch ends within a
    step the next one begins there, so an example may have two groups in that step.
    """

    def __init__(self, problems: Sequence[Problem], groups: int, seed: int = 0) -> None:
        assert problems
        self.problems = tuple(problems)
        self.groups = groups
        self.seed = seed

    def next(self, step: int, history: History) -> list[Problem]:
        """The problems of this step, one a group. The history is not used here."""
        count = len(self.problems)
        if count <= self.groups:
            return share(self.problems, self.groups, step)
        first = step * self.groups
        epochs = range(first // count, (first + self.groups - 1) // count + 1)
        order = {epoch: shuffled(self.seed, epoch, count) for epoch in epochs}
        slots = range(first, first + self.groups)
        return [self.problems[order[slot // count][slot % count]] for slot in slots]

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the seed and the step alone decide."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load; `UsageError` E107 when the state is another curriculum's."""
        same(DEFAULT, state)


@CURRICULA.register(DEFAULT)
def in_turn() -> Design:
    """Every example in turn; a pool larger than the groups of a step in shuffled epochs."""
    return Design(name=DEFAULT, begin=lambda pool: InTurn(pool.problems, pool.groups, pool.seed))
