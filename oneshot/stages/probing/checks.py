"""What a probe looks at before it samples a pool, and what it says of one that was never or always solved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oneshot.errors import DataError, UsageError
from oneshot.measure.statistics import wilson
from oneshot.stages import graders
from oneshot.stages.probing.sampler import MAX_PROBLEMS
from oneshot.types import Problem, Verifier


def check(size: int, top: int, samples: int) -> None:
    """Raise `UsageError` E103 for numbers that make no probe."""
    if not 1 <= top <= size or samples < 1 or size > MAX_PROBLEMS:
        raise UsageError(
            f"the best {top} of {size:,} problems with {samples} samples each: a probe takes 1 to {MAX_PROBLEMS:,} "
            "problems, at least one sample, and no more picks than problems.",
            code="E103",
            tries=(f"--top {max(1, min(top, size))} --probe {max(samples, 1)}",),
        )


def unmatchable(verify: Verifier, problems: Sequence[Problem]) -> tuple[set[int], list[str]]:
    """Indices of problems that no response can solve, and what to say of them; nothing is sampled for these.

    What a function of the user's wants to read is not known, so for one only empty references count.

    Raises:
        DataError: E302 when it is all of them.
    """
    if graders.is_users(verify):
        empty = tuple(p.id for p in problems if not p.answer.strip())
        found = graders.Unmatchable(total=len(problems), refused=(), empty=empty)
    else:
        found = graders.unmatchable(verify, problems)
    never = {*found.refused, *found.empty}
    answers = {p.answer for p in problems if p.id in never}
    hopeless = {i for i, p in enumerate(problems) if p.answer in answers}
    if len(hopeless) == len(problems):
        raise DataError(
            f"the grader {verify.name!r} can match none of the {len(problems)} reference answers "
            f"({len(found.empty)} are empty), so every response would be wrong.",
            code="E302",
            tries=("--reward number   (or another grader)", "a pool whose references hold the answers"),
            kept="Nothing was sampled.",
        )
    return hopeless, found.sentences(verify)


def judge(solved: int, spent: int, record: Path, *, allow_unsolved: bool) -> list[str]:
    """What to say of a pool of whose `spent` samples `solved` were right.

    Raises:
        DataError: E303 when there was none and `allow_unsolved` is false.
    """
    if solved == 0 and not allow_unsolved:
        high = wilson(solved, spent).high
        raise DataError(
            f"0 of {spent:,} samples of the pool were right (95 % interval of the mean rate 0 to {high:.2%}): there is "
            "nothing to choose by, and nothing to reinforce yet. (In the paper, examples never solved in selection "
            "still worked.)",
            code="E303",
            tries=("--allow-unsolved   (go on all the same)", "an easier pool, or a stronger --model"),
            kept=f"The samples are kept in {record}.",
        )
    if solved == 0:
        return [f"warning: 0 of {spent:,} samples were right: the ranks say only how often each problem was sampled"]
    if solved == spent:
        return [
            f"warning: all {spent:,} samples were right: every group would be all-correct, so there is nothing to "
            "reinforce; a harder pool has more to teach"
        ]
    return []
