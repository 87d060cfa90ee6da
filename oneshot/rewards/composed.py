"""What the named graders are made of: a way to find the answer, a way to compare it, and a memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from oneshot.rewards.answers.text import MAX_ANSWER
from oneshot.types import Verdict

Found = tuple[str | None, str]
"""The answer text, or None, and the rule that found it."""

MAX_REMEMBERED = 65_536
"""Pairs of answer and reference a grader remembers."""


class Graded(NamedTuple):
    """A comparison: whether equal (None: undecided), the tier that decided, and the status of the verdict."""

    equal: bool | None
    method: str
    status: str = "ok"
    message: str = ""


def in_a_box(answer: str) -> tuple[str, ...]:
    """The response that states an answer to most graders."""
    return (rf"\boxed{{{answer}}}",)


class TextVerifier:
    """A grader made of a way to find the answer and a way to compare it, with what it decided before remembered."""

    def __init__(
        self,
        name: str,
        find: Callable[[str], Found],
        compare: Callable[[str, str], Graded],
        states: Callable[[str], tuple[str, ...]] = in_a_box,
        reads: Callable[[str], bool] = lambda reference: True,
    ) -> None:
        """What a grader is made of.

        `states` names responses that state a given answer, all of which it must accept (`verifier.self_check`);
        `reads` says whether a reference is understood, so that more than the same text can match it.
        """
        self.name = name
        self.states = states
        self.reads = reads
        self._find = find
        self._compare = compare
        self._decided: dict[tuple[str, str], Graded] = {}

    def __call__(self, response: str, reference: str) -> Verdict:
        """Grade one response. `method` is the tier that decided; `extracted` is cut to 2,000 characters."""
        start = time.perf_counter()
        answer, rule = self._find(response)
        if answer is None:
            return Verdict(correct=False, extracted=None, method="none", status="no_answer", seconds=_since(start))
        if not answer.strip() or not reference.strip():
            graded = Graded(False, rule, "empty", f"the {'answer' if reference.strip() else 'reference'} is empty")
        else:
            graded = self._remembered(answer, reference)
        return Verdict(
            correct=graded.equal is True,
            extracted=answer[:MAX_ANSWER],
            method=graded.method,
            status=graded.status,
            seconds=_since(start),
            message=graded.message,
        )

    def _remembered(self, answer: str, reference: str) -> Graded:
        """One example has few distinct answers. A time-out may come out otherwise next time, so it is not kept."""
        key = answer, reference
        found = self._decided.get(key)
        if found is None:
            found = self._compare(answer, reference)
            if found.status in ("ok", "undecided") and len(answer) <= MAX_ANSWER:
                if len(self._decided) >= MAX_REMEMBERED:
                    self._decided.clear()
                self._decided[key] = found
        return found


def _since(start: float) -> float:
    return time.perf_counter() - start


@dataclass
class FixedVerifier:
    """A grader that is one function."""

    name: str
    function: Callable[[str, str], Verdict]
    states: Callable[[str], tuple[str, ...]] = in_a_box

    def __call__(self, response: str, reference: str) -> Verdict:
        """Grade one response."""
        return self.function(response, reference)
