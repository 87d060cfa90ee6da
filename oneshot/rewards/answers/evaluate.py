"""What a tree is worth at one point: exactly as a fraction where it is one, else to 80 digits.

Nothing is expanded: what is beyond the caps of `exact` goes on in floating point, and a power whose *logarithm* is
beyond 2^90 is not computed at all. So `1/2004!` is exact, `9^{9^9}` is a floating-point number with a large exponent,
and `9^{9^{9^9}}` is `TooBig`, each in well under a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath
from mpmath.libmp.libhyper import NoConvergence

from oneshot.rewards.answers.exact import EXACT, TooLong, small
from oneshot.rewards.answers.tokens import Unreadable
from oneshot.rewards.answers.tree import Node

DIGITS = 80
"""Working precision."""
MAX_LOG = 2.0**90
"""Powers are computed while the logarithm of the result is below this."""
WORK = 4_000_000
"""Bits of exact arithmetic one evaluation may use before it goes on in floating point."""

Value = Fraction | Any
"""A fraction, or an mpf or mpc of this thread's context."""


class TooBig(ArithmeticError):
    """A magnitude whose logarithm cannot be held."""


class Undefined(ArithmeticError):
    """No (real) value at this point: a division by zero, the logarithm of a negative number."""


_THREAD = threading.local()


def context() -> Any:
    """This thread's mpmath context: its precision is changed inside mpmath's functions, so it cannot be shared."""
    found = getattr(_THREAD, "context", None)
    if found is None:
        found = _THREAD.context = mpmath.MPContext()
        found.dps = DIGITS
    return found


def approximate(value: Value) -> Any:
    """A value as an mpf or mpc."""
    return context().mpf(value.numerator) / value.denominator if type(value) is Fraction else value


class Evaluator:
    """Evaluates trees at one point."""

    def __init__(self, point: Mapping[str, Fraction], *, real: bool) -> None:
        """`real`: a value that is not real, anywhere inside, is undefined."""
        self.point = point
        self.real = real
        self.mp = context()
        self.largest = self.mp.mpf(0)
        """Magnitude of the largest term added: what a sum that should be zero is measured by."""
        self.cut = False
        """A whole number was too long and went on in floating point, where a difference of one is not seen."""
        self._work = WORK

    def __call__(self, node: Node) -> Value:
        """The value of a tree. Raises `Undefined`, `TooBig` or `Unreadable`."""
        if node.op == "num":
            return node.value
        if node.op == "var":
            return self.point[node.name]
        if node.op == "const":
            return self._constant(node.name)
        args = [self(a) for a in node.args]
        try:
            if all(type(a) is Fraction for a in args):
                exact = self._exact(node.op, args)
                if exact is not None:
                    return exact
            value = self._inexact(node.op, [approximate(a) for a in args])
        except (ZeroDivisionError, NoConvergence) as error:
            raise Undefined from error
        except (OverflowError, ValueError, TypeError) as error:
            raise Undefined from error
        if self.real and isinstance(value, self.mp.mpc):
            if value.imag != 0:
                raise Undefined("not real")
            value = value.real
        if not self.mp.isfinite(value):
            raise Undefined("not finite")
        return value

    def _constant(self, name: str) -> Value:
        if name == "pi":
            return +self.mp.pi
        if name == "e":
            return +self.mp.e
        if name == "i":
            if self.real:
                raise Undefined("not real")
            return self.mp.mpc(0, 1)
        raise Undefined(name)

    def _exact(self, op: str, args: list[Fraction]) -> Fraction | None:
        """The exact value, or None when it is irrational, too long or too much work."""
        self._work -= sum(a.numerator.bit_length() + a.denominator.bit_length() for a in args)
        function = EXACT.get(op)
        if function is None:
            return None
        try:
            if self._work < 0:
                raise TooLong
            found = function(*args)
            return None if found is None else small(found)
        except TooLong:
            self.cut = self.cut or (op != "div" and all(a.denominator == 1 for a in args))
            return None

    def _note(self, magnitude: Any) -> None:
        self.largest = max(self.largest, approximate(magnitude))

    def _inexact(self, op: str, args: list[Any]) -> Any:
        mp = self.mp
        if op == "add":
            total = mp.mpf(0)
            for term in args:
                self._note(abs(term))
                total += term
            return total
        if op == "mul":
            return mp.fprod(args)
        if op == "div":
            return args[0] / args[1]
        if op in ("neg", "deg"):
            return -args[0] if op == "neg" else args[0]
        if op == "pow":
            return self._power(*args)
        if op == "root":
            return self._root(*args)
        if op in _NAMED:
            if op in _TRIGONOMETRIC:
                if abs(args[0]) > 1e30:
                    raise TooBig
                self._note(abs(args[0]))  # where the result should be zero, the rounding of the argument is left
            value = _NAMED[op](mp, *args)
            if op in ("tan", "sec", "csc", "cot") and abs(value) > 1e40:
                raise Undefined  # a pole, missed by rounding
            return value
        raise Unreadable(op)

    def _power(self, base: Any, exponent: Any) -> Any:
        mp = self.mp
        if base == 0:
            if mp.re(exponent) <= 0:
                raise Undefined
            return mp.mpf(0)
        if abs(exponent) * (abs(mp.log(abs(base))) + 4) > MAX_LOG:
            raise TooBig
        return mp.power(base, exponent)

    def _root(self, index: Any, value: Any) -> Any:
        mp = self.mp
        odd = mp.isint(index) and int(index) % 2 == 1 if abs(index) < 1e6 else False
        if isinstance(value, mp.mpf) and value < 0 and odd:
            return -mp.power(-value, 1 / index)
        if value == 0:
            return mp.mpf(0)
        return mp.power(value, 1 / index)


