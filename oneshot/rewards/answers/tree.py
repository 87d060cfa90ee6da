"""The tree of an expression. Built by `grammar`, evaluated by `evaluate`; nothing here computes."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple


class Node(NamedTuple):
    """An operation and what it works on; leaves have a value or a name."""

    op: str
    """num, var, const, add, mul, div, pow, neg, root, fact, deg, or the name of a function."""
    args: tuple[Node, ...] = ()
    value: Fraction = Fraction(0)
    name: str = ""
    places: int = -1
    """Of a written decimal: digits after the point; -1 otherwise."""
    digits: int = 0
    """Of a written number: significant digits."""


def number(value: Fraction | int) -> Node:
    """A leaf with an exact value."""
    return Node("num", value=Fraction(value))


def negated(node: Node) -> Node:
    """Minus a tree; a number stays one leaf."""
    return node._replace(value=-node.value) if node.op == "num" else Node("neg", (node,))


def times(a: Node, b: Node) -> Node:
    """A product; one of several factors is flat."""
    return Node("mul", (*a.args, b)) if a.op == "mul" else Node("mul", (a, b))


def radians(node: Node) -> Node:
    """Degrees inside a trigonometric function, times pi/180."""
    if node.op == "deg":
        return Node("div", (Node("mul", (node.args[0], Node("const", name="pi"))), number(180)))
    return node._replace(args=tuple(radians(a) for a in node.args)) if node.args else node
