"""Graders as the stages use them: built from a name, checked against the references, described. Loads no torch."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot.errors import DataError, UsageError
from oneshot.rewards.functions import RENAMED, build_verifier
from oneshot.rewards.verifier import self_check
from oneshot.rollout.collect import graded
from oneshot.types import Group, Problem, Verifier

DEFAULT = "math"
DOUBTFUL = ("undecided", "timeout", "memory", "error")
"""Statuses that say nothing about the answer: the response counts as wrong, and each is told."""

STATED = (r"\boxed{ANSWER}", "<answer>ANSWER</answer>", "The answer is ANSWER.", "ANSWER")
"""Responses that state an answer, in the forms a user's function may ask for; `ANSWER` is replaced."""

MAX_IDS = 10
MAX_DOUBTS = 20
"""Distinct doubtful verdicts listed a step; of the rest only the number is kept."""


def build(name: str, *, timeout: float, flag: str = "--grader") -> Verifier:
    """The grader of a name or of `file.py:function`; `timeout` is for such a function, in seconds a call.

    Raises:
        UsageError: E102 an unknown name, and what others the build itself finds wrong with a file.
    """
    if name in RENAMED:
        now = RENAMED[name]
        raise UsageError(f"the grader {name!r} is called {now!r} now.", code="E102", tries=(f"{flag} {now}",))
    return build_verifier(name, timeout=timeout)


def convention(verify: Verifier) -> str:
    """How a user's function is called, in words; empty for a grader of ours."""
    return str(getattr(verify, "convention", ""))


def described(verify: Verifier) -> dict[str, str]:
    """Name of a grader; of a user's function also its calling convention and the sha256 of its file."""
    if not convention(verify):
        return {"grader": verify.name}
    file = Path(verify.name.rpartition(":")[0]).expanduser()
    digest = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()} if file.is_file() else {}
    return {"grader": verify.name, "convention": convention(verify), **digest}


def notes(*verifiers: Verifier) -> list[str]:
    """One sentence for each function of the user's: which convention was recognised, and by which arguments."""
    found = {v.name: (convention(v), getattr(v, "signature", "")) for v in verifiers}
    return [
        f"reward {name}: recognised as the {called} convention" + (f": {signature}" if signature else "")
        for name, (called, signature) in found.items()
        if called
    ]


def is_users(verify: Verifier) -> bool:
    """Whether it is a user's function: it may give any score, and a failure of it must stop the work."""
    return bool(getattr(verify, "fatal", False))


@dataclass(frozen=True, kw_only=True)
class Unmatchable:
    """References that a grader does not accept even when a response states them."""

    total: int
    """References that were checked."""
    refused: tuple[str, ...]
    """Ids of problems whose reference the grader cannot match."""
    empty: tuple[str, ...]
    """Ids of problems without a reference."""

    def as_dict(self) -> dict[str, Any]:
        """Counts of both kinds, and the first ids."""
        return {"refused": len(self.refused), "empty": len(self.empty), "ids": [*self.refused, *self.empty][:MAX_IDS]}

    def sentences(self, verify: Verifier) -> list[str]:
        """What there is to warn of."""
        grader, said = verify.name, []
        if self.refused and is_users(verify):
            said.append(
                f"warning: {grader} gave less than 1 to each of {len(STATED)} plain statements of "
                f"{len(self.refused)} of {self.total} references: {_first(self.refused)} "
                "(a response below 1 counts as wrong)"
            )
        elif self.refused:
            said.append(
                f"warning: the grader {grader!r} does not accept {len(self.refused)} of {self.total} reference answers "
                f"against themselves, so no response to them can be right: {_first(self.refused)}"
            )
        if self.empty:
            what = "reference answer is" if len(self.empty) == 1 else "reference answers are"
            said.append(f"warning: {len(self.empty)} {what} empty and match nothing: {_first(self.empty)}")
        return said


def _first(ids: Sequence[str]) -> str:
    return ", ".join(ids[:MAX_IDS]) + (", ..." if len(ids) > MAX_IDS else "")


def unmatchable(verify: Verifier, problems: Sequence[Problem]) -> Unmatchable:
    """Which references the grader does not accept against themselves; equal references are checked once."""
    accepted = {answer: _accepts(verify, answer) for answer in {p.answer for p in problems} if answer.strip()}
    return Unmatchable(
        total=len(problems),
        refused=tuple(p.id for p in problems if not accepted.get(p.answer, True)),
        empty=tuple(p.id for p in problems if not p.answer.strip()),
    )


