r"""Find the answer of a response that has no box: what follows "the answer is", or the last formula or number.

Fair for base models, which know many answers that they do not put into a box; too easy to please for a reward. Base
models also run on into a problem of their own making: what comes after is not read (`\n\nQuestion:`).
"""

from __future__ import annotations

import re
from collections import deque

from oneshot.rewards.answers.units import STOP, words_of
from oneshot.rewards.extract import last_box, last_number, visible

_RUN_ON = re.compile(r"\n\s{0,9}(?:#{1,4} ?|\*\*)?(?:Question|Problem|Human|User|Exercise|Q)(?: ?\d{1,3})?(?:\*\*)?:")
_HASHES = re.compile(r"####[ \t]*((?![A-Za-z]{4})\S[^\n]{0,400})")
_TAGGED = re.compile(r"<answer>((?:[^<]|<(?!/?answer>)){0,2000})</answer>", re.IGNORECASE)
_STATED = re.compile(
    r"(?:final answer|answer)(?:\*\*)?(?:[ \t]{0,4}(?:is(?![A-Za-z'])|=)"
    r"(?:[ \t]{1,4}(?:therefore|then|thus|simply|now))?|:)"
    r"[\s:*]{0,9}(?:(?:\$\$|\\\[)\s{1,9})?(?=[^\s*])",
    re.IGNORECASE,
)
MAX_STATED = 400
"""Characters read of what is stated."""
_FORMULA = re.compile(r"\$([^$\n]{1,400})\$|\\\(((?:(?!\\\().){1,400}?)\\\)|\\\[((?:(?!\\\[).){1,400}?)\\\]", re.DOTALL)
_SENTENCE = re.compile(r"[.?](?=\s|$)|(?<=[a-z]{2})!(?=\s|$)|,?\s(?:because|since|as|which|so that|where)(?=\s|$)")
_BOLD = re.compile(r"\*\*([^*\n]{1,400})\*\*")
_MORE = re.compile(
    r"[$0-9+*/=<>%-]|\\|\b(?:or|and|but|times|to|versus|hundred|thousand|million|billion|dozen|percent)\b", re.I
)
"""What after a formula says that it is not the whole answer."""


def stated_answer(response: str) -> tuple[str | None, str]:
    r"""The answer and the rule that found it: `boxed`, `hashes`, `stated`, `tagged`, `formula`, `number` or `none`.

    A box wins over everything. Else the last of `#### x`, "the answer is x", "Answer: x" and `<answer>x</answer>`;
    else the last formula or number, whichever ends later.
    """
    text = visible(response)
    text = text[: run_on_at(text)]
    box = last_box(text)
    if box is not None:
        return box, "boxed"
    rules = (("hashes", _HASHES), ("stated", _STATED), ("tagged", _TAGGED))
    found = [(match, rule) for rule, pattern in rules for match in deque(pattern.finditer(text), maxlen=1)]
    if found:
        last, rule = max(found, key=lambda pair: pair[0].start())
        stated = last[1] if last.re.groups else text[last.end() : last.end() + MAX_STATED].partition("\n")[0]
        return _first_sentence(stated), rule
    return _last_value(text)


def run_on_at(text: str, start: int = 0) -> int | None:
    """Where the text runs on into a new problem: the first line after `start` that begins with one; None for nowhere.

    A text that begins with such a line only repeats its own question.
    """
    found = _RUN_ON.search(text, start)
    return found.start() if found and text[start : found.start()].strip() else None


def _first_sentence(text: str) -> str:
    """What is stated, up to the end of its sentence; of a formula with a few harmless words behind it, the formula."""
    text = _BOLD.sub(r"\1", text)
    formula = _FORMULA.match(text)
    start = formula.end() if formula else 0
    end = _SENTENCE.search(text, start)
    sentence = (text[: end.start()] if end else text).strip("*` \t")
    rest = text[start : end.start() if end else len(text)]
    if formula and not _MORE.search(rest) and not STOP & set(words_of(rest)):
        return next(g for g in formula.groups() if g)
    return sentence


def _last_value(text: str) -> tuple[str | None, str]:
    formula = next(iter(deque(_FORMULA.finditer(text), maxlen=1)), None)
    if formula and last_number(text[formula.end() :]) is None:
        found = next(g for g in formula.groups() if g)
        value = found.rpartition("=")[2]  # of f(1)+f(2) = 14/3 the value, of y = 2x the equation
        return (found if re.search(r"(?<![A-Za-z\\])[A-Za-z]", value) else value), "formula"
    number = last_number(text)
    return (number, "number") if number is not None else (None, "none")
