"""How a response ends that went wrong: in a loop, or in a question of its own making."""

from __future__ import annotations

import re
from collections.abc import Sequence

from oneshot.rewards.lenient import run_on_at, stated_answer

REPEATS = 3
"""Whole copies of the chunk at the end."""
LEAST = 60
"""Characters of the repetition, if the chunk has a letter: "no, no, no" is language."""
LEAST_BARE = 200
"""The same for chunks without letters: numbers, rules, tables, rows of a matrix and closing braces repeat rightly."""
WINDOW = 20_000
"""Characters at the end that are looked at, so that the time is bounded; a chunk may have a third of them."""
_PROBE = 16

_TURN = re.compile(r"<\|(?:im_start|user|start_header_id)\|>")


def repeated_tail(text: str) -> bool:
    """Whether the text ends in the same chunk over and over, such as "so x = 2. so x = 2. so x = 2. ...".

    The end must be exactly periodic: at least `REPEATS` whole copies, the last of which may be followed by the start of
    another, and at least `LEAST` characters (`LEAST_BARE` if the chunk has no letter). Loops that count upwards are not
    found. Spaces at the very end, and a character cut in the middle, do not matter. Time linear in `WINDOW`.
    """
    tail = text[-WINDOW:]
    return _loops(tail) or _loops(tail.rstrip("\ufffd \t\r\n"))


def _loops(text: str) -> bool:
    if len(text) < LEAST or text.rfind(text[-_PROBE:], 0, -1) < 0:
        return False  # the end of a repetition occurred before; most texts are done here
    backwards = text[::-1]
    common = overlaps(backwards)
    for period in range(1, len(text) // REPEATS + 1):
        length = common[period] + period
        if length >= max(REPEATS * period, LEAST):
            lettered = any(character.isalpha() for character in backwards[:period])
            if lettered or length >= LEAST_BARE:
                return True
    return False


def overlaps(text: Sequence[str]) -> list[int]:
    """The Z function: for each place, how many characters from there on equal the text's beginning. Linear time."""
    n = len(text)
    common = [0] * n
    start = end = 0
    for i in range(1, n):
        length = min(end - i, common[i - start]) if i < end else 0
        while i + length < n and text[length] == text[i + length]:
            length += 1
        common[i] = length
        if i + length > end:
            start, end = i, i + length
    return common


def run_on(text: str) -> bool:
    r"""Whether the text goes on into a new question after an answer: `... is 4.\n\nQuestion: ...`.

    A question starts where a line starts with "Question:", "Problem 2:", "Human:" or the like, as the lenient grader
    reads it, or with a chat template's mark of a turn. An answer is what the lenient grader finds before it: a
    box, "the answer is", or at least a number.
    """
    turn = _TURN.search(text)
    text_of_one = text[: turn.start()] if turn else text
    place = run_on_at(text_of_one)
    if place is None and turn is None:
        return False
    return stated_answer(text_of_one[:place])[0] is not None
