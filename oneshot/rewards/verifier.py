r"""What every grader shares: when two answers are the same, the check of the reference, and grading a response.

`same` is the first tier of the verifier: exact numbers and equal texts. What it cannot decide it says so (None), and
counts as wrong; the fuller tiers (structure, expressions) take their place behind it, the protocol stays.
"""

from __future__ import annotations

import time
from dataclasses import replace

from oneshot.errors import DataError
from oneshot.rewards.answers import numbers
from oneshot.rewards.extract import last_box
from oneshot.types import Completion, Verdict, Verifier

MAX_ANSWER = 2_000
"""A longer answer is not compared; the longest reference of the benchmarks has 210 characters."""

_NEVER = frozenset({"", "nan", "none", "null"})
"""References that nothing matches, themselves included."""


def same(answer: str, reference: str) -> bool | None:
    r"""Whether an answer is the reference, which may stand in its own `\boxed{}`; None when this tier cannot tell.

    Two numbers are compared exactly (`numbers.equal`), two other texts after `numbers.tidy`: equal is True, different
    is None, since `2b+3a` may be `3a+2b`. A number and a text are None. An empty side is False.
    """
    inner = last_box(reference)
    reference = reference if inner is None else inner
    if len(answer) > MAX_ANSWER or len(reference) > MAX_ANSWER:
        return None
    tidied, wanted = numbers.tidy(answer), numbers.tidy(reference)
    if not tidied or wanted.lower() in _NEVER:
        return False
    number, target = numbers.parse(answer), numbers.parse(reference)
    if number and target:
        return numbers.equal(number, target)
    return True if not number and not target and tidied == wanted else None


def self_check(verifier: Verifier, answer: str) -> None:
    r"""Check that a reference can be matched at all: the grader must accept it, stated as the grader reads it.

    A grader may say how in `states(answer) -> tuple of responses`, all of which must be accepted; for any other the
    response is `\boxed{answer}`. In one-example training a reference nothing matches would make every reward zero.

    Raises:
        DataError: E302 when it is not accepted.
    """
    states = getattr(verifier, "states", None)
    responses: tuple[str, ...] = states(answer) if states else (rf"\boxed{{{answer}}}",)
    for response in responses:
        verdict = verifier(response, answer)
        if not verdict.correct:
            why = "an empty reference can never match" if not answer.strip() else f"status {verdict.status}"
            shown = response if len(response) <= 80 else response[:77] + "..."
            raise DataError(
                f"the grader {verifier.name!r} does not accept the reference answer {answer[:80]!r} even when the "
                f"response is {shown!r} ({why}), so no response could ever be right.",
                code="E302",
                tries=(
                    "--answer 12.8   (a number, or the text inside the box)",
                    "--reward exact   (the whole response)",
                ),
                kept="Nothing was trained.",
            )


def grade(verifier: Verifier, completion: Completion, reference: str) -> Completion:
    """The completion with its verdict, the 0/1 reward that follows from it, and the seconds it took.

    The verifier sees the response text only. What a third party's verifier raises is not swallowed here: turned into
    a zero reward it would be the whole signal of one-example training.
    """
    start = time.perf_counter()
    verdict: Verdict = verifier(completion.text, reference)
    return completion.scored(replace(verdict, seconds=time.perf_counter() - start))
