"""Whether an answer is the reference, in process: text, exact numbers, structure, values. The order of the tiers.

The convention for every case is the label policy in `docs/rewards.md`. Each tier is asked only what the cheaper ones
left open; None means that no tier here can tell, which counts as wrong unless the optional last tier knows better.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from oneshot.rewards.answers import numbers
from oneshot.rewards.answers.equality import equal
from oneshot.rewards.answers.evaluate import TooBig
from oneshot.rewards.answers.shapes import Shape, Value, Words
from oneshot.rewards.answers.structure import read
from oneshot.rewards.answers.text import MAX_ANSWER, NEVER, clean, compact
from oneshot.rewards.answers.units import STOP, words_of


class Decision(NamedTuple):
    """`equal` is None where it cannot be told; `method` is the tier that decided."""

    equal: bool | None
    method: str


def same(answer: str, reference: str) -> Decision:
    """Whether two answers are the same. Never raises; bounded in time and memory.

    Empty texts, texts beyond `MAX_ANSWER` characters and a program's `nan`, `None`, `True` match nothing.
    """
    if len(answer) > MAX_ANSWER or len(reference) > MAX_ANSWER:
        return _long(answer, reference)
    given, wanted = _plain(answer), _plain(reference)
    if not _means_something(given) or not _means_something(wanted):
        return Decision(False, "text")
    if given == wanted:
        return Decision(True, "text")
    choice = _choice(answer, reference)
    if choice is not None:
        return Decision(choice, "text")
    first, second = numbers.parse(answer), numbers.parse(reference)
    if first and second:
        return Decision(numbers.equal(first, second), "number")
    try:
        a, b = read(answer), read(reference)
        found = equal(a, b)
    except (TooBig, RecursionError):  # a caller deep in its stack leaves no room for nesting of ours
        return Decision(None, "none")
    return Decision(found, _method(a, b) if found is not None else "none")


def is_read(text: str) -> bool:
    """Whether a reference is read as mathematics or plain words; of another only the same text is accepted."""
    return len(text) <= MAX_ANSWER and not _is_unread(read(text))


def unread(answer: str, reference: str) -> str:
    """Which side is not read as mathematics, as a sentence for a person; empty when both are."""
    sides = (("the reference", reference), ("the answer", answer))
    named = [name for name, text in sides if not is_read(text)]
    return f"{' and '.join(named)} cannot be read as mathematics" if named else ""


def _is_unread(shape: Shape) -> bool:
    return isinstance(shape, Words) and not shape.plain


def _long(answer: str, reference: str) -> Decision:
    """Beyond what is read, the same text is the same answer, and whole numbers compare digit by digit, of any size."""
    if answer.strip() == reference.strip():
        return Decision(True, "text")
    first, second = _whole_number(answer), _whole_number(reference)
    return Decision(None, "none") if first is None or second is None else Decision(first == second, "number")


def _whole_number(text: str) -> str | None:
    """The digits of a whole number without separators and leading zeros, with a minus sign; None for other text."""
    bare = re.sub(r"[\s$]|\{,\}|\\[,!]|,(?=[0-9]{3}(?![0-9]))", "", text)
    match = re.fullmatch(r"(-?)\+?0*+([0-9]*+)", bare, re.ASCII)
    return (match[1] if match[2] else "") + (match[2] or "0") if match and bare.strip("+-") else None


def _method(a: Shape, b: Shape) -> str:
    if isinstance(a, Words) or isinstance(b, Words):
        return "text"
    return "expression" if isinstance(a, Value) and isinstance(b, Value) else "structure"


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    r"""The text in which equality is looked for first; `\text{yes}` is `yes`."""
    plain = compact(text)
    match = re.fullmatch(r"\\(?:text|mathrm)\{([^{}]*)\}", plain)
    return compact(match[1]) if match else plain


def _means_something(plain: str) -> bool:
    return plain.lower() not in NEVER and any(c.isalnum() or c == "\\" for c in plain)


MAX_CHOICE = 200
_LETTER = re.compile(r"\(?([A-J])\)?[.:]?")
_LETTER_WITH_VALUE = re.compile(
    r"(?:\(([A-J])\)(?:[.:]| (?=[^-+])|(?=[0-9\\$]))|([A-J])(?:\)|[.:])) ?([^-+*/^=,<>|! ].*)"
)
_HEDGES = STOP - {"the", "is", "answer"}


def _choice(answer: str, reference: str) -> bool | None:
    """Multiple-choice letters: `C`, `(C)`, `C.` and `(C) 14` are the same; None unless one side is a letter alone."""
    if len(answer) > MAX_CHOICE or len(reference) > MAX_CHOICE:
        return None
    first, second = _letter_of(answer), _letter_of(reference)
    given, wanted = _plain(answer), _plain(reference)
    if not first or not second or not (_LETTER.fullmatch(given) or _LETTER.fullmatch(wanted)):
        return None
    marked = any(mark in given + wanted for mark in "().:")
    return first == second if marked or len(given) == len(wanted) == 1 else None


@lru_cache(maxsize=4096)
def _letter_of(text: str) -> str:
    r"""The letter an answer names, alone or before its value, `(C) 14`; empty for anything else, two letters too."""
    bare = re.sub(r"\\(?:text(?:bf|rm|it)?|mathrm|mathbf)|[{}]", "", clean(text)).strip()
    alone = _LETTER.fullmatch(bare)
    if alone:
        return alone[1]
    valued = _LETTER_WITH_VALUE.fullmatch(bare)
    if not valued or re.search(r"(?<![A-Za-z\\])[A-J](?![A-Za-z])", valued[3]) or _HEDGES & set(words_of(valued[3])):
        return ""
    return valued[1] or valued[2]
