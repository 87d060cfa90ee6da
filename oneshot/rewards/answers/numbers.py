r"""Numbers as written in answers, read exactly as fractions without a parser: the cheap tier most answers end in.

Read: `1,234`, `-0.5`, `.5`, `3/4`, `\frac{3}{4}`, `2\frac{3}{4}`, `2 3/4`, `6.02e23`, `6.02 \times 10^{23}`, `35\%`,
`\$12.50`, `60^\circ`, `14 \text{ cm}`, `V = 12.8`. Anything else is not a number here; the fuller tiers take it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from oneshot.rewards.answers.text import compact
from oneshot.rewards.answers.units import is_unit_text

MAX_TEXT = 400
"""A longer text is not read as a number (Python's own limit for a whole number is 4,300 digits)."""
MAX_EXPONENT = 1_000
"""A power of ten beyond this is not read: `1e999999999` would not fit into memory."""
ENOUGH_DIGITS = 6
"""Significant digits from which a rounded decimal stands for an exact value (`0.285714` for 2/7)."""

# Possessive quantifiers (`++`) and the cap on groups keep these linear on long runs of digits.
_WHOLE = r"(?:[0-9]{1,3}(?:(?:,|\{,\}|,\\!|\\!|\\,)[0-9]{3}){1,40}(?![0-9])|[0-9]++)"
DECIMAL = rf"(?:{_WHOLE}(?:\.[0-9]++)?|\.[0-9]++)"
"""Pattern of an unsigned decimal, thousands separators included."""
POWER_OF_TEN = (
    r"[ ]{0,3}(?:\\times|\\cdot|×|\*|x)[ ]{0,3}10[ ]{0,3}\^[ ]{0,3}"
    r"(?:\{[ ]{0,3}[-+\u2212]?[0-9]++[ ]{0,3}\}|[-+\u2212]?[0-9]++)"
)
"""Pattern of ` \\times 10^{23}`."""

_SIGN = "[-+]?"
_TERM = rf"(?:{_WHOLE}(?:\.[0-9]*+)?|\.[0-9]++)"  # unlike in running text, `1.` is a number
_MIXED = re.compile(rf"({_SIGN})([0-9]++) ([0-9]++)/([0-9]++)")
_LATEX = re.compile(rf"({_SIGN})([0-9]*+)\\frac ?(?:\{{({_SIGN}{_TERM})\}}|([0-9])) ?(?:\{{({_TERM})\}}|([0-9]))")
_RATIO = re.compile(rf"({_SIGN}{_TERM})/({_SIGN}{_TERM})")
_DECIMAL = re.compile(rf"({_SIGN}{_TERM})([eE]{_SIGN}[0-9]++|{POWER_OF_TEN})?")
_EXPONENT = re.compile(rf"({_SIGN}[0-9]+)\}}?$")

_NAME = re.compile(r"^[A-Za-z]=(?=.)")
_CURRENCY = re.compile(r"^([-+]?)\\?\$")
_UNIT = re.compile(r"\\(?:text|textrm|mathrm|mbox)\{([^{}0-9]*)\}(?:\^(?:[23]|\{[23]\}))?$")
_DEGREE = re.compile(r"(?:\^\{?\\circ\}?|\\degree|°)$")
_PAIR = re.compile(r"[0-9],\s+[0-9]")  # `32, 349` is two numbers, `32,349` is one
_PERCENT = re.compile(r"\\?%$")


@dataclass(frozen=True)
class Number:
    """An exact value and how it was written."""

    value: Fraction
    percent: bool = False
    """Written with a percent sign; `value` is the number before it."""
    places: int | None = None
    """Digits after the decimal point; None for whole numbers and fractions."""
    digits: int = 0
    """Significant digits of a decimal."""


def parse(text: str) -> Number | None:
    """The number `text` is, exactly, or None when it is none, or too long, or divides by zero."""
    if len(text) > MAX_TEXT:
        return None
    text = compact(text)
    if _PAIR.search(text):
        return None
    text, percent = _bare(text)
    if match := _LATEX.fullmatch(text):
        return _mixed(match[1], match[2], match[3] or match[4], match[5] or match[6], percent)
    if match := _MIXED.fullmatch(text):
        return _mixed(match[1], match[2], match[3], match[4], percent)
    if match := _RATIO.fullmatch(text):
        return _mixed("", "", match[1], match[2], percent)
    if match := _DECIMAL.fullmatch(text):
        exponent = _EXPONENT.search(match[2] or "")
        return _decimal(match[1], exponent[1] if exponent else "0", percent)
    return None


def equal(a: Number, b: Number) -> bool:
    r"""Whether two numbers are the same value.

    Exactly the same, with two conventions. `x%` equals x and x/100 (a plain number never matches 100 times itself).
    A decimal of at least `ENOUGH_DIGITS` significant digits equals a fraction, such as 2/7, when it is that value cut
    or rounded to its places; so 12.7 never equals 12.8, 0.33 never 1/3, and a whole number only itself.
    """
    if a.percent == b.percent:
        return _same(a, b)
    signed, plain = (a, b) if a.percent else (b, a)
    places = None if signed.places is None else signed.places + 2
    hundredth = Number(signed.value / 100, places=places, digits=signed.digits)
    return _same(signed, plain) or _same(hundredth, plain)


def _same(a: Number, b: Number) -> bool:
    return a.value == b.value or _stands_for(a, b) or _stands_for(b, a)


def _stands_for(decimal: Number, exact: Number) -> bool:
    if decimal.places is None or decimal.digits < ENOUGH_DIGITS or exact.places is not None:
        return False
    if exact.value.denominator == 1:
        return False
    return cut_or_rounded(decimal.value, exact.value, Fraction(10) ** -decimal.places)


def cut_or_rounded(written: Any, exact: Any, unit: Any) -> bool:
    """Whether a written decimal is an exact value cut or rounded to a last place worth `unit`; fractions or mpfs."""
    difference = abs(exact - written)
    return bool(difference * 2 <= unit or (difference < unit and abs(written) <= abs(exact)))


def _bare(text: str) -> tuple[str, bool]:
    """`text` without `x=`, currency, unit and degree sign, and whether a percent sign was taken off."""
    text = _CURRENCY.sub(r"\1", _NAME.sub("", text))
    unit = _UNIT.search(text)
    if unit and is_unit_text(unit[1]):
        text = text[: unit.start()]
    text = _DEGREE.sub("", text)
    bare = _PERCENT.sub("", text)
    return bare, bare != text


def _mixed(sign: str, whole: str, top: str, bottom: str, percent: bool) -> Number | None:
    """Plus or minus (whole + top / bottom). None when it divides by zero or the parts have two signs."""
    below = _fraction(bottom)
    if below == 0 or (whole and top[0] in "+-"):
        return None
    value = int(whole or "0") + _fraction(top) / below
    return Number(-value if sign == "-" else value, percent)


def _decimal(text: str, exponent: str, percent: bool) -> Number | None:
    """`text` times ten to the `exponent`; None when the exponent is beyond `MAX_EXPONENT`."""
    if len(exponent.lstrip("+-0")) > len(str(MAX_EXPONENT)) or abs(int(exponent)) > MAX_EXPONENT:
        return None
    places = len(text.partition(".")[2]) - int(exponent)
    digits = re.sub("[^0-9]", "", text).lstrip("0")
    return Number(_fraction(text) * Fraction(10) ** int(exponent), percent, places if places > 0 else None, len(digits))


def _fraction(text: str) -> Fraction:
    """A signed decimal of ASCII digits with optional separators, exactly."""
    digits = re.sub(r"[^0-9.]", "", text)
    whole, _, rest = digits.partition(".")
    value = Fraction(int(whole + rest or "0"), 10 ** len(rest))
    return -value if text.startswith("-") else value
