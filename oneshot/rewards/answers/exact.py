"""Exact arithmetic on fractions, with caps on their length."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import lru_cache

MAX_BITS = 8_192
"""A fraction with more bits is not made: reducing it takes time with the square of its length."""
MAX_WHOLE_BITS = 1 << 17
"""The same for whole numbers, which need no reducing: whole numbers are compared exactly up to 39,000 digits."""


class TooLong(ArithmeticError):
    """An exact result beyond the caps; the value goes on in floating point, where it is no longer exact."""


def small(value: Fraction) -> Fraction:
    """The fraction itself. Raises `TooLong` beyond the caps."""
    top, bottom = value.numerator.bit_length(), value.denominator.bit_length()
    if top + bottom > MAX_BITS and (bottom > 1 or top > MAX_WHOLE_BITS):
        raise TooLong
    return value


def _exact_product(*args: Fraction) -> Fraction:
    return _folded(operator.mul, Fraction(1), args)


def _exact_sum(*args: Fraction) -> Fraction:
    return _folded(operator.add, Fraction(0), args)


def _folded(operation: Callable[[Fraction, Fraction], Fraction], start: Fraction, args: Iterable[Fraction]) -> Fraction:
    """One after the other, given up as soon as a partial result is too long."""
    found = start
    for value in args:
        found = small(operation(found, value))
    return found


def _exact_quotient(a: Fraction, b: Fraction) -> Fraction:
    if a.denominator == b.denominator == 1 and b:
        whole, rest = divmod(a.numerator, b.numerator)
        if not rest:
            return Fraction(whole)
    _short(a, b)
    return a / b


def _short(*args: Fraction) -> None:
    """Refuse operands whose common divisor would take too long to find."""
    if any(max(a.numerator.bit_length(), a.denominator.bit_length()) > MAX_BITS for a in args):
        raise TooLong


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator != 1:
        root = _exact_root(Fraction(exponent.denominator), base)
        return None if root is None or base < 0 else _exact_power(root, Fraction(exponent.numerator))
    size = math.log2(max(abs(base.numerator), base.denominator))
    if base == 0 and exponent <= 0:
        raise ZeroDivisionError
    if base in (0, 1):
        return base
    if abs(exponent) * size > (MAX_WHOLE_BITS if base.denominator == 1 and exponent > 0 else MAX_BITS):
        raise TooLong
    return base**exponent.numerator


def _exact_root(index: Fraction, value: Fraction) -> Fraction | None:
    n = index.numerator
    if index.denominator != 1 or not 0 < n <= 64 or (value < 0 and n % 2 == 0):
        return None
    top, bottom = _integer_root(abs(value.numerator), n), _integer_root(value.denominator, n)
    if top is None or bottom is None:
        return None
    return Fraction(-top if value < 0 else top, bottom)


def _integer_root(value: int, n: int) -> int | None:
    if n == 2:
        root = math.isqrt(value)
        return root if root * root == value else None
    low, high = 0, 1 << (value.bit_length() // n + 1)
    while low < high:
        middle = (low + high) // 2
        if middle**n < value:
            low = middle + 1
        else:
            high = middle
    return low if low**n == value else None


@lru_cache(maxsize=256)
def _exact_factorial(n: Fraction) -> Fraction | None:
    if n.denominator != 1:
        return None
    if n > 10_000:
        raise TooLong
    if n < 0:
        raise ZeroDivisionError
    return Fraction(math.factorial(n.numerator))


@lru_cache(maxsize=256)
def _exact_binomial(n: Fraction, k: Fraction) -> Fraction | None:
    whole = n.denominator == 1 and k.denominator == 1 and 0 <= k <= n
    return Fraction(math.comb(int(n), int(k))) if whole and n <= 4_000 else None


def _whole(function: Callable[..., int]) -> Callable[..., Fraction]:
    def exact(*args: Fraction) -> Fraction:
        if not args or any(a.denominator != 1 for a in args):
            raise ZeroDivisionError
        _short(*args)
        return Fraction(function(*(a.numerator for a in args)))

    return exact


EXACT: Mapping[str, Callable[..., Fraction | None]] = {
    "add": _exact_sum,
    "mul": _exact_product,
    "div": _exact_quotient,
    "neg": lambda a: -a,
    "deg": lambda a: a,
    "abs": abs,
    "pow": _exact_power,
    "root": _exact_root,
    "fact": _exact_factorial,
    "binom": _exact_binomial,
    "floor": lambda a: Fraction(math.floor(a)),
    "ceil": lambda a: Fraction(math.ceil(a)),
    "sgn": lambda a: Fraction((a > 0) - (a < 0)),
    "max": lambda *a: max(a),
    "min": lambda *a: min(a),
    "gcd": _whole(math.gcd),
    "lcm": _whole(math.lcm),
    "ln": lambda a: Fraction(0) if a == 1 else None,
    "exp": lambda a: Fraction(1) if a == 0 else None,
}
"""Operation -> its exact value, or None where it is irrational; `ZeroDivisionError` where there is none, `TooLong`."""
