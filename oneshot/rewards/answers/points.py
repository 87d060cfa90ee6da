"""The fixed points at which expressions with variables are compared, and which of them an expression needs.

Smooth expressions that agree at three points are the same. One with an absolute value, a maximum or an even root has
branches, so all points count, which have both signs, several sizes and both orders of each two variables. One with
floors, factorials or `(-1)^n` is about whole numbers, so it is compared at whole numbers with many remainders.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache

from oneshot.rewards.answers.tree import Node

Point = dict[str, Fraction]

_PRIMES = (7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67)
# One row a point: signs of the first, second, ... variable, what the primes are divided by, and the direction in which
# they are dealt out, so that each two variables come in both orders.
_ROWS = (
    ("+", 5, 1), ("+", 97, -1), ("-+", 6, 1), ("+-", 89, -1), ("+", 1, 1), ("-", 4, -1), ("+", 3, -1), ("--+", 7, 1),
    ("-", 71, 1), ("++-", 1, -1),
)  # fmt: skip
_LARGE = (Fraction(137), Fraction(-211))
"""Two rows with large values: the primes times these."""
_WHOLE = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 25, 64, 100)

BRANCHES = frozenset(["abs", "max", "min", "sgn", "root"])
STEPS = frozenset(["floor", "ceil", "fact", "binom", "gcd", "lcm"])


@lru_cache(maxsize=256)
def smooth(names: tuple[str, ...]) -> list[Point]:
    """Points with signs and sizes of all kinds; the first are positive and of middle size."""
    rows = [_row(names, signs, k, turn, Fraction(1, below)) for k, (signs, below, turn) in enumerate(_ROWS)]
    return rows + [
        _row(names, "+", k, turn, scale) for k, (scale, turn) in enumerate(zip(_LARGE, (1, -1), strict=True))
    ]


def _row(names: tuple[str, ...], signs: str, k: int, turn: int, scale: Fraction) -> Point:
    point = {}
    for i, name in enumerate(names):
        prime = _PRIMES[(5 * k + turn * i) % len(_PRIMES)]
        point[name] = (-prime if signs[i % len(signs)] == "-" else prime) * scale
    return point


@lru_cache(maxsize=256)
def whole(names: tuple[str, ...]) -> list[Point]:
    """Points of positive whole numbers; each two variables in both orders and with both parities."""
    n = len(_WHOLE)
    return [{name: Fraction(_WHOLE[(k * (2 * i + 1) + 5 * i) % n]) for i, name in enumerate(names)} for k in range(n)]


@lru_cache(maxsize=4096)
def kinds(node: Node) -> frozenset[str]:
    """`branches`, `steps` and `powers` (a variable in an exponent), as far as they occur around a variable."""
    found = frozenset().union(*(kinds(a) for a in node.args)) if node.args else frozenset()
    if node.op == "var":
        return frozenset(["variable"])
    if "variable" not in found:
        return found
    if node.op in BRANCHES and (node.op != "root" or _is_even(node.args[0])):
        found |= {"branches"}
    if node.op in STEPS:
        found |= {"steps"}
    if node.op == "pow" and "variable" in kinds(node.args[1]):
        found |= {"powers"}
    return found


def _is_even(index: Node) -> bool:
    return index.op != "num" or index.value % 2 == 0


def rows(names: tuple[str, ...], found: Iterable[str]) -> tuple[list[Point], int]:
    """The points an expression of some `kinds` is compared at, and how many agreements settle it."""
    found = frozenset(found)
    if "steps" in found:
        return whole(names), len(_WHOLE)
    general = smooth(names)
    if "powers" in found:
        return [*general[:4], *whole(names)[:8]], 12
    return general, len(general) if "branches" in found else 3
