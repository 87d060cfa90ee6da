"""Multiple choice: where the letter stands in a response, and which letter an answer names."""

from __future__ import annotations

import re

from oneshot.rewards.answers.text import compact
from oneshot.rewards.extract import visible
from oneshot.rewards.lenient import stated_answer

_CHOICE = re.compile(
    r"\(([A-J])\)|(?:option|choice|letter)\s{1,4}\(?([A-J])(?![A-Za-z])|(?<![A-Za-z'])([A-J])(?=[).:,;!?]|\s*$|\n)"
)
"""A letter in brackets, after "option", or before punctuation or an end: "I" and "A" are words elsewhere."""
MAX_TEXT = 4_000
"""Characters of the end of a response, or of an answer, that are looked at."""


def letter(text: str) -> str | None:
    r"""The letter of a multiple-choice answer: of `C`, `(C)`, `\text{(C)}`, `C. 14`, `(C) 14`; None without one."""
    plain = re.sub(r"\\(?:text|textbf|mathrm|mathbf)|[{}$*]", "", compact(text[:MAX_TEXT]))
    match = re.match(r"\(?([A-Ja-j])\)?(?:[).:,]|\s|$)", plain)
    return match[1].upper() if match else None


def find(response: str) -> tuple[str | None, str]:
    """The answer and the rule that found it: a box, something stated, or the last letter that stands alone."""
    answer, rule = stated_answer(response)
    if answer is not None and rule in ("boxed", "hashes", "stated", "tagged") and (letter(answer) or rule == "boxed"):
        return answer, rule
    letters = [next(filter(None, groups)) for groups in _CHOICE.findall(visible(response)[-MAX_TEXT:])]
    return (letters[-1], "letter") if letters else (None, "none")
