r"""Wrong labels for a share of the training examples, by the paper's rule (Wang et al. 2025, Table 17).

The rule: a number within 10 is added or subtracted, and then the sign is flipped or not; in a fraction to numerator and
denominator alike. Here the number is whole, from 1 to 10. What the paper does not say, and is done here:

- an answer that is neither number nor fraction (`2\sqrt{3}`, `(3, 4)`, `x+1`): one number in it, the last, is changed
  by the rule and stays where it is;
- a single letter from A to E: another of them;
- any other text without a number: a whole number from 1 to 10, its sign flipped or not, stands in its place.

Which examples and which numbers follows from (seed, problem id) alone, so neither the order of a file nor the other
examples change them. A label that comes out equal to the true one is drawn again.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from oneshot.errors import DataError
from oneshot.types import Problem

TRUE_ANSWER = "true_answer"
"""Key in `Problem.meta` of a corrupted example."""
ATTEMPTS = 100
WITHIN = 10
_NUMBER = re.compile(r"(?P<sign>-?)(?P<body>[0-9]{1,30}(?:\.[0-9]{1,30})?|\.[0-9]{1,30})")
_GROUPED = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_FRACTION = re.compile(
    r"(?P<minus>-?)\s*(?:(?P<latex>\\[dt]?frac)\s*\{\s*(?P<a>-?[0-9]{1,30})\s*\}\s*\{\s*(?P<b>-?[0-9]{1,30})\s*\}"
    r"|(?P<c>[0-9]{1,30})\s*/\s*(?P<d>[0-9]{1,30}))"
)
_LETTERS = "ABCDE"

Draw = np.random.Generator


def how_many(share: float, examples: int) -> int:
    """`share` of them, rounded half up."""
    return min(examples, math.floor(share * examples + 0.5))


def corrupted(
    problems: Sequence[Problem], share: float, seed: int, *, differs: Callable[[str, str], bool]
) -> tuple[list[Problem], int]:
    """The problems with a wrong answer for a share of them, and how many these are; the true one is in their `meta`.

    Args:
        problems: the training examples.
        share: from 0 to 1.
        seed: the run's.
        differs: (label, true answer) -> whether the grader tells them apart and can match the label.

    Raises:
        DataError: E302 when no label that differs was found for an example.
    """
    wanted = how_many(share, len(problems))
    order = sorted(range(len(problems)), key=lambda i: (float(_draw(seed, problems[i].id, -1).random()), i))
    chosen = set(order[:wanted])
    return [_wrong(p, seed, differs) if i in chosen else p for i, p in enumerate(problems)], wanted


def _draw(seed: int, problem: str, attempt: int) -> Draw:
    """Random numbers of one problem."""
    digest = hashlib.sha256(f"corrupt\0{seed}\0{problem}\0{attempt}".encode()).digest()
    return np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "big")))


def _wrong(problem: Problem, seed: int, differs: Callable[[str, str], bool]) -> Problem:
    for attempt in range(ATTEMPTS):
        label = changed(problem.answer, _draw(seed, problem.id, attempt))
        if differs(label, problem.answer):
            return replace(problem, answer=label, meta={**problem.meta, TRUE_ANSWER: problem.answer})
    raise DataError(
        f"no wrong label was found for example {problem.id!r} in {ATTEMPTS} draws: the grader takes each for its "
        f"answer {problem.answer[:80]!r}, or cannot match it.",
        code="E302",
        tries=("--corrupt 0", "--reward math"),
        kept="Nothing was trained.",
    )


def changed(answer: str, draw: Draw) -> str:
    """The answer changed once by the rule; it may come out as it was."""
    text = answer.strip()
    if match := _FRACTION.fullmatch(text):
        return _fraction(match, draw)
    if text and text in _LETTERS:
        return str(draw.choice([letter for letter in _LETTERS if letter != text]))
    plain = _GROUPED.sub("", text)
    numbers = list(_NUMBER.finditer(plain))
    if not numbers:
        return _flipped(int(draw.integers(1, WITHIN + 1)), draw)
    if _NUMBER.fullmatch(plain):
        return _shifted(Decimal(plain), draw)
    last = numbers[-1]
    # `x-3`: the minus is the text's own, so only what follows it is changed, and a sign goes into braces or brackets.
    return plain[: last.start("body")] + _inside(Decimal(last["body"]), draw) + plain[last.end() :]


def _fraction(match: re.Match[str], draw: Draw) -> str:
    """Numerator and denominator changed alike; the denominator is not 0, and signs are put in front."""
    above = int(_shifted(Decimal(match["a"] or match["c"]), draw))
    below = 0
    while below == 0:
        below = int(_shifted(Decimal(match["b"] or match["d"]), draw))
    minus = "-" if (above < 0) != (below < 0) and above else ""
    minus = "-" * ((minus == "-") != (match["minus"] == "-"))
    latex = match["latex"]
    return f"{minus}{latex}{{{abs(above)}}}{{{abs(below)}}}" if latex else f"{minus}{abs(above)}/{abs(below)}"


def _shifted(value: Decimal, draw: Draw) -> str:
    """A number within 10 added or subtracted, then the sign flipped or not; as many decimal places as before."""
    step = int(draw.integers(1, WITHIN + 1)) * (1 if draw.random() < 0.5 else -1)
    return _flipped(value + step, draw)


def _inside(value: Decimal, draw: Draw) -> str:
    """The same within an expression: never negative, because a sign there may mean something else."""
    return f"{abs(Decimal(_shifted(value, draw))):f}"


def _flipped(value: Decimal | int, draw: Draw) -> str:
    value = -value if draw.random() < 0.5 else value
    return "0" if value == 0 else f"{value:f}" if isinstance(value, Decimal) else str(value)
