"""Decimals as they were written: how many digits stand for an exact value."""

from __future__ import annotations

from fractions import Fraction

from oneshot.rewards.answers.evaluate import approximate
from oneshot.rewards.answers.numbers import ENOUGH_DIGITS, cut_or_rounded
from oneshot.rewards.answers.tree import Node, number
from oneshot.rewards.answers.values import Valued, is_real


def numeral_of(node: Node) -> Node | None:
    r"""The decimal a tree writes, `2.5` or `2.5\times 10^{3}`, as one leaf with its places; None for anything else."""
    if node.op == "num":
        return node if node.places >= 0 else None
    if node.op == "mul" and len(node.args) == 2 and node.args[1].op == "pow":
        head, (base, exponent) = node.args[0], node.args[1].args
        power = exponent.value
        if head.op == "num" and base == number(10)._replace(digits=2) and exponent.op == "num" and abs(power) < 400:
            places = max(head.places, 0) - int(power)
            return head._replace(value=head.value * Fraction(10) ** int(power), places=max(places, 0))
    return None


def hundredth(node: Node) -> Node:
    """A hundredth of a tree; of a written decimal, a decimal with two places more."""
    decimal = numeral_of(node)
    if decimal is None:
        return Node("mul", (node, number(Fraction(1, 100))))
    return decimal._replace(value=decimal.value / 100, places=decimal.places + 2)


def stands_for(decimal: Node, exact: Valued) -> bool:
    """Whether a written decimal of enough digits is the exact value, cut or rounded to its places.

    A whole number is never the rounding of anything, and none is rounded to: 0.9999999 is not 1.
    """
    places, digits, written = decimal.places, decimal.digits, decimal.value
    if places < 1 or digits < ENOUGH_DIGITS or not is_real(exact.value):
        return False
    if type(exact.value) is Fraction:
        if exact.value.denominator == 1:
            return exact.value == written
        value, unit = exact.value, Fraction(1, 10**places)
    else:
        value, written, unit = exact.value.real, approximate(written), approximate(Fraction(1, 10**places))
    return cut_or_rounded(written, value, unit)
