r"""The long normaliser of the paper's evaluation grader: one spelling for what answers write in many ways.

It throws information away on purpose (percent signs, units, names such as `x=`); see `paper_eval` for what follows.
"""

from __future__ import annotations

import re

from oneshot.rewards.paper.text import repaired, without_name

_MACROS = (
    (re.compile(r"\\begin\{array\}(?:\{[^{}]*\})?"), r"\\begin{pmatrix}"),
    (re.compile(r"\\(begin|end)\{(?:array|[bBvV]?matrix)\}"), r"\\\1{pmatrix}"),
    (re.compile(r"\\[td]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\(neq|leq|geq)(?![A-Za-z])"), lambda m: f"\\{m[1][:2]}"),
    (re.compile(r"\\(?:left|right)(?![A-Za-z])|\\!|\\displaystyle(?![A-Za-z])"), ""),
    (re.compile(r"(?<!\\)\\[,;: ]|~|\\q?quad(?![A-Za-z])"), " "),
    (re.compile(r"\\([{}])"), r"\1"),
    (re.compile(r"\^ ?(?:\{ ?\\circ ?\}|\\circ(?![A-Za-z]))|\\degree(?![A-Za-z])|°"), ""),
)
_SEPARATOR = re.compile(r"(?<=[0-9])\{,\}(?=[0-9])")
_LAST_TEXT = re.compile(r"\\(?:text|mbox|textrm|mathrm) ?\{[^{}]*\}(?:\^ ?(?:[0-9]|\{[0-9]\}))?$")
_TEXT = re.compile(r"\\(?:text|mbox|textrm|textbf|textit|mathrm|mathbf|rm|bf) ?\{([^{}]*)\}")
_DOLLARS = re.compile(r"\\?\$|\\[()]")
_PERCENT = re.compile(r"\\?%")
_NAMES = re.compile(r"(^|,) ?[xyz] ?(?:=|\\in(?![A-Za-z])|\\to(?![A-Za-z])) ?")
_INFINITY = re.compile(r"(?<![A-Za-z\\])(?:infinity|inf)(?![A-Za-z])")
_AND = re.compile(r",? ?(?<![A-Za-z])and(?![A-Za-z])")
_ZEROS = re.compile(r"(?<![0-9.])([0-9]++)\.0*+(?![0-9])")
_LEADING_POINT = re.compile(r"(?<![0-9])\.(?=[0-9])")

_UNIT_WORDS = """
    degree degrees radian radians percent
    mm cm km meter meters metre metres centimeter centimeters kilometer kilometers millimeter millimeters
    inch inches foot feet ft yard yards mile miles mph kmph kmh mi lightyear lightyears
    gram grams kg kilogram kilograms mg ton tons tonne tonnes pound pounds lb lbs ounce ounces oz
    second seconds sec secs minute minutes min mins hour hours hr hrs day days week weeks month months year years
    liter liters litre litres ml gallon gallons quart quarts pint pints cup cups
    square sq cubic unit units per
    dollar dollars cent cents usd euro euros rupee rupees pence
    joule joules watt watts newton newtons volt volts amp amps ampere amperes hertz hz pascal pascals kelvin celsius
    fahrenheit mole moles mol
    people person persons student students child children men women boys girls apple apples orange oranges
    book books pencil pencils ticket tickets coin coins ball balls marble marbles card cards item items
    point points time times way ways number numbers page pages piece pieces step steps term terms
"""
_UNITS = frozenset(_UNIT_WORDS.split())
_LETTER_UNITS = frozenset("msghlLWJNVAKCF")
_LAST_WORD = re.compile(r"([ ]*)([A-Za-z]+)\.?(?:[ ]?\^[ ]?(?:[23]|\{[23]\})|[²³])?$")
_MAX_UNIT_WORDS = 8
_DIGITS = tuple("0123456789")
_VALUE_ENDS = (*_DIGITS, "}", ")", r"\pi")

_ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {word: n for n, word in enumerate(_ONES.split())} | {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def normal(text: str) -> str:
    r"""`text` as the paper's evaluation compares it: no spaces, layout, units, currency, percent signs or `x=`.

    Number words become digits, `.5` is `0.5`, `3.00` is `3`, `a/b` (whole) and `\frac12` are `\frac{a}{b}`.
    """
    text = " ".join(text.split()).rstrip(".")
    for pattern, new in _MACROS:
        text = pattern.sub(new, text)
    text = _SEPARATOR.sub(",", _DOLLARS.sub("", text)).strip()
    text = (_LAST_TEXT.sub("", text) or text).strip()
    text = _TEXT.sub(r"\1", text)
    text = without_units(_PERCENT.sub("", text).strip())
    text = from_words(text)
    text = _INFINITY.sub(r"\\infty", _NAMES.sub(r"\1", text))
    text = _AND.sub(",", text).replace("'", "").replace('"', "")
    text = _LEADING_POINT.sub("0.", _ZEROS.sub(r"\1", text)).strip()
    if len(text) > 2 and text[0] == "{" and text[-1] == "}" and text[1:-1].isalnum():
        text = text[1:-1]
    return repaired(without_name(text) if text[:1].isalpha() else text)


def without_units(text: str) -> str:
    """`text` without the unit words behind its number: `12.8 miles per hour` is `12.8`, `a + 5 m` stays."""
    rest = text
    for _ in range(_MAX_UNIT_WORDS):
        match = _LAST_WORD.search(rest, max(0, len(rest) - 40))
        if not match:
            break
        gap, word = match.groups()
        before = rest[: match.start()]
        spaced = bool(gap) and before.endswith(_DIGITS)
        single = word in _LETTER_UNITS and (spaced or (before.endswith("/") and before[-2:-1].isalpha()))
        if not before or not (single or word.lower() in _UNITS):
            break
        rest = before.removesuffix("/").rstrip(" -")
    return rest if rest.endswith(_VALUE_ENDS) else text


def from_words(text: str) -> str:
    """The digits of a number written in words, `twenty-five` or `two thousand and six`; any other text as it is."""
    words = [word for word in re.split(r"[ -]+", text.lower()) if word != "and"]
    if not words or len(words) > 20:
        return text
    total = group = 0
    for word in words:
        if word in _SMALL:
            group += _SMALL[word]
        elif word == "hundred":
            group = max(group, 1) * 100
        elif word in _LARGE:
            total, group = total + max(group, 1) * _LARGE[word], 0
        else:
            return text
    return str(total + group)
