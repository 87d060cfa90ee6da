r"""Answers as tokens. One regular expression, linear; what a token means is decided by the parser."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

MAX_DIGITS = 4_000
"""A longer numeral is not read (Python itself refuses whole numbers of more than 4,300 digits)."""
MAX_EXPONENT = 5_000
"""`1e999999999` would not fit into memory."""
MAX_TOKENS = 1_500


class Unreadable(Exception):
    """The text is not mathematics of the kind read here, or too much of it. Never leaves `oneshot.rewards`."""


class Token(NamedTuple):
    r"""`kind` is one of: number, name, function, constant, word, text, command, op, open, close, end-of-row marks."""

    kind: str
    text: str
    value: Fraction | None = None
    places: int = -1
    """Digits after the decimal point of a written decimal; -1 for a whole number."""
    digits: int = 0
    """Significant digits as written."""
    spaced: bool = False
    """White space stands before it."""


FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh coth arcsinh arccosh arctanh ln log exp "
    "max min gcd lcm floor ceil abs sqrt sgn sign cbrt asin acos atan asinh acosh atanh lg".split()
)
_SAME = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "lg": "log",
    "atanh": "arctanh", "sign": "sgn", "tg": "tan", "ctg": "cot", "arctg": "arctan", "cosec": "csc",
    "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "lt": "<", "gt": ">",
    "ne": "!=", "neq": "!=", "times": "*", "cdot": "*", "ast": "*", "div": "/", "colon": ":", "mid": "|", "vert": "|",
    "lvert": "|", "rvert": "|", "lbrace": "\\{", "rbrace": "\\}", "land": "and", "lor": "or", "wedge": "and",
    "vee": "or", "varnothing": "emptyset", "bigcup": "cup", "ldots": "dots", "cdots": "dots", "simeq": "approx",
    "sim": "approx", "inf": "infty", "infinity": "infty", "oo": "infty", "backslash": "setminus",
    "varepsilon": "epsilon",
    "varphi": "phi", "vartheta": "theta", "lbrack": "[", "rbrack": "]", "tilde": "~", "equiv": "equiv",
    "lparen": "(", "rparen": ")", "prime": "'", "Reals": "R", "union": "cup",
}  # fmt: skip
_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega hbar ell".split()
)
_WORDY = frozenset("and or in cup pm infty pi".split()) | FUNCTIONS | _GREEK
_OPERATORS = frozenset(
    ["<=", ">=", "!=", "<", ">", "*", "/", ":", "|", "and", "or", "cup", "cap", "in", "notin", "pm", "mp", "approx",
     "equiv", "setminus", "to", "dots", "'", "circ", "triangle", "angle", "not"]
)  # fmt: skip
_OPEN = {"(": "(", "[": "[", "\\{": "\\{", "langle": "langle", "lfloor": "lfloor", "lceil": "lceil", "{": "{"}
_CLOSE = {")": ")", "]": "]", "\\}": "\\}", "rangle": "rangle", "rfloor": "rfloor", "rceil": "rceil", "}": "}"}
CLOSES = dict(zip(_OPEN, _CLOSE, strict=True))

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][-+]?[0-9]++(?![0-9A-Za-z.]))?)"
    r"|\\(?:text|mathrm)\s?\{(?P<text>(?:[^{}]|\{[^{}]*\})*)\}"
    r"|\\(?P<env>begin|end)\s?\{(?P<envname>[A-Za-z]+)\*?\}"
    r"|\\(?P<command>[A-Za-z]+)|(?P<row>\\\\)|(?P<escaped>\\.)"
    r"|(?P<word>[A-Za-z]+)|(?P<double>\*\*|<=|>=|!=|==|=<|=>|->)|(?P<char>.)",
    re.DOTALL,
)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?")


def tokenize(text: str) -> list[Token]:
    """The tokens of a cleaned text. Raises `Unreadable` when there are too many or one is too long."""
    tokens: list[Token] = []
    depth = place = 0
    spaced = False
    while place < len(text):
        match = _TOKEN.match(text, place)
        assert match is not None  # the last alternative takes any character
        place = match.end()
        kind = match.lastgroup or ""
        if kind == "space":
            spaced = True
            continue
        if kind == "number":
            joined = _joined(text, match.start(), depth)
            if joined:
                place = match.start() + len(joined)
            tokens.append(numeral(joined.replace(",", "") if joined else match[0], spaced))
        else:
            _add(tokens, match, kind, spaced)
        if tokens and len(tokens) > MAX_TOKENS:
            raise Unreadable("too many tokens")
        last = tokens[-1].kind if tokens else ""
        depth += (last == "open" and tokens[-1].text != "{") - (last == "close" and tokens[-1].text != "}")
        spaced = False
    return _units_named_like_functions(tokens)


def _units_named_like_functions(tokens: list[Token]) -> list[Token]:
    """`5 min`, `5 sec`, `12 in.` behind a number: nothing that a function or `in` could work on follows."""
    for i in range(1, len(tokens)):
        plain = tokens[i].text in ("min", "sec", "in") and tokens[i].spaced and tokens[i - 1].kind == "number"
        if plain and (i + 1 == len(tokens) or tokens[i + 1].text in ("/", "^", ".", "*")):
            tokens[i] = Token("word", tokens[i].text, spaced=True)
    return tokens


def _joined(text: str, start: int, depth: int) -> str:
    """`1,234` as it stands there; inside brackets only where a later group shows that it is no list (`1,024`)."""
    match = _THOUSANDS.match(text, start)
    if not match or (start and text[start - 1] in ".,"):
        return ""
    if depth > 0 and not any(group.startswith("0") for group in match[0].split(",")[1:]):
        return ""
    return match[0]


def numeral(text: str, spaced: bool = False) -> Token:
    """A number token with its exact value."""
    if len(text) > MAX_DIGITS:
        raise Unreadable("too many digits")
    base, _, exponent = text.lower().partition("e")
    whole, point, rest = base.partition(".")
    power = int(exponent or "0") if len(exponent) < 8 else MAX_EXPONENT + 1
    if abs(power) > MAX_EXPONENT:
        raise Unreadable("exponent too large")
    value = Fraction(int(whole + rest or "0"), 10 ** len(rest)) * Fraction(10) ** power
    digits = len((whole + rest).lstrip("0"))
    places = len(rest) - power if point or exponent else -1
    return Token("number", text, value, max(places, 0) if places != -1 or point else -1, digits, spaced)


def _add(tokens: list[Token], match: re.Match[str], kind: str, spaced: bool) -> None:
    if kind == "text":
        if match["text"].strip(" ~"):
            tokens.append(Token("text", match["text"], spaced=spaced))
    elif kind == "envname":
        tokens.append(
            Token("open" if match["env"] == "begin" else "close", "matrix:" + match["envname"], spaced=spaced)
        )
    elif kind == "row":
        tokens.append(Token("row", "\\\\", spaced=spaced))
    elif kind == "word":
        _words(tokens, match[0], spaced)
    else:
        raw = match[0]
        name = match["command"] or raw
        tokens.append(_symbol(_SAME.get(name, name), spaced, command=kind == "command"))


def _symbol(name: str, spaced: bool, *, command: bool) -> Token:
    name = {"**": "^", "==": "=", "=<": "<=", "=>": ">=", "->": "to"}.get(name, name)
    if name in _OPEN:
        return Token("open", _OPEN[name], spaced=spaced)
    if name in _CLOSE:
        return Token("close", _CLOSE[name], spaced=spaced)
    if name in FUNCTIONS and command:
        return Token("function", _SAME.get(name, name), spaced=spaced)
    if command and name in _GREEK:
        return Token("name", name, spaced=spaced)
    if command and name in ("pi", "infty"):
        return Token("constant", name, spaced=spaced)
    if name in _OPERATORS or not command:
        return Token("op", name.lstrip("\\") if name in ("\\%", "\\&") else name, spaced=spaced)
    return Token("command", name, spaced=spaced)


def _words(tokens: list[Token], word: str, spaced: bool) -> None:
    """A run of letters: a function's or a letter's name written without a backslash, single letters, or a word."""
    if word == "np" or word == "math":
        tokens.append(Token("word", "np", spaced=spaced))
        return
    name = _SAME.get(word, word)
    if len(word) > 1 and (name in _WORDY or (name in _OPERATORS and word.isalpha() and word in ("and", "or", "in"))):
        tokens.append(_symbol(name, spaced, command=True))
        return
    if len(word) == 1:
        tokens.append(Token("name", word, spaced=spaced))
        return
    tokens.append(Token("word", word, spaced=spaced))
