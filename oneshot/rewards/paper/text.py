r"""What the two graders of the paper share: limits, repairs of sloppy LaTeX, exact small fractions, splitting lists.

Written from a description of the rules. Every function here is bounded by the length of its text, which the graders
cap, and none raises.
"""

from __future__ import annotations

import re
from fractions import Fraction

MAX_RESPONSE = 200_000
"""Characters of a response that are looked at: its tail."""
MAX_ANSWER = 2_000
"""A longer answer or reference is not compared, and a longer one is not shown in a verdict."""
MAX_DIGITS = 400
"""A longer number is not read as a number (Python refuses whole numbers from 4,301 digits on)."""

_BRACE = re.compile(r"[{}]")
_PAIR = re.compile(r"\\frac([^{}\\ ])(?:([^{}\\ ])|(?=\{))")
_ROOT = re.compile(r"\\sqrt([^{}\[\\ ])")
_WHOLE = r"(?:0|-?[1-9][0-9]*+)"
_SPACES = re.compile(r"(\\(?!frac|sqrt)[A-Za-z]++ ) *+(?=[A-Za-z])| +")
_SLASH = re.compile(rf"({_WHOLE})/({_WHOLE})")
_DECIMAL = r"[-+]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)"
_RATIO = re.compile(
    rf"(?P<sign>-?)\\frac\{{(?P<above>{_DECIMAL})\}}\{{(?P<below>{_DECIMAL})\}}"
    rf"|(?P<top>{_DECIMAL})(?:/(?P<bottom>{_DECIMAL}))?"
)
_OPEN, _CLOSE = "([{", ")]}"


def closing_brace(text: str, start: int) -> int | None:
    r"""Where the brace at `start` is closed; None where it never is.

    Every brace counts, `\{` and `\}` too, as in the paper's graders. Time is linear in the text.
    """
    depth = 0
    for brace in _BRACE.finditer(text, start):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return brace.start()
    return None


def last_boxed(text: str) -> str | None:
    r"""The content of the last `\boxed` of `text`, None unless that one reads `\boxed{` and is closed."""
    start = text.rfind(r"\boxed")
    brace = start + len(r"\boxed")
    if start < 0 or not text.startswith("{", brace):
        return None
    end = closing_brace(text, brace)
    return None if end is None else text[brace + 1 : end]


def braced(text: str) -> str:
    r"""`text` with `\frac12` as `\frac{1}{2}`, `\frac1{72}` as `\frac{1}{72}` and `\sqrt3` as `\sqrt{3}`."""
    text = _ROOT.sub(r"\\sqrt{\1}", text)
    return _PAIR.sub(lambda pair: rf"\frac{{{pair[1]}}}" + (f"{{{pair[2]}}}" if pair[2] else ""), text)


def repaired(text: str) -> str:
    r"""`text` without spaces, `braced`, and `a/b` of two whole numbers as `\frac{a}{b}`.

    The space of `\pi x` stays, since `\pix` would be another command.
    """
    text = braced(_SPACES.sub(lambda gap: gap[1] or "", text))
    slash = _SLASH.fullmatch(text)
    return rf"\frac{{{slash[1]}}}{{{slash[2]}}}" if slash else text


def without_name(text: str) -> str:
    """`text` without a leading `k=` whose name has at most two characters, where there is one equals sign."""
    left, _, right = text.partition("=")
    return right if text.count("=") == 1 and len(left) <= 2 and right.strip() else text


def rational(text: str) -> Fraction | None:
    r"""The exact value of `-12.80`, `64/5` or `\frac{64}{5}`; None for any other text, and for 1/0."""
    match = _RATIO.fullmatch(text) if len(text) <= MAX_DIGITS else None
    if match is None:
        return None
    top, bottom = match["above"] or match["top"], match["below"] or match["bottom"] or "1"
    below = _decimal(bottom)
    value = _decimal(top) / below if below else None
    return -value if value is not None and match["sign"] else value


def _decimal(text: str) -> Fraction:
    whole, _, rest = text.lstrip("+-").partition(".")
    value = Fraction(int(whole + rest), 10 ** len(rest))
    return -value if text.startswith("-") else value


def split_at_commas(text: str) -> list[str]:
    """The parts of `text` between commas that stand in no bracket, each stripped."""
    parts, depth, start = [], 0, 0
    for place, char in enumerate(text):
        if char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def inside(text: str) -> str | None:
    """What stands between a first bracket and a last one of any kind that close each other; None for other texts."""
    if len(text) < 3 or text[0] not in _OPEN or text[-1] not in _CLOSE:
        return None
    depth = 0
    for char in text[:-1]:
        depth += (char in _OPEN) - (char in _CLOSE)
        if depth == 0:
            return None
    return text[1:-1] if depth == 1 else None
