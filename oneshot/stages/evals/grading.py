"""From raw responses to graded rows: the one place where an `EvalRow` of a response is made. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from oneshot.measure.tails import repeated_tail
from oneshot.rewards import choices
from oneshot.rewards.answers import compare
from oneshot.rewards.forced import completed, needs_box
from oneshot.rollout.collect import graded
from oneshot.stages.evals.asked import is_maths
from oneshot.types import EvalRow, Problem, Verdict, Verifier

Annotate = Callable[[Problem, Verdict], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A response as it was sampled."""

    text: str
    tokens: int
    cut: bool
    """It hit the length limit."""
    sample: int = 0
    forced: str | None = None
    """What was decoded after a forced box; None where none was asked for, or the response has a box."""


@dataclass(frozen=True, kw_only=True)
class Graders:
    """Whose verdicts a row has; equal ones are asked once."""

    verify: Verifier
    """The one that counts."""
    strict: Verifier | None = None
    """Its verdict is `meta["boxed"]`."""
    lenient: Verifier | None = None
    """Its verdict is `meta["lenient"]`."""
    forced: bool = False
    """`meta["forced"]` too: the strict grade after a box was forced where there was none."""

    def row(self, problem: Problem, raw: Raw, annotate: Annotate) -> EvalRow:
        """Grade one response.

        Raises:
            DataError: E305 a user's function failed.
        """
        where = f"the evaluation of problem {problem.id!r}" + (f", sample {raw.sample}" if raw.sample else "")
        verdict = graded(self.verify, raw.text, problem.answer, where)
        by: dict[int, bool] = {id(self.verify): verdict.correct}

        def right(verify: Verifier) -> bool:
            if id(verify) not in by:
                by[id(verify)] = graded(verify, raw.text, problem.answer, where).correct
            return by[id(verify)]

        extra: dict[str, Any] = {"repeated": repeated_tail(raw.text)}
        if self.strict is not None:
            extra["boxed"] = right(self.strict)
        if self.lenient is not None:
            extra["lenient"] = right(self.lenient)
        if self.forced:
            extra |= self._forced(problem, raw, right, where)
        if verdict.score is not None:
            extra["score"] = verdict.score
        return EvalRow(
            id=problem.id,
            category=problem.category,
            prompt=problem.prompt,
            answer=problem.answer,
            response=raw.text,
            extracted=verdict.extracted,
            correct=verdict.correct,
            status=verdict.status,
            cut=raw.cut,
            tokens=raw.tokens,
            sample=raw.sample,
            meta={**problem.meta, **extra, **annotate(problem, verdict)},
        )

    def _forced(self, problem: Problem, raw: Raw, right: Callable[[Verifier], bool], where: str) -> dict[str, Any]:
        strict = self.strict or self.verify
        if raw.forced is None or not needs_box(raw.text):
            return {"forced": right(strict)}
        verdict = graded(strict, completed(raw.text, raw.forced), problem.answer, where)
        return {"forced": verdict.correct, "forced_text": raw.forced}


def raw_of(row: EvalRow) -> Raw:
    """The response of a recorded row, to be graded again."""
    return Raw(text=row.response, tokens=row.tokens, cut=row.cut, sample=row.sample, forced=row.meta.get("forced_text"))


def same_answer(grader: str) -> Callable[[str, str], bool] | None:
    """When two extracted answers are one, for a majority vote: as the grader compares; None: as texts."""
    if grader == "choice":
        return lambda a, b: a == b or ((letter := choices.letter(a)) is not None and letter == choices.letter(b))
    if is_maths(grader):
        return lambda a, b: a == b or compare.same(a, b).equal is True
    return None
