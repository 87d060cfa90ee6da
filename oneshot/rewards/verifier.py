"""The check of a reference before anything is trained or measured with it."""

from __future__ import annotations

from oneshot.errors import DataError
from oneshot.types import Verifier


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
