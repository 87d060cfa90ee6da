"""Multiple choice: where the letter stands in a response, and which letter an answer names."""

from __future__ import annotations

import re

from oneshot.rewards.answers.text import compact
from oneshot.rewards.answers.units import words_of
from oneshot.rewards.extract import visible
from oneshot.rewards.lenient import stated_answer

_CHOICE = re.compile(
    r"\(([A-J])\)|(?:option|choice|letter)\s{1,4}\(?([A-J])(?![A-Za-z])|(?<![A-Za-z'])([A-J])(?=[).:,;!?]|\s*$|\n)"
)
"""A letter in brackets, after "option", or before punctuation or an end: "I" and "A" are words elsewhere."""
_HEDGE = re.compile(r"(?<![A-Za-z])[A-J](?![A-Za-z]).*\b(?:or|and)\b|^\s*not\b")
"""Several letters, or a letter that is denied: then no other letter is looked for."""
MAX_TEXT = 4_000
"""Characters of the end of a response, or of an answer, that are looked at."""


def letter(text: str) -> str | None:
    r"""The letter of a multiple-choice answer: of `C`, `(C)`, `\text{(C)}`, `(C) 14`; None for none or several."""
    plain = re.sub(r"\\(?:text|textbf|mathrm|mathbf)|[{}$*]", "", compact(text[:MAX_TEXT]))
    match = re.match(r"\(?([A-J]|[a-j](?=[).:]|$))\)?(?:[).:,]|\s|$)", plain)
    others = re.findall(r"(?<![A-Za-z\\])[A-J](?![A-Za-z])", plain)
    if not match or len({match[1].upper(), *others}) > 1 or {"or", "and", "not", "but", "think"} & set(words_of(plain)):
        return None
    return match[1].upper()


def find(response: str) -> tuple[str | None, str]:
    """The answer and the rule that found it: a box, something stated, or the last letter that stands alone."""
    answer, rule = stated_answer(response)
    stated = answer is not None and rule in ("boxed", "hashes", "stated", "tagged")
    if answer is not None and stated and (letter(answer) or rule == "boxed" or _HEDGE.search(answer)):
        return answer, rule
    letters = [next(filter(None, groups)) for groups in _CHOICE.findall(visible(response)[-MAX_TEXT:])]
    return (letters[-1], "letter") if letters else (None, "none")
