r"""The evaluation grader of the paper (arXiv 2504.20571, the Qwen2.5-Math one), written anew from its description.

Its figures are higher than those of `math`: it finds an answer in nearly every response, and compares loosely. Use it
to stand beside the paper's tables, never as a reward. Known leniencies, kept because they are the point:

- without a box the text behind "he answer is" or "final answer is" counts, else the last number anywhere, with a minus
  sign taken from `3-5`; an unclosed box counts; of several boxes the last one;
- a number is right when it is the label, 100 times it or a hundredth of it (0.5 and 5000 for 50);
- numbers agree to a relative 1e-4, whole numbers included (12.801 for 12.8, 20001 for 20000);
- brackets are ignored, braces too: `(1,2)` is `[1,2]`, `2(3+4)` is `23+4`, `\frac{12}{3}` is `\frac{1}{23}`;
- case is ignored; percent signs, currency, degrees, units, `\text` and names as in `x =` are dropped;
- where the label is a letter A to E, the last such letter that stands alone counts: `C. 14` is C.

`method` of the verdict says what decided: `text`, `choice`, `number`, `brackets`, `structure` (element by element),
`equation` (up to sign), `expression` (equal values) or `approximate` (values within 1e-4).

Departures from the paper:

- Code that the model wrote is never run. The paper executes it, up to four rounds, and generates on with its output.
- An empty reference, or an empty answer, never matches. In the paper the two are equal.
- sympy and latex2sympy are replaced by bounded evaluation (`answers.values`): nothing of a text is executed.
  The paper calls wrong what takes longer than three seconds; here what cannot be read is `undecided`, and wrong.
- Units are dropped behind a number only, not wherever their letters stand: `(a+5)(b+2)` is not `(+5)(b+2)`.
- Commas join digits as thousands separators only: `1,2` is not 12. Lists without brackets are compared by element.
"""

from __future__ import annotations

import cmath
import re
from fractions import Fraction
from itertools import chain

from oneshot.rewards.answers.values import equal_values, number_of
from oneshot.rewards.paper.normal import normal
from oneshot.rewards.paper.text import (
    MAX_ANSWER,
    MAX_RESPONSE,
    closing_brace,
    inside,
    last_boxed,
    rational,
    split_at_commas,
)
from oneshot.types import Verdict

RELATIVE = Fraction(1, 10_000)
"""Relative tolerance between two numbers, measured by the larger."""
MAX_PARTS = 64
"""A longer list or matrix is not compared element by element."""
MAX_DEPTH = 6
"""Lists inside lists beyond this are compared as texts only."""

Decision = tuple[bool | None, str]
"""Equal or not, None for undecided, and what decided."""

_STATED = ("he answer is", "final answer is")
_STATED_CHINESE = "答案是"
_LAST_NUMBER = re.compile(r"-?(?:[0-9]++(?:\.[0-9]++)?|\.[0-9]++)")
_CHOICE = re.compile(r"\b[A-E]\b")
_NUMBER = re.compile(
    r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})++(?:\.[0-9]*+)?|[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:e[-+]?[0-9]{1,3})?"
)
_MATRIX = re.compile(r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}", re.DOTALL)
_EQUALS = re.compile(r"(?<![<>!=:])=(?!=)")


def grade(response: str, reference: str) -> Verdict:
    r"""The paper's evaluation grade of one response; never raises, and time is bounded.

    `extracted` is the answer as it stands in the response, cut to 2,000 characters. `seconds` is left to the caller,
    who times every grader alike.
    """
    found = extract(response)
    inner = last_boxed(reference)
    label = reference if inner is None else inner
    if found is None:
        message = "no box, no stated answer and no number in the response"
        return Verdict(correct=False, extracted=None, method="none", status="no_answer", message=message)
    shown = found[:MAX_ANSWER]
    if max(len(found), len(label)) > MAX_ANSWER:
        message = f"the answer or the reference has more than {MAX_ANSWER} characters"
        return Verdict(correct=False, extracted=shown, method="none", status="undecided", message=message)
    answer, target = normal(_trimmed(found)), normal(label)
    if not answer or not target:
        message = "the answer is empty" if target else "the reference is empty"
        return Verdict(correct=False, extracted=shown, method="none", status="empty", message=message)
    equal, method = same(answer, target)
    status = "undecided" if equal is None else "ok"
    return Verdict(correct=equal is True, extracted=shown, method=method, status=status)


def extract(response: str) -> str | None:
    r"""The answer of a response, by the first rule that applies; None where none does.

    In this order: `final answer is $...$. I hope`; behind the last "boxed", in braces that may be unclosed, or up to a
    dollar sign where no brace follows; behind the last "he answer is", the last "final answer is", or the first
    Chinese equivalent, up to an empty line; the last number. A stated answer runs to the end of the response, so a
    sentence behind it makes it wrong.
    """
    text = response[-MAX_RESPONSE:]
    if "final answer is $" in text and "$. I hope" in text:
        return text.split("final answer is $", 1)[1].split("$. I hope", 1)[0].strip()
    if "boxed" in text:
        start = text.rindex("boxed") + len("boxed")
        if not text.startswith("{", start):
            return text[start:].split("$", 1)[0].strip()
        end = closing_brace(text, start)
        return text[start + 1 : end].strip()
    for phrase in _STATED:
        if phrase in text:
            return text.rsplit(phrase, 1)[1].strip()
    if _STATED_CHINESE in text:
        return text.split(_STATED_CHINESE)[1].strip().split("\n\n")[0].strip()
    numbers = _LAST_NUMBER.findall(text.replace(",", ""))
    return numbers[-1] if numbers else None


