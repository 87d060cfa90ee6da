"""What kinds of answers there are. Plain data."""

from __future__ import annotations

from typing import NamedTuple, Union

from oneshot.rewards.answers.tree import Node

RELATIONS = frozenset(["=", "<", ">", "<=", ">=", "!=", "in", "notin", "approx"])
INEQUALITIES = frozenset(["<", ">", "<=", ">="])
FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
"""An inequality read from the other end."""


class Value(NamedTuple):
    """An expression, whether a percent sign stood behind it, and the number alone where letters may be a unit."""

    node: Node
    percent: bool = False
    bare: Node | None = None


class Words(NamedTuple):
    """Text, or mathematics that is not read here; `plain` when it is words only."""

    text: str
    plain: bool


class Many(NamedTuple):
    """Several answers. `kind`: list (commas), set (braces), or, and; the order never counts."""

    items: tuple[Shape, ...]
    kind: str


class Bracketed(NamedTuple):
    """A tuple, or an interval where it has two items."""

    opening: str
    items: tuple[Shape, ...]
    closing: str


class Relation(NamedTuple):
    """A chain: `sides[0] ops[0] sides[1] ops[1] sides[2]`, mostly with one operator."""

    ops: tuple[str, ...]
    sides: tuple[Shape, ...]


class Sets(NamedTuple):
    """Sets joined by one operation: cup, cap or setminus."""

    op: str
    parts: tuple[Shape, ...]


class Matrix(NamedTuple):
    """Rows of values."""

    rows: tuple[tuple[Node, ...], ...]


class Ratio(NamedTuple):
    """`3:5:7`."""

    parts: tuple[Node, ...]


Shape = Union[Value, Words, Many, Bracketed, Relation, Sets, Matrix, Ratio]  # noqa: UP007 - NamedTuples refer to it
