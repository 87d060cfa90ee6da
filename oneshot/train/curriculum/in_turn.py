"""The default curriculum: every example in turn, so E examples share the groups evenly."""

from __future__ import annotations

from collections.abc import Sequence

from oneshot.history import History
from oneshot.types import Problem


class InTurn:
    """One example gets every group of every step; E examples share them evenly, remainders by turn."""

    def __init__(self, problems: Sequence[Problem], groups: int) -> None:
        assert problems
        self.problems = tuple(problems)
        self.groups = groups

    def next(self, step: int, history: History) -> list[Problem]:
        """The problems of this step, one a group. The history is not used here."""
        first = step * self.groups
        return [self.problems[(first + i) % len(self.problems)] for i in range(self.groups)]

    def state_dict(self) -> dict[str, int]:
        """Nothing: the step alone decides."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Nothing to load."""
