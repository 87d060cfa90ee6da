r"""Words beside a number: units and currency, which are ignored; multipliers, which count; stop words.

A unit stands *after* a value: `14 cm`, `14\,\mathrm{cm}^2`, `9.8 \text{ m/s}^2`, `5 \text{ square feet}`, `14 apples`.
A single letter written plainly (`15 m`) may be a variable; it is only taken for a unit against a plain number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from oneshot.rewards.answers.tokens import Token

_POWERS_OF_TEN = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12, "quadrillion": 15}
MULTIPLIERS = {
    **{word: 10**n for word, n in _POWERS_OF_TEN.items()},
    **{word + "s": 10**n for word, n in _POWERS_OF_TEN.items()},
    "lakh": 10**5,
    "crore": 10**7,
    "dozen": 12,
    "dozens": 12,
    "tens": 10,
}
"""Words that multiply the number before them."""
PERCENT = frozenset(["percent", "percents", "pct", "per cent"])
STOP = frozenset(
    "and or not no none if when where unless less more greater smaller fewer at least most between than except "
    "without only but is are was answer equals equal plus minus over either both neither nor such that mod modulo "
    "half halves third thirds fourth fourths fifth fifths sixth sixths seventh sevenths eighth eighths ninth "
    "ninths tenth tenths hundredth hundredths thousandth thousandths maybe perhaps possibly alternatively "
    "alternative vs versus then also another instead wrong incorrect false correct true twice thrice double "
    "doubled triple tripled squared cubed factorial inverse reciprocal negative positive root pi divided "
    "multiplied base log mille nearly almost guess probably likely unknown undefined infinity below above zero by "
    "to two three four five six seven eight nine ten eleven twelve twenty with".split()
)
"""A text with one of these is not a unit."""
UNITS = frozenset(
    "mag psf psi ppm ppb db gyr myr pm kpa mm cm dm km nm um in ft yd mi sq cu mg kg lb lbs oz ml cl dl kl sec "
    "secs min mins hr hrs ms ns us wk yr yrs mph kph kmh rpm fps hz khz mhz ghz ev kev mev gev kj kw kwh mw gw pa "
    "mpa atm bar mol mmol rad deg degs usd eur gbp rs cal kcal gal pt qt amp amps ohm volt volts watt watts joule "
    "joules newton newtons kelvin tesla gauss farad meter meters metre metres inch inches foot feet yard yards "
    "mile miles second seconds minute minutes hour hours day days week weeks month months year years degree "
    "degrees radian radians dollar dollars cent cents euro euros pound pounds rupee rupees yen gram grams "
    "kilogram kilograms kilometer kilometers centimeter centimeters millimeter millimeters liter liters litre "
    "litres square cubic unit units per erg ergs dyne dynes au pc kpc mpc ly point points people person students "
    "times way ways time cm2 m2 km2 cm3 m3 gallon gallons hectares acres acre angstrom angstroms".split()
)
_SHORT = frozenset("old cup day men dog cat cow hen pen box car bus egg toy job ton kid art".split())
"""Short words that are counted."""
_LETTERS = frozenset("msghlLNJWVAKCF")
_CAPITALS = frozenset("TDH")
"""Units as a text alone, `\\text{ T}`; as plain letters they are variables."""
_SYMBOLS = _LETTERS | {"Omega", "mu"}
_PRODUCTS = frozenset("mg ms ns pa pc kl kpc mpc mpa mw gw ev".split())
"""Units that written without a space (`2mg`) are rather products of variables."""
_TEXT = re.compile(r"[A-Za-z]+")
_POWERS = re.compile(
    r"(?<=[A-Za-z])\s?\^\s?\{?-?[1-4]\}?|(?<=[A-Za-z])[23]|\\(?:cdot|times|mu|AA)(?![A-Za-z])|\^?\{?\\circ\}?|\\,|\\ "
)


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return [w.lower() for w in _TEXT.findall(text)]


def is_unit_text(text: str) -> bool:
    r"""Whether the content of a `\text{}` after a value may be ignored: units, or what was counted (`apples`)."""
    bare = _POWERS.sub(" ", text)
    words = words_of(bare)
    if re.search(r"[0-9+=<>\\^_]|^\s*-", bare):
        return False
    if not words:
        return not bare.strip("~ .,()/\u00b0")
    if len(words) == 1 and len(words[0]) == 1:
        return bare.strip(" .()") in _LETTERS | _CAPITALS
    if len(words) > 1:  # red marbles, bags of rice
        return not any(w in STOP or w in MULTIPLIERS or w in PERCENT for w in words)
    return _is_unit(words[0])


def _is_unit(word: str) -> bool:
    if word in STOP or word in MULTIPLIERS or word in PERCENT:
        return False
    return word in UNITS or len(word) > 3 or word in _SHORT or (len(word) == 1 and word in "mshglnjwvakcf")


def without_unit(tokens: Sequence[Token]) -> Sequence[Token]:
    """The tokens without the unit at their end. What is left is never empty."""
    for k in range(1, len(tokens)):
        if _starts(tokens, k) and _unit_end(tokens, k) == len(tokens):
            while k > 1 and tokens[k - 1].text in ("*", "/"):
                k -= 1
            return tokens[:k] if _balanced(tokens[:k]) else tokens
    return tokens


def without_letters(tokens: Sequence[Token]) -> Sequence[Token] | None:
    r"""`15 m`, `3\times10^8 m/s` as the number alone; None for anything else. The letters might be variables too."""
    if tokens and tokens[0].kind not in ("number", "op", "open", "command", "function"):
        return None
    for k in range(1, len(tokens)):
        if tokens[k].kind in ("name", "word", "text", "command", "function"):
            letter = tokens[k].kind == "name" and tokens[k].spaced and tokens[k].text in _SYMBOLS
            whole = letter and _unit_end(tokens, k) == len(tokens) and _balanced(tokens[:k])
            return tokens[:k] if whole else None
    return None


def _starts(tokens: Sequence[Token], k: int) -> bool:
    """Whether a unit that is surely none of variables begins here."""
    token = tokens[k]
    if token.text == "frac":
        return k + 2 < len(tokens) and tokens[k + 1].text == "{" and _starts(tokens, k + 2)
    if token.text == "mu":
        return k + 1 < len(tokens) and tokens[k + 1].kind == "text" and is_unit_text(tokens[k + 1].text)
    if token.kind == "name":  # 300^\circ C
        return token.text in ("C", "F", "K") and any(t.text == "circ" for t in tokens[max(0, k - 2) : k])
    if token.kind == "text":
        return is_unit_text(token.text)
    word = token.text.lower()
    if token.kind != "word" or not _is_unit(word):
        return False
    return token.spaced or (word in UNITS and word not in _PRODUCTS)


def _unit_end(tokens: Sequence[Token], k: int) -> int:
    """Where the unit that begins at `k` ends: names with small powers, joined by `/`, `*` or nothing."""
    start = k
    while k < len(tokens):
        token = tokens[k]
        if token.text in ("/", "*", ".", "{", "}", "(", ")", "frac"):
            joins = token.text in ("/", "*") and (k + 1 == len(tokens) or not _is_name(tokens[k + 1], joined=True))
            if joins:
                return k
            k += 1
        elif _is_name(token, joined=k > start and tokens[k - 1].text in ("/", "*", "(", "{", "per")):
            k = _power_end(tokens, k + 1)
        else:
            return k
    return k


def _is_name(token: Token, *, joined: bool) -> bool:
    if token.kind == "text":
        return is_unit_text(token.text)
    if token.text == "mu":
        return True
    if token.kind == "word":
        return _is_unit(token.text.lower())
    return token.kind == "name" and token.text in _SYMBOLS and (joined or token.spaced)


def _power_end(tokens: Sequence[Token], k: int) -> int:
    """Behind `^2`, `^{-1}`, or the 2 of `cm2`."""
    texts = [t.text for t in tokens[k : k + 5]]
    for shape in (["^", "{", "-", "#", "}"], ["^", "{", "#", "}"], ["^", "-", "#"], ["^", "#"]):
        found = texts[: len(shape)]
        if len(found) == len(shape) and all(
            t in "1234" if s == "#" else t == s for s, t in zip(shape, found, strict=True)
        ):
            return k + len(shape)
    glued = bool(texts) and texts[0] in ("2", "3") and not tokens[k].spaced
    return k + 1 if glued else k


def _balanced(tokens: Sequence[Token]) -> bool:
    return sum((t.kind == "open") - (t.kind == "close") for t in tokens) == 0


def multiplier(tokens: Sequence[Token]) -> tuple[Sequence[Token], Fraction, bool]:
    """The tokens without a last `million` or percent sign, the factor, and whether there was a percent sign."""
    factor, percent = Fraction(1), False
    while len(tokens) > 1:
        last = tokens[-1]
        words = words_of(last.text) if last.kind in ("text", "word") else []
        sign = last.kind in ("op", "text") and last.text.strip() in ("%", "\\%")
        if not percent and (sign or " ".join(words) in PERCENT):
            percent = True
        elif len(words) == 1 and words[0] in MULTIPLIERS and not percent:
            factor *= MULTIPLIERS[words[0]]
        else:
            break
        tokens = tokens[:-1]
    return tokens, factor, percent
