r"""Find the answer in a response: the last complete `\boxed{...}`, or the last number. Linear in the response."""

from __future__ import annotations

import re
from collections import deque

from oneshot.boxes import boxes
from oneshot.rewards.answers.numbers import DECIMAL, POWER_OF_TEN

MAX_RESPONSE = 200_000
"""Characters of a response that are looked at: its tail, since the answer is the last thing said."""
_FILLER = (
    r"(?:[\s$,;&~{}*]|\\\\|\\[()\[\],;:! ]|\\q?quad(?![A-Za-z])|\\hspace\{[^{}]{0,9}\}"
    r"|\\(?:text|mathrm|textrm)\{[\s,;]{0,9}\})*+"
)
_WORD = (
    r"(?:\\(?:text|mathrm|textrm|textbf|mathbf)\{\s{0,9})?(?:and|or)(?:\s{0,9}\})?|\\lor(?![A-Za-z])|\\land(?![A-Za-z])"
)
_JOINT = re.compile(rf"{_FILLER}(?:(?:{_WORD}){_FILLER})?", re.IGNORECASE)
_MAX_JOINT = 200

# Spaces inside a number are capped, so that every pattern below is linear in the text.
_GAP = r"[ ]{0,3}"
_PART = rf"(?:\{{{_GAP}[-+\u2212]?{DECIMAL}{_GAP}\}}|[0-9])"
_FRACTION = rf"\\[dt]?frac{_GAP}{_PART}{_GAP}{_PART}"
_SCALED = rf"{DECIMAL}(?:[eE][-+]?[0-9]++(?![A-Za-z])|{POWER_OF_TEN})?"
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_^])(?<![0-9]\.)(?<!\^\{)(?<!_\{)"  # not inside a word, a version, an exponent or an index
    rf"(?:[0-9]++{_GAP}{_FRACTION}|{_FRACTION}|[0-9]++ [0-9]++/[0-9]++|{DECIMAL}/{DECIMAL}|{_SCALED})(?:{_GAP}\\?%)?"
)
_MINUS = "-\u2212\u2013"
_CURRENCY = re.compile(rf"(?<=[{_MINUS}])\\?\$$")


def visible(response: str) -> str:
    """What a response says after its thoughts: all of it, or what follows `</think>`; empty while it is thinking."""
    tail = response[-MAX_RESPONSE:]
    if "</think>" in tail:
        return tail.rpartition("</think>")[2]
    return "" if "<think>" in response[:MAX_RESPONSE] else tail


def boxed_answer(response: str) -> str | None:
    r"""The content of the last complete `\boxed{...}` after any thoughts; None where there is none."""
    return last_box(visible(response))


def last_box(text: str) -> str | None:
    r"""The content of the last complete `\boxed{...}` of a text; None where there is none.

    Boxes with nothing between them but spacing, commas, "and" or "or" are one list, `"4, -1"`, so that naming several
    values is not rewarded for the last of them; the same box repeated is said once.
    """
    tail = text[-MAX_RESPONSE:]
    found = boxes(tail)
    if not found:
        return None
    listed = [found[-1]]
    for box in reversed(found[:-1]):
        after = listed[-1].start
        if not 0 <= after - box.end <= _MAX_JOINT or not _JOINT.fullmatch(tail, box.end, after):
            break
        listed.append(box)
    if not listed[0].content.strip():
        return ""  # the last word is an empty box, whatever stands before it
    return ", ".join(dict.fromkeys(box.content.strip() for box in reversed(listed)))


def last_number(text: str) -> str | None:
    r"""The last number written in `text` as it stands there, with its sign; None where there is none.

    Knows `1,234`, `0.5`, `.5`, `3/4`, `\frac{3}{4}`, `1 3/4`, `6e23`, `6 \times 10^{23}`, `35%`. A full stop ends a
    sentence and is not part of the number. Digits inside a word (`x2`), an exponent or an index are not numbers.
    """
    text = text[-MAX_RESPONSE:]
    last = deque(_NUMBER.finditer(text), maxlen=1)
    if not last:
        return None
    return ("-" if _is_negative(text[: last[0].start()]) else "") + last[0].group()


def _is_negative(before: str) -> bool:
    """Whether a number after `before` carries a minus sign. In `5-3`, `5 - 3`, `x-3` and `- 3` (a list) it does not."""
    before = _CURRENCY.sub("", before[-16:])
    stripped = before.rstrip(" ")
    if not stripped or stripped[-1] not in _MINUS:
        return False
    apart = len(stripped) < len(before)
    head = stripped[:-1]
    near = head.rstrip(" ")
    previous = near[-1:]
    if previous.isdigit() or (previous and previous in ")]}%!"):
        return False
    if apart:
        return bool(previous) and previous in "=($[{"
    return near != head or not previous.isalpha()
