"""When two expressions are the same value: at fixed points, exactly or to 60 digits.

Two expressions are the same when they agree at every point where both are defined, at two of them at least. The points
are fixed rationals, so the verdict on a pair never changes; positive, negative and small ones, then whole numbers for
factorials and floors, then large ones. Values must be real unless `i` occurs or no real point will do.

Schwartz 1980 and Zippel 1979 bound the chance that two polynomials agree at a random point; these points are fixed, so
it is a convention and not a proof, and the 60 digits leave no room for rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from oneshot.rewards.answers.evaluate import DIGITS, Evaluator, TooBig, Undefined, Value, approximate
from oneshot.rewards.answers.grammar import parse
from oneshot.rewards.answers.points import kinds, rows, smooth
from oneshot.rewards.answers.text import MAX_ANSWER, clean
from oneshot.rewards.answers.tokens import Unreadable, tokenize
from oneshot.rewards.answers.tree import Node

AGREE = 60
"""Digits two values must share."""
VISIBLE = 30
"""Where rounding errors reach 10^-30, as beside 2^2024, a whole number more or less would not be seen."""
TINY = 55
"""Rounding errors below 10^-55 make a zero no other number."""
REAL = frozenset("xyztrsuvw")
"""Letters that stand for real numbers, where n and k are whole."""
ENOUGH_POINTS = 4


@dataclass(frozen=True)
class Valued:
    """A value at a point, and the largest term that was added on the way to it in floating point."""

    value: Value
    largest: Value = Fraction(0)
    cut: bool = False
    """See `Evaluator.cut`."""

    @property
    def error(self) -> Value:
        """How far off rounding may have put it: a few units in the last digit of the largest term."""
        return approximate(self.largest) / 10 ** (DIGITS - 4)


def variables(node: Node) -> frozenset[str]:
    """The names of a tree's variables."""
    if node.op == "var":
        return frozenset((node.name,))
    return frozenset().union(*(variables(a) for a in node.args)) if node.args else frozenset()


def has_constant(node: Node, name: str) -> bool:
    """Whether a named constant (`i`, `infty`) occurs."""
    return (node.op == "const" and node.name == name) or any(has_constant(a, name) for a in node.args)


def at(node: Node, point: Mapping[str, Fraction], *, real: bool = True) -> Valued | None:
    """The value at a point; None where it has none. Raises `TooBig` and `Unreadable`."""
    evaluator = Evaluator(point, real=real)
    try:
        return Valued(evaluator(node), evaluator.largest, evaluator.cut)
    except Undefined:
        return None


def agree(a: Valued, b: Valued) -> bool | None:
    """Whether two values are the same: fractions exactly, others to `AGREE` digits of the larger.

    A sum that cancels leaves rounding errors of its terms. Where these reach the digits to be compared, values further
    apart than the errors are different, nearer ones the same if the errors are tiny in themselves, else it is open.
    """
    if type(a.value) is Fraction and type(b.value) is Fraction:
        return a.value == b.value
    first, second = approximate(a.value), approximate(b.value)
    scale, apart = max(abs(first), abs(second)), abs(first - second)
    error = max(a.error, b.error)
    if error * 10**AGREE <= scale:
        near = apart * 10**AGREE <= scale
        return None if near and error * 10**VISIBLE >= 1 else bool(near)
    if apart > error:
        return False
    return True if error * 10**TINY < 1 else None


@lru_cache(maxsize=4096)
def constant(node: Node) -> Valued | None:
    """The real or complex value of a tree without variables; None where it has none."""
    try:
        return at(node, {}, real=not has_constant(node, "i")) or at(node, {}, real=False)
    except Unreadable:
        return None


def equal_nodes(a: Node, b: Node) -> bool | None:
    """Whether two trees are the same value; None when that cannot be told. Bounded in time and memory."""
    if a == b:
        return True
    try:
        names = tuple(sorted(variables(a) | variables(b)))
        if len(names) > 24:
            return None
        if not names:
            return _equal_constants(a, b)
        real = not (has_constant(a, "i") or has_constant(b, "i"))
        found = _agree_at_points(a, b, names, real=real)
        return _agree_at_points(a, b, names, real=False) if found is None and real else found
    except Unreadable:
        return None
    except TooBig:
        return None