def _trimmed(answer: str) -> str:
    answer = re.sub(r"\n\s*", "", answer).removeprefix(":").strip()
    return answer.removesuffix(".").removesuffix("/")


def same(answer: str, label: str, depth: int = 0) -> Decision:
    """Whether two texts of `normal` are equal by the paper's rules, from the cheapest rule on."""
    if answer.lower() == label.lower():
        return True, "text"
    if label in {"A", "B", "C", "D", "E"}:
        letters = _CHOICE.findall(answer.upper())
        if letters and letters[-1] == label:
            return True, "choice"
    given, wanted = _plain_number(answer), _plain_number(label)
    if given is not None and wanted is not None:
        return any(_near(given, wanted * factor) for factor in (Fraction(1, 100), 1, 100)), "number"
    if _bare(answer) == _bare(label):
        return True, "brackets"
    if depth < MAX_DEPTH and (decided := _same_parts(answer, label, depth)):
        return decided
    if decided := _same_equation(answer, label, depth):
        return decided
    return _same_value(answer, label)


def _plain_number(text: str) -> Fraction | None:
    """A decimal, exactly, thousands separators and `e33` included; no fraction, which knows no factor of 100."""
    digits, _, power = text.replace(",", "").partition("e") if _NUMBER.fullmatch(text) else ("", "", "")
    value = rational(digits)
    return value if value is None or not power else value * Fraction(10) ** int(power)


def _near(a: Fraction, b: Fraction) -> bool:
    return abs(a - b) <= RELATIVE * max(abs(a), abs(b))


def _bare(text: str) -> str:
    return re.sub(r"[][(){}]", "", text).lower()


def _same_parts(answer: str, label: str, depth: int) -> Decision | None:
    """Two matrices, bracketed lists or lists without brackets by element, in order; None where they are not two."""
    rows, wanted = _matrix(answer), _matrix(label)
    if rows and wanted:
        if [len(row) for row in rows] != [len(row) for row in wanted]:
            return False, "structure"
        return _all_same(list(chain(*rows)), list(chain(*wanted)), depth)
    if r"\cup" in answer and r"\cup" in label:
        return _all_same(answer.split(r"\cup"), label.split(r"\cup"), depth)
    inner, wanted_inner = inside(answer), inside(label)
    if inner is not None and wanted_inner is not None:
        return _all_same(split_at_commas(inner), split_at_commas(wanted_inner), depth)
    parts, targets = split_at_commas(answer), split_at_commas(label)
    return None if len(parts) == len(targets) == 1 else _all_same(parts, targets, depth)


def _all_same(answers: list[str], labels: list[str], depth: int) -> Decision:
    if len(answers) != len(labels):
        return False, "structure"
    if len(labels) > MAX_PARTS:
        return None, "structure"
    undecided = False
    for answer, label in zip(answers, labels, strict=True):
        if not answer or not label:
            return False, "structure"
        equal, _ = same(answer, label, depth + 1)
        if equal is False:
            return False, "structure"
        undecided = undecided or equal is None
    return (None if undecided else True), "structure"


def _matrix(text: str) -> list[list[str]]:
    match = _MATRIX.fullmatch(text)
    rows = match[1].split("\\\\") if match else []
    return [[cell.strip() for cell in row.split("&")] for row in rows if row.strip()]


def _same_equation(answer: str, label: str, depth: int) -> Decision | None:
    """Equations by their difference up to sign; a short `k=` on one side only is dropped. None without an equation."""
    sides, wanted = _EQUALS.split(answer), _EQUALS.split(label)
    if len(sides) == len(wanted) == 2:
        ours, theirs = (f"({left})-({right})" for left, right in (sides, wanted))
        straight = equal_values(ours, theirs)
        return (True if straight else equal_values(f"-({ours})", theirs)), "equation"
    if depth >= MAX_DEPTH:
        return None
    if len(sides) == 2 and len(wanted) == 1 and len(sides[0]) <= 2:
        return same(sides[1], label, depth + 1)
    if len(wanted) == 2 and len(sides) == 1 and len(wanted[0]) <= 2:
        return same(answer, wanted[1], depth + 1)
    return None


def _same_value(answer: str, label: str) -> Decision:
    given, wanted = rational(answer), rational(label)
    if given is not None and wanted is not None:
        return _near(given, wanted), "approximate"
    equal = equal_values(answer, label)
    if equal:
        return True, "expression"
    ours, theirs = number_of(answer), number_of(label)
    if ours is None or theirs is None or not cmath.isfinite(ours) or not cmath.isfinite(theirs):
        return equal, "expression" if equal is False else "none"
    return cmath.isclose(ours, theirs, rel_tol=float(RELATIVE)), "approximate"