def _accepts(verify: Verifier, answer: str) -> bool:
    """Whether the grader accepts a reference as the answer; a user's function in any one of the forms tried."""
    if is_users(verify):
        where = f"the check of the reference {answer[:80]!r}"
        return any(graded(verify, form.replace("ANSWER", answer), answer, where).correct for form in STATED)
    try:
        self_check(verify, answer)
    except DataError as error:
        if error.code != "E302":
            raise
        return False
    return True


def check_answers(verify: Verifier, problems: Sequence[Problem]) -> list[str]:
    """Check before training that the reward accepts every reference; what there is to warn of.

    Raises:
        DataError: E302 with the line of the first reference that a grader of ours refuses, E305 a function failed.
    """
    for problem in problems:
        if (error := _refusal(verify, problem, alone=len(problems) == 1)) is not None:
            raise error
    return cautions(verify, problems)


def usable(verify: Verifier, problems: Sequence[Problem]) -> tuple[list[Problem], list[Problem]]:
    """(problems whose reference the reward accepts, those whose it refuses), in order.

    Raises:
        DataError: E302 as `check_answers`, where it refuses all of them, or the only one.
    """
    refusals = [_refusal(verify, problem, alone=len(problems) == 1) for problem in problems]
    found = [error for error in refusals if error is not None]
    if found and len(found) == len(problems):
        raise found[0]
    pairs = list(zip(problems, refusals, strict=True))
    return [p for p, error in pairs if error is None], [p for p, error in pairs if error is not None]


def _refusal(verify: Verifier, problem: Problem, *, alone: bool) -> DataError | None:
    """E302 where a grader of ours refuses a reference; what a user's function wants to read is not known."""
    if is_users(verify):
        return None
    try:
        self_check(verify, problem.answer)
    except DataError as error:
        if error.code != "E302":
            raise
        if alone or "line" not in problem.meta:
            return error
        where = f"{problem.meta.get('source', '')}, line {problem.meta['line']}"
        return DataError(f"{where}: {error.message}", code=error.code, tries=error.tries, kept=error.kept)
    return None


def cautions(verify: Verifier, problems: Sequence[Problem]) -> list[str]:
    """Warnings: a user's function that calls none of our statements right, references that are matched as text only.

    Raises:
        DataError: E305 a function failed.
    """
    return unmatchable(verify, problems).sentences(verify) if is_users(verify) else _unread(verify, problems)


def _unread(verify: Verifier, problems: Sequence[Problem]) -> list[str]:
    """A warning where a grader of ours does not understand a reference and can only match its text."""
    reads = getattr(verify, "reads", lambda reference: True)
    found = list(dict.fromkeys(p.answer for p in problems if not reads(p.answer)))
    if not found:
        return []
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return [
        f"warning: {verify.name!r} does not read {', '.join(map(repr, found[:3]))}{more} as mathematics: only "
        "a response with the same text will be right"
    ]


def check_references(verify: Verifier, problems: Sequence[Problem]) -> list[str]:
    """Warnings about references no response can match, before anything is loaded.

    Raises:
        DataError: E302 when it is all of them, unless it is a user's function, which may want another form.
    """
    found = unmatchable(verify, problems)
    never = len(found.empty) if is_users(verify) else len(found.refused) + len(found.empty)
    if problems and never == len(problems):
        raise DataError(
            f"the grader {verify.name!r} accepts none of the {len(problems)} reference answers against themselves "
            f"({len(found.empty)} are empty), so every response would be wrong.",
            code="E302",
            tries=("--evals.grader exact   (the whole response)", "a file whose references hold the answers"),
            kept="Nothing was measured.",
        )
    return found.sentences(verify)


def doubts(groups: Iterable[Group]) -> dict[str, Any]:
    """The doubtful verdicts of a step, each distinct (reference, answer, status) once; empty when there is none."""
    seen: Counter[tuple[str, str | None, str]] = Counter()
    messages: dict[tuple[str, str | None, str], str] = {}
    for group in groups:
        for completion in group.completions:
            verdict = completion.verdict
            if verdict is not None and verdict.status in DOUBTFUL:
                key = (group.problem.answer, verdict.extracted, verdict.status)
                seen[key] += 1
                messages.setdefault(key, verdict.message)
    if not seen:
        return {}
    listed = [
        {"reference": reference, "extracted": extracted, "status": status, "count": count}
        | ({"message": said} if (said := messages[reference, extracted, status]) else {})
        for (reference, extracted, status), count in seen.most_common(MAX_DOUBTS)
    ]
    return {"responses": seen.total(), "verdicts": listed, "more": len(seen) - len(listed)}