def _equal_constants(a: Node, b: Node) -> bool | None:
    first, second = _or_infinite(a), _or_infinite(b)
    if first is None or second is None:
        return None
    if isinstance(first, int) or isinstance(second, int):
        return None if first == second == _TOWER else first == second
    found = agree(first, second)
    # Beyond the caps whole numbers are no longer exact, and a difference of one would not be seen.
    return None if found and (first.cut or second.cut) else found


_TOWER = 2


def _or_infinite(node: Node) -> Valued | int | None:
    """A value, or 1, -1 for infinities, or `_TOWER` for a power too big for any: it equals no value."""
    bare = node.args[0] if node.op == "neg" else node
    if bare.op == "const" and bare.name == "infty":
        return -1 if node.op == "neg" else 1
    try:
        return constant(node)
    except TooBig:
        return _TOWER if bare.op in ("pow", "fact") else None


def _agree_at_points(a: Node, b: Node, names: tuple[str, ...], *, real: bool) -> bool | None:
    agreed = 0
    points, enough = rows(names, kinds(a) | kinds(b))
    if ("steps" in kinds(a)) != ("steps" in kinds(b)) and REAL & set(names):  # x is no whole number: floor(x) is not x
        points, enough = [*smooth(names)[:3], *points], enough + 3
    absolute = ("branches" in kinds(a)) != ("branches" in kinds(b))
    for point in points:
        try:
            first, second = at(a, point, real=real), at(b, point, real=real)
        except TooBig:
            continue
        if first is None or second is None:
            if real and absolute and first is not second and _inside_bars(a if second is None else b):
                return False  # ln|x| where ln x is not
            continue
        same = agree(first, second)
        if same is False:
            return False
        agreed += same is True
        if agreed == enough:
            return True
    return True if agreed >= 2 else None


def _inside_bars(node: Node) -> bool:
    return node.op == "abs" or any(_inside_bars(a) for a in node.args)


def proportional(a: Node, b: Node, *, positive: bool = False) -> bool | None:
    """Whether a = c·b for one constant c other than zero (above zero if `positive`); None when it cannot be told."""
    names = tuple(sorted(variables(a) | variables(b)))
    if not names or len(names) > 24:
        return None
    real = not (has_constant(a, "i") or has_constant(b, "i"))
    first: Valued | None = None
    agreed = 0
    try:
        for point in smooth(names):
            above, below = at(a, point, real=real), at(b, point, real=real)
            if above is None or below is None:
                continue
            if _lost(above) or _lost(below):
                if _lost(above) != _lost(below):
                    return False
                continue
            ratio = Valued(_quotient(above.value, below.value))
            if positive and not (is_real(ratio.value) and ratio.value > 0):
                return False
            first = first or ratio
            if not agree(first, ratio):
                return False
            agreed += 1
            if agreed == ENOUGH_POINTS:
                return True
    except (TooBig, Unreadable):
        return None
    return True if agreed >= 2 else None


def _lost(value: Valued) -> bool:
    """Zero, or nothing but rounding."""
    return bool(abs(approximate(value.value)) <= value.error)


def _quotient(a: Value, b: Value) -> Value:
    exact = type(a) is Fraction and type(b) is Fraction
    return a / b if exact else approximate(a) / approximate(b)


def is_real(value: Value) -> bool:
    """Whether a value has no imaginary part."""
    return type(value) is Fraction or not getattr(value, "imag", 0)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Node | None:
    try:
        return parse(tokenize(clean(text)))
    except Unreadable:
        return None


def equal_values(a: str, b: str) -> bool | None:
    """Whether two written expressions are the same value; None when one cannot be read. Never raises."""
    if len(a) > MAX_ANSWER or len(b) > MAX_ANSWER:
        return None
    first, second = _parsed(a), _parsed(b)
    return None if first is None or second is None else equal_nodes(first, second)


def number_of(text: str) -> complex | float | None:
    """The value of a written expression without variables, as a float, or complex where it is; None otherwise."""
    node = _parsed(text) if len(text) <= MAX_ANSWER else None
    if node is None or variables(node):
        return None
    try:
        found = constant(node)
        if found is None:
            return None
        return float(found.value) if is_real(found.value) else complex(found.value)
    except (TooBig, OverflowError):
        return None
