r"""Sets of real numbers: intervals, unions, inequalities in one variable, all in one normal form.

`(-\infty,2)\cup(3,\infty)`, `x<2 \text{ or } x>3` and `\{x : x<2\}\cup\{x>3\}` become the same pieces. Ends are
values, so they must be constants; an interval with letters in it is compared as it stands (`compare`).
"""

from __future__ import annotations

from fractions import Fraction

from oneshot.rewards.answers.evaluate import TooBig
from oneshot.rewards.answers.pieces import HIGHEST, LINE, LOWEST, End, Piece, compare, complement, intersection, merged
from oneshot.rewards.answers.relations import is_name
from oneshot.rewards.answers.shapes import FLIPPED, INEQUALITIES, Bracketed, Many, Relation, Sets, Shape, Value
from oneshot.rewards.answers.tree import Node, negated, number
from oneshot.rewards.answers.values import at, constant, has_constant, is_real, variables

_SLOPE_POINTS = (Fraction(0), Fraction(1), Fraction(5, 2))


class NotReals(Exception):
    """The shape is no set of reals with constant ends. Never leaves this module."""


def _spoken_of(shape: Shape) -> frozenset[str]:
    """The variables that the relations of a shape are about."""
    if isinstance(shape, Relation):
        sides = [s.node for s in shape.sides if isinstance(s, Value) and not _is_line(s)]
        return frozenset(name for node in sides for name in variables(node))
    parts = shape.items if isinstance(shape, Many) else shape.parts if isinstance(shape, Sets) else ()
    return frozenset(name for part in parts for name in _spoken_of(part))


def as_reals(shape: Shape) -> tuple[Piece, ...] | None:
    """The pieces of a shape in normal form, or None where it is no such set."""
    try:
        if len(_spoken_of(shape)) > 1:
            return None
        return None if len(_spoken_of(shape)) > 1 else merged(_pieces(shape))
    except (NotReals, TooBig):
        return None


def is_set_of_reals(shape: Shape) -> bool:
    """Whether the notation can only mean a set of reals, so that a pair like `(1,2)` beside it is an interval."""
    if isinstance(shape, Sets):
        return True
    if isinstance(shape, Relation):
        return any(op in INEQUALITIES or op in ("!=", "in", "notin") for op in shape.ops)
    if isinstance(shape, Bracketed):
        return shape.opening + shape.closing in ("[)", "(]") or any(_infinity(i) for i in shape.items)
    if isinstance(shape, Value):
        return _is_line(shape)
    return isinstance(shape, Many) and any(is_set_of_reals(i) for i in shape.items)


def _is_line(shape: Shape) -> bool:
    return isinstance(shape, Value) and shape.node.op == "var" and shape.node.name in ("mathbb:R", "mathbf:R")


def _infinity(shape: Shape) -> int:
    if not isinstance(shape, Value):
        return 0
    node, sign = shape.node, 1
    while node.op == "neg":
        node, sign = node.args[0], -sign
    return sign if node.op == "const" and node.name == "infty" else 0


def _end(shape: Shape, closed: bool) -> End:
    infinite = _infinity(shape)
    if infinite:
        if closed:
            raise NotReals
        return End(infinite, None, False)
    if not isinstance(shape, Value) or shape.percent or variables(shape.node) or has_constant(shape.node, "i"):
        raise NotReals
    value = constant(shape.node)
    if value is None or not is_real(value.value):
        raise NotReals
    return End(0, value, closed)


def _pieces(shape: Shape) -> list[Piece]:
    if isinstance(shape, Bracketed):
        if len(shape.items) != 2:
            raise NotReals
        low, high = _end(shape.items[0], shape.opening == "["), _end(shape.items[1], shape.closing == "]")
        order = compare(low, high)
        if order > 0 or (order == 0 and not (low.closed and high.closed)):
            raise NotReals  # a pair of coordinates
        return [Piece(low, high)]
    if isinstance(shape, Relation):
        return _solved(shape)
    if isinstance(shape, Sets):
        return _joined(shape)
    if isinstance(shape, Many):
        return _several(shape)
    if _is_line(shape):
        return list(LINE)
    if isinstance(shape, Value):
        end = _end(shape, True)
        if end.infinite:
            raise NotReals
        return [Piece(end, end)]
    raise NotReals


