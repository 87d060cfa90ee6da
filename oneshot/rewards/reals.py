r"""Sets of real numbers: intervals, unions, inequalities in one variable, all in one normal form.

`(-\infty,2)\cup(3,\infty)`, `x<2 \text{ or } x>3` and `\{x : x<2\}\cup\{x>3\}` become the same pieces. Ends are
values, so they must be constants; an interval with letters in it is compared as it stands (`compare`).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from oneshot.rewards.evaluate import TooBig, approximate
from oneshot.rewards.expressions import Node, negated, number
from oneshot.rewards.structure import INEQUALITIES, Bracketed, Many, Relation, Sets, Shape, Value
from oneshot.rewards.values import Valued, agree, at, constant, has_constant, variables

_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_SLOPE_POINTS = (Fraction(0), Fraction(1), Fraction(5, 2))


class End(NamedTuple):
    """One end of a piece. `infinite` is -1 or 1 for an infinity, else 0."""

    infinite: int
    value: Valued | None
    closed: bool


class Piece(NamedTuple):
    """All reals between two ends; one point where they are the same closed value."""

    low: End
    high: End


_LOWEST, _HIGHEST = End(-1, None, False), End(1, None, False)
LINE = (Piece(_LOWEST, _HIGHEST),)


class NotReals(Exception):
    """The shape is no set of reals with constant ends. Never leaves this module."""


def as_reals(shape: Shape) -> tuple[Piece, ...] | None:
    """The pieces of a shape in normal form, or None where it is no such set."""
    try:
        return _merged(_pieces(shape))
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


def same_reals(a: Sequence[Piece], b: Sequence[Piece]) -> bool:
    """Whether two sets in normal form are the same."""
    return len(a) == len(b) and all(
        _same_end(p.low, q.low) and _same_end(p.high, q.high) for p, q in zip(a, b, strict=True)
    )


def _same_end(a: End, b: End) -> bool:
    if a.infinite or b.infinite:
        return a.infinite == b.infinite
    return a.closed == b.closed and _compare(a, b) == 0


def _compare(a: End, b: End) -> int:
    """Order of the two places, whatever the brackets."""
    if a.infinite or b.infinite:
        return (a.infinite > b.infinite) - (a.infinite < b.infinite)
    assert a.value is not None and b.value is not None
    if agree(a.value, b.value):
        return 0
    return 1 if approximate(a.value.value) > approximate(b.value.value) else -1


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
        return End(infinite, None, False)
    if not isinstance(shape, Value) or shape.percent or variables(shape.node) or has_constant(shape.node, "i"):
        raise NotReals
    value = constant(shape.node)
    if value is None or getattr(value.value, "imag", 0):
        raise NotReals
    return End(0, value, closed)


def _pieces(shape: Shape) -> list[Piece]:
    if isinstance(shape, Bracketed):
        if len(shape.items) != 2:
            raise NotReals
        low, high = _end(shape.items[0], shape.opening == "["), _end(shape.items[1], shape.closing == "]")
        if _compare(low, high) > 0:
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
        both = _intersection(both, part)
    # `x < 1, x > 3` lists alternatives: together they would say nothing.
    return both or [p for part in parts for p in part]


def _joined(shape: Sets) -> list[Piece]:
    first, *others = [_pieces(part) for part in shape.parts]
    for other in others:
        if shape.op == "cup":
            first = [*first, *other]
        else:
            first = _intersection(first, _complement(other) if shape.op == "setminus" else other)
    return first


def _solved(relation: Relation) -> list[Piece]:
    """The reals that satisfy an inequality or a chain of them, linear in one variable; `x \\in S` is S."""
    if relation.ops == ("in",):
        return _pieces(relation.sides[1])
    if relation.ops == ("notin",):
        return _complement(_pieces(relation.sides[1]))
    names = {name for side in relation.sides for name in _names(side)}
    if len(names) != 1:
        raise NotReals
    name = names.pop()
    pieces = list(LINE)
    for op, left, right in zip(relation.ops, relation.sides, relation.sides[1:], strict=False):
        pieces = _intersection(pieces, _half_line(op, left, right, name))
    return pieces


def _names(shape: Shape) -> frozenset[str]:
    if not isinstance(shape, Value) or shape.percent:
        raise NotReals
    return variables(shape.node)


def _half_line(op: str, left: Shape, right: Shape, name: str) -> list[Piece]:
    assert isinstance(left, Value) and isinstance(right, Value)
    for near, far, direction in ((left, right, op), (right, left, _FLIPPED.get(op, op))):
        if near.node.op == "var" and near.node.name == name:
            return _beyond(direction, _end(far, direction in ("<=", ">=", "=")))
        if near.node.op == "abs" and not variables(far.node) and direction in _FLIPPED:
            return _around(direction, Value(near.node.args[0]), far, name)
    difference = Node("add", (left.node, negated(right.node)))
    values = [at(difference, {name: p}) for p in _SLOPE_POINTS]
    exact = [v.value for v in values if v is not None and type(v.value) is Fraction]
    if len(exact) != len(_SLOPE_POINTS):
        raise NotReals
    slope = exact[1] - exact[0]
    if slope == 0 or exact[2] != exact[0] + _SLOPE_POINTS[2] * slope:
        raise NotReals
    direction = op if slope > 0 else _FLIPPED.get(op, op)
    return _beyond(direction, _end(Value(number(-exact[0] / slope)), op in ("<=", ">=", "=")))


def _around(op: str, inner: Value, far: Value, name: str) -> list[Piece]:
    """`|g| < c` is `-c < g` and `g < c`; `|g| > c` is `g < -c` or `g > c`."""
    below = _half_line(_FLIPPED[op], inner, Value(negated(far.node)), name)
    above = _half_line(op, inner, far, name)
    return _intersection(below, above) if op in ("<", "<=") else [*below, *above]


def _beyond(op: str, end: End) -> list[Piece]:
    if op in ("<", "<="):
        return [Piece(_LOWEST, end)]
    if op in (">", ">="):
        return [Piece(end, _HIGHEST)]
    point = end._replace(closed=True)
    if end.infinite:
        raise NotReals
    if op == "=":
        return [Piece(point, point)]
    if op == "!=":
        return _complement([Piece(point, point)])
    raise NotReals


def _complement(pieces: Sequence[Piece]) -> list[Piece]:
    out: list[Piece] = []
    low = _LOWEST
    for piece in _merged(pieces):
        if not (piece.low.infinite and low.infinite):
            out.append(Piece(low, piece.low._replace(closed=not piece.low.closed)))
        low = piece.high._replace(closed=not piece.high.closed)
    if not low.infinite or not out and not pieces:
        out.append(Piece(low, _HIGHEST))
    return [p for p in out if _holds(p)]


def _intersection(a: Sequence[Piece], b: Sequence[Piece]) -> list[Piece]:
    out = []
    for p in a:
        for q in b:
            order = _compare(p.low, q.low)
            low = p.low if order > 0 or (order == 0 and not p.low.closed) else q.low
            order = _compare(p.high, q.high)
            high = p.high if order < 0 or (order == 0 and not p.high.closed) else q.high
            out.append(Piece(low, high))
    return [p for p in out if _holds(p)]


def _holds(piece: Piece) -> bool:
    """Whether a piece has any number in it."""
    order = _compare(piece.low, piece.high)
    return order < 0 or (order == 0 and piece.low.closed and piece.high.closed)


def _merged(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Sorted, and pieces that overlap or touch made one."""
    import functools

    def order(p: Piece, q: Piece) -> int:
        return _compare(p.low, q.low) or (q.low.closed - p.low.closed)

    out: list[Piece] = []
    for piece in sorted((p for p in pieces if _holds(p)), key=functools.cmp_to_key(order)):
        if out:
            gap = _compare(piece.low, out[-1].high)
            if gap < 0 or (gap == 0 and (piece.low.closed or out[-1].high.closed)):
                if (_compare(piece.high, out[-1].high) or piece.high.closed - out[-1].high.closed) > 0:
                    out[-1] = Piece(out[-1].low, piece.high)
                continue
        out.append(piece)
    return tuple(out)
