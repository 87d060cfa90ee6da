r"""Equations, inequalities and labels: `x = 5` is 5, `y = 2x+3` is `2x+3`, `3x - y + 3 = 0` is proportional to it."""

from __future__ import annotations

from collections.abc import Callable

from oneshot.rewards.answers.shapes import FLIPPED, INEQUALITIES, Bracketed, Many, Matrix, Relation, Shape, Value, Words
from oneshot.rewards.answers.tree import Node, negated
from oneshot.rewards.answers.units import words_of
from oneshot.rewards.answers.values import proportional, variables
from oneshot.rewards.answers.wording import NEVER_IN_LABELS

Equal = Callable[[Shape, Shape], bool | None]
"""Whether two shapes are the same; handed down, since the sides of a relation are shapes too."""


def every(verdicts: list[bool | None]) -> bool | None:
    """False if any is, else None if any is, else True."""
    if False in verdicts:
        return False
    return None if None in verdicts else True


def unlabelled(shape: Shape, equal: Equal) -> Shape:
    r"""`x = 5` as 5, `f(x) = x^2` as x^2, `\angle ABC = 90` as 90, `x \in S` as S; other shapes as they are."""
    if isinstance(shape, Many) and any(isinstance(i, Relation) for i in shape.items):
        return shape
    if not isinstance(shape, Relation) or any(op not in ("=", "in", "approx") for op in shape.ops):
        return shape
    if shape.ops == ("in",):
        return shape.sides[1] if is_name(shape.sides[0]) else shape
    if len(shape.ops) > 1 or shape.ops == ("approx",):
        return _chain(shape, equal)
    left, right = shape.sides
    if is_label(left, right) or (not _lettered(left) and not _lettered(right) and equal(left, right)):
        return right
    return left if is_label(right, left) and isinstance(right, Value) and right.node.op == "var" else shape


def _lettered(shape: Shape) -> bool:
    return not isinstance(shape, Value) or bool(variables(shape.node))


def _chain(shape: Relation, equal: Equal) -> Shape:
    """`x = 2+3 = 5` and `10/4 = 2.5` state one value several times; behind an approximation stands no answer."""
    sides = list(shape.sides)
    if is_label(sides[0], sides[1]):
        sides = sides[1:]
    for k, op in enumerate(shape.ops[len(shape.sides) - len(sides) :]):
        if op == "approx":
            sides = sides[: k + 1]
            break
    if all(equal(sides[0], other) for other in sides[1:]):
        return sides[0]
    return shape


def is_label(left: Shape, right: Shape) -> bool:
    """Whether the left side of an equation only names what is on the right."""
    if isinstance(left, Words):
        return not NEVER_IN_LABELS & set(words_of(left.text))
    if isinstance(left, Bracketed):
        return is_name(left) and isinstance(right, (Bracketed, Many, Words)) and _as_long(left, right)
    if not isinstance(left, Value):
        return False
    node = left.node
    inside = variables(right.node) if isinstance(right, Value) else frozenset()
    if node.op == "var":
        return node.name not in inside
    if node.op == "pow" and node.args[0].op == "var" and isinstance(right, Matrix):
        return True
    if node.op == "abs":  # |AB| = 5
        return node.args[0].op == "mul" and is_label(Value(node.args[0]), right)
    if node.op == "const":
        return node.name in ("e", "i") and not inside
    parts = node.args if node.op == "mul" else ()
    if not parts or any(p.op != "var" for p in parts):
        return False
    # The length of a segment, AB = 5.
    return len(parts) == 2 and all(p.name[:1].isupper() for p in parts) and not inside


def is_name(shape: Shape) -> bool:
    """A variable, or a tuple of variables in alphabetical order."""
    if isinstance(shape, Bracketed):
        names = [i.node.name for i in shape.items if isinstance(i, Value) and i.node.op == "var"]
        return len(names) == len(shape.items) and names == sorted(names)
    return isinstance(shape, Value) and shape.node.op == "var"


def _as_long(left: Bracketed, right: Shape) -> bool:
    if isinstance(right, Bracketed):
        return len(right.items) == len(left.items)
    return isinstance(right, Many) and all(_as_long(left, item) for item in right.items)


def same_relations(a: Shape, b: Shape, equal: Equal) -> bool | None:
    """Whether two shapes are the same of which one at least is a relation; None where that cannot be told."""
    first, second = unlabelled(a, equal), unlabelled(b, equal)
    if not (isinstance(a, Relation) and isinstance(b, Relation)):
        if isinstance(first, Relation) or isinstance(second, Relation):
            relation = first if isinstance(first, Relation) else second
            return None if isinstance(relation, Relation) and len(relation.ops) > 1 else False
        return equal(first, second)
    if first is not a and second is not b and a.sides[0] == b.sides[0]:
        return equal(first, second)
    if len(a.ops) > 1 or len(b.ops) > 1:
        return _chains(a, b, equal)
    if first is not a and second is not b and _defines(a) and _defines(b) and equal(first, second):
        return True
    return _equations(a, b, equal)


def _defines(relation: Relation) -> bool:
    """`y = ...` or `f(x) = ...` with variables on the right: the name of the function does not matter."""
    right = relation.sides[1]
    return relation.ops == ("=",) and isinstance(right, Value) and bool(variables(right.node))


def _chains(a: Relation, b: Relation, equal: Equal) -> bool | None:
    """Chains of inequalities side by side, also read from the other end."""
    turned = Relation(tuple(FLIPPED.get(op, op) for op in reversed(b.ops)), tuple(reversed(b.sides)))
    for other in (b, turned):
        if a.ops == other.ops:
            found = every([equal(x, y) for x, y in zip(a.sides, other.sides, strict=True)])
            if found:
                return True
    return None


def _equations(a: Relation, b: Relation, equal: Equal) -> bool | None:
    """Equations up to a factor; inequalities up to a positive factor, both read as `... > 0`."""
    first, second = _difference(a), _difference(b)
    if first is None or second is None:
        if a.ops == b.ops:
            turned = reversed(b.sides) if a.ops == ("=",) else b.sides
            pairs = [zip(a.sides, sides, strict=True) for sides in (b.sides, turned)]
            return True if any(every([equal(x, y) for x, y in pair]) for pair in pairs) else None
        return None
    if first[1] != second[1]:
        return False
    return proportional(first[0], second[0], positive=first[1] in INEQUALITIES)


def _difference(relation: Relation) -> tuple[Node, str] | None:
    left, right = relation.sides
    if not (isinstance(left, Value) and isinstance(right, Value)) or left.percent or right.percent:
        return None
    op = relation.ops[0]
    if op in ("<", "<="):
        return Node("add", (right.node, negated(left.node))), FLIPPED[op]
    return Node("add", (left.node, negated(right.node))), op