def _several(shape: Many) -> list[Piece]:
    parts = [_pieces(i) for i in shape.items]
    if shape.kind in ("set", "or", "pm") or not any(isinstance(i, Relation) for i in shape.items):
        return [p for part in parts for p in part]
    both = list(LINE)
    for part in parts:
        both = intersection(both, part)
    # `x < 1, x > 3` lists alternatives: together they would say nothing.
    return both if both or shape.kind == "and" else [p for part in parts for p in part]


def _joined(shape: Sets) -> list[Piece]:
    first, *others = [_pieces(part) for part in shape.parts]
    for other in others:
        if shape.op == "cup":
            first = [*first, *other]
        else:
            first = intersection(first, complement(other) if shape.op == "setminus" else other)
    return first


def _solved(relation: Relation) -> list[Piece]:
    r"""The reals that satisfy an inequality or a chain of them, linear in one variable; `x \in S` is S."""
    if relation.ops in (("in",), ("notin",)):
        if not is_name(relation.sides[0]):
            raise NotReals
        inner = _pieces(relation.sides[1])
        return inner if relation.ops == ("in",) else complement(inner)
    names = {name for side in relation.sides for name in _names(side)}
    if len(names) != 1:
        raise NotReals
    name = names.pop()
    pieces = list(LINE)
    for op, left, right in zip(relation.ops, relation.sides, relation.sides[1:], strict=False):
        pieces = list(merged(intersection(pieces, _half_line(op, left, right, name))))
    return pieces


def _names(shape: Shape) -> frozenset[str]:
    if not isinstance(shape, Value) or shape.percent:
        raise NotReals
    return variables(shape.node)


def _half_line(op: str, left: Shape, right: Shape, name: str) -> list[Piece]:
    assert isinstance(left, Value) and isinstance(right, Value)
    for near, far, direction in ((left, right, op), (right, left, FLIPPED.get(op, op))):
        if near.node.op == "var" and near.node.name == name:
            return _beyond(direction, _end(far, direction in ("<=", ">=", "=")))
        if near.node.op == "abs" and not variables(far.node) and direction in FLIPPED:
            return _around(direction, Value(near.node.args[0]), far, name)
    difference = Node("add", (left.node, negated(right.node)))
    values = [at(difference, {name: p}) for p in _SLOPE_POINTS]
    exact = [v.value for v in values if v is not None and type(v.value) is Fraction]
    if len(exact) != len(_SLOPE_POINTS):
        raise NotReals
    slope = exact[1] - exact[0]
    if slope == 0 or exact[2] != exact[0] + _SLOPE_POINTS[2] * slope:
        raise NotReals
    direction = op if slope > 0 else FLIPPED.get(op, op)
    return _beyond(direction, _end(Value(number(-exact[0] / slope)), op in ("<=", ">=", "=")))


def _around(op: str, inner: Value, far: Value, name: str) -> list[Piece]:
    """`|g| < c` is `-c < g` and `g < c`; `|g| > c` is `g < -c` or `g > c`."""
    while inner.node.op == "abs":
        inner = Value(inner.node.args[0])
    below = _half_line(FLIPPED[op], inner, Value(negated(far.node)), name)
    above = _half_line(op, inner, far, name)
    return intersection(below, above) if op in ("<", "<=") else [*below, *above]


def _beyond(op: str, end: End) -> list[Piece]:
    if op in ("<", "<="):
        return [Piece(LOWEST, end)]
    if op in (">", ">="):
        return [Piece(end, HIGHEST)]
    point = end._replace(closed=True)
    if end.infinite:
        raise NotReals
    if op == "=":
        return [Piece(point, point)]
    if op == "!=":
        return complement([Piece(point, point)])
    raise NotReals
