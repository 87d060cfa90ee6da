r"""The graders `--reward` and `--grader` name: where the answer stands in a response, and when it is right.

| name | reads | right when |
| --- | --- | --- |
| `boxed` | the last complete `\boxed{}`; without one there is no answer | same number or same text |
| `final-number` | the last complete `\boxed{}` if there is any, else the last number | the same |
| `exact` | the whole response, stripped | the same characters |

A text the first tier cannot compare counts as wrong and has status `undecided`. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from oneshot.registry import Registry
from oneshot.rewards.extract import last_box, last_number
from oneshot.rewards.verifier import MAX_ANSWER, same
from oneshot.types import Verdict, Verifier

VERIFIERS: Registry[Verifier] = Registry("grader")

Found = tuple[str | None, str]
"""The answer text, or None, and the rule that found it."""


@dataclass
class TextVerifier:
    """A grader made of a way to find the answer and a way to compare it."""

    name: str
    find: Callable[[str], Found]
    compare: Callable[[str, str], bool | None]
    states: Callable[[str], tuple[str, ...]]
    """Responses that state a given answer; the grader must accept all of them (`verifier.self_check`)."""

    def __call__(self, response: str, reference: str) -> Verdict:
        """Grade one response. `method` is the rule that found the answer; `extracted` is cut to 2,000 characters."""
        answer, method = self.find(response)
        if answer is None:
            return Verdict(correct=False, extracted=None, method="none", status="no_answer")
        if not answer.strip() or not reference.strip():
            return Verdict(correct=False, extracted=answer[:MAX_ANSWER], method=method, status="empty")
        decided = self.compare(answer, reference)
        status = "undecided" if decided is None else "ok"
        return Verdict(correct=decided is True, extracted=answer[:MAX_ANSWER], method=method, status=status)


def _box(response: str) -> Found:
    return last_box(response), "boxed"


def _box_or_number(response: str) -> Found:
    box = last_box(response)
    return (box, "boxed") if box is not None else (last_number(response), "final-number")


def _in_a_box(answer: str) -> str:
    return rf"\boxed{{{answer}}}"


@VERIFIERS.register("boxed")
def boxed() -> Verifier:
    r"""The last complete `\boxed{}` of the response; strict."""
    return TextVerifier("boxed", _box, same, lambda answer: (_in_a_box(answer),))


@VERIFIERS.register("final-number")
def final_number() -> Verifier:
    r"""The last complete `\boxed{}` if there is any, else the last number of the response."""
    return TextVerifier(
        "final-number", _box_or_number, same, lambda answer: (_in_a_box(answer), f"The answer is {answer}.")
    )


@VERIFIERS.register("exact")
def exact() -> Verifier:
    """The whole response, stripped, must be the reference, stripped."""
    return TextVerifier(
        "exact",
        lambda response: (response.strip(), "exact"),
        lambda answer, reference: answer == reference.strip(),
        lambda answer: (answer,),
    )