def _factorial(mp: Any, n: Any) -> Any:
    if abs(n) > 1e25:
        raise TooBig
    if mp.isint(n) and n < 0:
        raise Undefined
    return mp.gamma(n + 1)


def _binomial(mp: Any, n: Any, k: Any) -> Any:
    if max(abs(n), abs(k)) > 1e25:
        raise TooBig
    for whole in (n, k, n - k):
        if mp.isint(whole) and whole < 0:
            raise Undefined
    return mp.gamma(n + 1) / (mp.gamma(k + 1) * mp.gamma(n - k + 1))


def _exponential(mp: Any, value: Any) -> Any:
    if abs(value) > MAX_LOG:
        raise TooBig
    return mp.exp(value)


def _logarithm(mp: Any, value: Any) -> Any:
    if value == 0:
        raise Undefined
    return mp.log(value)


_TRIGONOMETRIC = frozenset(["sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth"])
_NAMED: Mapping[str, Callable[..., Any]] = {
    "sin": lambda mp, a: mp.sin(a), "cos": lambda mp, a: mp.cos(a), "tan": lambda mp, a: mp.tan(a),
    "cot": lambda mp, a: mp.cot(a), "sec": lambda mp, a: mp.sec(a), "csc": lambda mp, a: mp.csc(a),
    "arcsin": lambda mp, a: mp.asin(a), "arccos": lambda mp, a: mp.acos(a), "arctan": lambda mp, a: mp.atan(a),
    "arccot": lambda mp, a: mp.pi / 2 - mp.atan(a), "sinh": lambda mp, a: mp.sinh(a),
    "cosh": lambda mp, a: mp.cosh(a), "tanh": lambda mp, a: mp.tanh(a), "coth": lambda mp, a: mp.coth(a),
    "arcsinh": lambda mp, a: mp.asinh(a), "arccosh": lambda mp, a: mp.acosh(a), "arctanh": lambda mp, a: mp.atanh(a),
    "ln": _logarithm, "exp": _exponential, "abs": lambda mp, a: abs(a), "floor": lambda mp, a: mp.floor(a),
    "ceil": lambda mp, a: mp.ceil(a), "sgn": lambda mp, a: mp.sign(a), "fact": _factorial, "binom": _binomial,
    "max": lambda mp, *a: max(a), "min": lambda mp, *a: min(a),
}  # fmt: skip
