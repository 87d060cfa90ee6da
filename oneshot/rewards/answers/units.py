r"""Words beside a number: units and currency, which are ignored; multipliers, which count; stop words.

A unit stands *after* a value: `14 cm`, `14\,\mathrm{cm}^2`, `9.8 \text{ m/s}^2`, `5 \text{ square feet}`, `14 apples`.
A single letter written plainly (`15 m`) may be a variable; it is only taken for a unit against a plain number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from oneshot.rewards.answers.tokens import Token

MULTIPLIERS = {
    "hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
}  # fmt: skip
PERCENT = frozenset(["percent", "percents", "pct", "per cent"])
STOP = frozenset(
    "and or not no none if when where unless for all any less more greater smaller fewer at least most between than "
    "to except without only but is are was the answer equals equal plus minus times over either both neither nor "
    "such that with even odd prime mod modulo".split()
)
"""A text with one of these is not a unit."""
UNITS = frozenset(
    "mm cm dm km nm um in ft yd mi sq cu mg kg lb lbs oz ml cl dl kl sec secs min mins hr hrs ms ns us wk yr yrs "
    "mph kph kmh rpm fps hz khz mhz ghz ev kev mev gev kj kw kwh mw gw pa kpa mpa atm bar mol mmol rad deg degs usd "
    "eur gbp rs cal kcal gal pt qt amp amps ohm volt volts watt watts joule joules newton newtons kelvin tesla "
    "gauss farad meter meters metre metres inch inches foot feet yard yards mile miles second seconds minute "
    "minutes hour hours day days week weeks month months year years degree degrees radian radians dollar dollars "
    "cent cents euro euros pound pounds rupee rupees yen gram grams kilogram kilograms kilometer kilometers "
    "centimeter centimeters millimeter millimeters liter liters litre litres square cubic unit units per erg ergs "
    "dyne dynes au pc kpc mpc ly point points people person students times way ways time cm2 m2 km2 cm3 m3 gallon "
    "gallons hectares acres acre angstrom angstroms".split()
)
_LETTERS = frozenset("msghlLNJWVAKCFTG")
_TEXT = re.compile(r"[A-Za-z]+")


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return [w.lower() for w in _TEXT.findall(text)]


def is_unit_text(text: str) -> bool:
    r"""Whether the content of a `\text{}` after a value may be ignored."""
    words = words_of(text)
    if not words:
        return not re.search("[0-9A-Za-z]", text)
    return not any(w in STOP or w in MULTIPLIERS or w in PERCENT for w in words) and not re.search("[0-9]{2}", text)


def _is_unit_word(token: Token) -> bool:
    word = token.text.lower()
    if word in STOP or word in MULTIPLIERS or word in PERCENT:
        return False
    return word in UNITS or (len(word) > 3 and token.spaced)


def _starts_unit(token: Token) -> bool:
    if token.kind == "text":
        return is_unit_text(token.text)
    return token.kind == "word" and _is_unit_word(token)


_JOINERS = frozenset(["/", "*", "^", "{", "}", "(", ")", ".", "-", "circ", "'"])


def _goes_on(token: Token) -> bool:
    small = token.kind == "number" and token.value is not None and 1 <= token.value <= 4
    letter = token.kind == "name" and token.text in _LETTERS
    return _starts_unit(token) or token.text in _JOINERS or small or letter


def _fraction_of_units(tokens: Sequence[Token]) -> bool:
    r"""`\frac{\text{m}}{\text{s}^2}`."""
    names = [t for t in tokens if t.kind in ("text", "word")]
    return tokens[0].text == "frac" and bool(names) and all(map(_goes_on, tokens[1:]))


def without_unit(tokens: Sequence[Token]) -> Sequence[Token]:
    """The tokens without the unit at their end. What is left is never empty."""
    for k in range(1, len(tokens)):
        rest = tokens[k:]
        unit = _starts_unit(rest[0]) and all(map(_goes_on, rest[1:]))
        if (unit or _fraction_of_units(rest)) and _balanced(rest):
            while k > 1 and tokens[k - 1].text in ("*", "/"):
                k -= 1
            return tokens[:k] if _balanced(tokens[:k]) else tokens
    return tokens


def without_letters(tokens: Sequence[Token]) -> Sequence[Token] | None:
    """`15 m`, `9.8 m/s^2` as the number alone; None for anything else."""
    start = 1 if tokens and tokens[0].text in ("-", "+") else 0
    if len(tokens) < start + 2 or tokens[start].kind != "number" or not tokens[start + 1].spaced:
        return None
    rest = tokens[start + 1 :]
    return tokens[: start + 1] if rest[0].kind == "name" and all(map(_goes_on, rest)) else None


def _balanced(tokens: Sequence[Token]) -> bool:
    return sum((t.kind == "open") - (t.kind == "close") for t in tokens) == 0


def multiplier(tokens: Sequence[Token]) -> tuple[Sequence[Token], Fraction, bool]:
    """The tokens without a last `million` or percent sign, the factor, and whether there was a percent sign."""
    factor, percent = Fraction(1), False
    while len(tokens) > 1:
        last = tokens[-1]
        words = words_of(last.text) if last.kind in ("text", "word") else []
        if (last.kind in ("op", "text") and last.text.strip() in ("%", "\\%")) or " ".join(words) in PERCENT:
            percent = True
        elif len(words) == 1 and words[0] in MULTIPLIERS and not percent:
            factor *= MULTIPLIERS[words[0]]
        else:
            break
        tokens = tokens[:-1]
    return tokens, factor, percent
