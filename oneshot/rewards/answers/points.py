"""The fixed points at which expressions with variables are compared."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

# One row a point: the values of the first, second, ... variable in alphabetical order; signs and sizes differ by row.
_PRIMES = (7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67)
_SHAPES = (("+", 5), ("+", 97), ("-+", 6), ("+-", 89), ("+", 1), ("-", 4), ("+", 0), ("+", -1))


def points(names: tuple[str, ...]) -> Iterator[dict[str, Fraction]]:
    """The fixed points, in the order in which they are tried."""
    for k, (signs, below) in enumerate(_SHAPES):
        point = {}
        for i, name in enumerate(names):
            prime = _PRIMES[(5 * k + i) % len(_PRIMES)]
            value = Fraction(prime + 2 * i, below) if below > 0 else Fraction(prime + i - 4)
            if below < 0:
                value *= 37
            point[name] = -value if signs[i % len(signs)] == "-" else value
        yield point
