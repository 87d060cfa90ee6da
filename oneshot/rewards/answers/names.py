r"""Names: letters with an index, primes or a decoration, a function's value at a number; numbers in other bases."""

from __future__ import annotations

from fractions import Fraction

from oneshot.rewards.answers.cursor import Cursor
from oneshot.rewards.answers.tokens import Unreadable
from oneshot.rewards.answers.tree import Node

_DECORATIONS = frozenset(
    "vec hat bar dot ddot tilde overline widehat overrightarrow mathbb mathcal mathbf mathit mathsf underline".split()
)
"""Commands that make another name of a letter."""
_APPLIED = frozenset("fghFGHPT")
_ALWAYS_APPLIED = frozenset(["f", "g", "u", "delta", "Gamma"])
"""Letters that before a bracket are functions, whatever stands in it: `f(x+1)` is no product."""
_BASES = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twelve": 12,
}
_SYMBOLS = frozenset(["odot", "imath", "jmath", "partial", "nabla", "Re", "Im", "mho"])


def name(cursor: Cursor, letter: str) -> Node:
    """A letter with its index and primes; `e` and `i` alone are constants."""
    index = "_" + cursor.index() if cursor.at("_") else ""
    primes = 0
    while cursor.at("'") or _prime_power(cursor):
        cursor.place += 1 if cursor.at("'") else 0
        primes += 1
    if not index and cursor.at("_"):
        index = "_" + cursor.index()
    if not index and not primes and letter in ("e", "i"):
        return Node("const", name=letter)
    return _applied(cursor, letter + "'" * primes + index, letter)


def symbol(cursor: Cursor, command: str) -> Node:
    r"""The name a command makes: `\vec{x}`, `\odot`. Raises `Unreadable` for other commands."""
    if command in _DECORATIONS:
        inner = cursor.index()
        if command in ("overline", "dot") and inner.isdigit():
            raise Unreadable("a repeating decimal in an odd place")
        return name(cursor, f"{command}:{inner}")
    if command not in _SYMBOLS:
        raise Unreadable(command)
    return name(cursor, command)


def _prime_power(cursor: Cursor) -> bool:
    r"""`y^{\prime}` and `y^{\prime\prime}`: moves past the exponent when it is made of primes."""
    caret, brace = cursor.peek(), cursor.peek(1)
    if not (caret and caret.text == "^" and brace):
        return False
    if brace.text == "'":
        cursor.place += 1
        return False  # the prime itself is taken by the loop above
    inner, close = cursor.peek(2), cursor.peek(3)
    if brace.text == "{" and inner and inner.text == "'" and close and close.text == "}":
        cursor.place += 4
        return True
    return False


def _applied(cursor: Cursor, name: str, letter: str) -> Node:
    """`I(0)`, `f(2)`: a function's value at a number is a name of its own, never a product with it."""
    here, inner, close = cursor.peek(), cursor.peek(1), cursor.peek(2)
    if here and here.text == "(" and not here.spaced and letter in _ALWAYS_APPLIED:
        return Node("var", name=name + _argument(cursor))
    bracketed = here and inner and close and here.text == "(" and not here.spaced and close.text == ")"
    if bracketed and inner and inner.kind == "number" and (inner.value == 0 or letter in _APPLIED):
        cursor.place += 3
        return Node("var", name=f"{name}({inner.value})")
    return Node("var", name=name)


def _argument(cursor: Cursor) -> str:
    """A bracket and what stands in it, as text."""
    parts: list[str] = []
    level = 0
    while True:
        token = cursor.take()
        level += (token.kind == "open") - (token.kind == "close")
        parts.append(token.text.strip())
        if level == 0:
            return "".join(parts)


def operator(cursor: Cursor) -> bool:
    r"""Whether `{d}{dx}` stands here, which works on what follows."""
    texts = [t.text for t in cursor.tokens[cursor.place : cursor.place + 5]]
    return texts[:5] == ["{", "d", "}", "{", "d"]


def derivative(cursor: Cursor) -> Node | None:
    r"""`\frac{dM}{dt}` as one name: its d do not cancel. None, without a step, where something else stands here."""
    above, middle = _group(cursor, cursor.place)
    below, end = _group(cursor, middle)
    if not (above and below and above[0] == below[0] == "d" and len(above) > 1 and len(below) > 1):
        return None
    cursor.place = end
    return Node("var", name=f"{' '.join(above)}/{' '.join(below)}")


def _group(cursor: Cursor, start: int) -> tuple[list[str], int]:
    """The texts of a short group of names and powers, and the place behind it; no texts where it is something else."""
    texts: list[str] = []
    level = 0
    for place in range(start, min(start + 14, len(cursor.tokens))):
        token = cursor.tokens[place]
        level += (token.text == "{") - (token.text == "}")
        if level == 0:
            return texts, place + 1
        if token.kind not in ("name", "number") and token.text not in ("^", "{", "}", "_"):
            return [], start
        texts += [token.text] if token.text not in ("{", "}") else []
    return [], start


def in_base(digits: str, base: str) -> Fraction:
    """`31` in base `7`. Raises `Unreadable` where the digits do not exist in that base."""
    base = base.strip(" ()")
    base = str(_BASES.get(base.lower(), base))
    if not base.isdigit() or not 2 <= int(base[:3]) <= 36 or len(digits) > 1_000:
        raise Unreadable("not a base")
    if any(int(d, 36) >= int(base) for d in digits if d.isalnum()) or not digits.isalnum():
        raise Unreadable("digits beyond the base")
    return Fraction(int(digits, int(base)))
