r"""What kind of thing an answer is: a value, a list, a tuple, an interval, a relation, a matrix, words.

Bracket-aware: separators and relations count at the top level only. A leaf goes to the expression parser.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, Union

from oneshot.rewards.expressions import Node, number, parse
from oneshot.rewards.text import clean, compact
from oneshot.rewards.tokens import Token, Unreadable, tokenize
from oneshot.rewards.units import is_unit_text, multiplier, without_letters, without_unit, words_of

MAX_NESTED = 12
MAX_ITEMS = 64

RELATIONS = frozenset(["=", "<", ">", "<=", ">=", "!=", "in", "notin", "approx"])
INEQUALITIES = frozenset(["<", ">", "<=", ">="])


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
    """`sides[0] ops[0] sides[1] ...`"""

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


@lru_cache(maxsize=4096)
def read(text: str) -> Shape:
    """What an answer is. Never raises: what cannot be read is `Words`."""
    cleaned = clean(text)
    try:
        return _several(tokenize(cleaned), 0)
    except Unreadable:
        return Words(compact(text), plain=False)


def _several(tokens: Sequence[Token], depth: int) -> Shape:
    if depth > MAX_NESTED:
        raise Unreadable("nested too deep")
    tokens = _unwrapped(_without_intro(tokens))
    if not tokens:
        raise Unreadable("nothing")
    if all(t.kind in ("text", "word") or t.text in ("-", "'", ".", "!") for t in tokens) and _is_text(tokens):
        return Words(" ".join(w for t in tokens for w in words_of(t.text)), plain=True)
    parts, kind = _split_list(tokens)
    if len(parts) == 1:
        return _single(parts[0], depth)
    if len(parts) > MAX_ITEMS:
        raise Unreadable("too many items")
    return _listed(tuple(_single(part, depth) for part in parts), kind)


def _is_text(tokens: Sequence[Token]) -> bool:
    """Words, and not the product of letters that `ab` is."""
    return any(t.kind == "text" or len(t.text) > 3 for t in tokens) or len(tokens) > 1 or tokens[0].text.lower() in (
        "yes", "no", "odd", "one", "two", "six", "ten", "red", "sun", "mon", "tue", "wed", "thu", "fri", "sat",
    )  # fmt: skip


def _listed(items: tuple[Shape, ...], kind: str) -> Shape:
    """A list; `x = 1, 2` names every item, and `1 \\pm 2, 3` has three items."""
    flat: list[Shape] = []
    for item in items:
        flat.extend(item.items if isinstance(item, Many) and item.kind == "pm" else [item])
    first = flat[0]
    if isinstance(first, Relation) and first.ops == ("=",) and not any(isinstance(i, Relation) for i in flat[1:]):
        flat[0] = first.sides[1]
    return Many(tuple(flat), kind)


def _without_intro(tokens: Sequence[Token]) -> Sequence[Token]:
    r"""Without `\text{The answer is }`, `\text{Answer: }`, `\therefore` at the start."""
    while len(tokens) > 1 and (tokens[0].text in ("therefore", "implies") or _is_intro(tokens[0])):
        tokens = tokens[1:]
    return tokens


def _is_intro(token: Token) -> bool:
    words = words_of(token.text) if token.kind == "text" else []
    return bool(words) and set(words) <= {"the", "final", "answer", "is", "so", "thus", "value", "equals", "result"}


def _unwrapped(tokens: Sequence[Token]) -> Sequence[Token]:
    """Without braces around all of it."""
    while len(tokens) > 1 and tokens[0].text == "{" and _closing(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _closing(tokens: Sequence[Token], start: int) -> int:
    """Where the bracket opened at `start` is closed; kinds may differ, as in `[1,4)`."""
    level = 0
    for i in range(start, len(tokens)):
        level += (tokens[i].kind == "open") - (tokens[i].kind == "close")
        if level == 0:
            return i
    raise Unreadable("a bracket is not closed")


def _top_level(tokens: Sequence[Token]) -> list[int]:
    """The places of the tokens outside all brackets."""
    level, places = 0, []
    for i, token in enumerate(tokens):
        level -= token.kind == "close"
        if level < 0:
            raise Unreadable("a bracket is not opened")
        if level == 0 and token.kind not in ("open", "close"):
            places.append(i)
        level += token.kind == "open"
    if level:
        raise Unreadable("a bracket is not closed")
    return places


def _separator(token: Token) -> str:
    if token.text in (",", ";", "and", "or") and token.kind == "op":
        return token.text
    if token.kind in ("text", "word"):
        words = words_of(token.text)
        if words in (["and"], ["or"]):
            return words[0]
        if token.kind == "text" and token.text.strip() in (",", ";"):
            return ","
    return ""


def _split_list(tokens: Sequence[Token]) -> tuple[list[Sequence[Token]], str]:
    kind, start = "list", 0
    parts: list[Sequence[Token]] = []
    joined = False  # `2, and 3`: two separators in a row are one
    for place in _top_level(tokens):
        mark = _separator(tokens[place])
        if not mark:
            continue
        kind = mark if mark in ("and", "or") else kind
        if place == start and parts and not joined:
            joined = True
        else:
            parts.append(tokens[start:place])
            joined = False
        start = place + 1
    if start < len(tokens):
        parts.append(tokens[start:])
    if any(not part for part in parts):
        raise Unreadable("an empty item")
    return parts, kind


def _single(tokens: Sequence[Token], depth: int) -> Shape:
    tokens = _unwrapped(_without_intro(tokens))
    if any(t.text in ("pm", "mp") and t.kind == "op" for t in tokens):
        braces = tokens[0].text == "\\{" and _closing(tokens, 0) == len(tokens) - 1
        return _set(tokens[1:-1], depth) if braces else _plus_and_minus(tokens, depth)
    places = _top_level(tokens)
    related = [i for i in places if tokens[i].kind == "op" and tokens[i].text in RELATIONS]
    if related:
        return _relation(tokens, related, depth)
    joined = [i for i in places if tokens[i].text in ("cup", "cap", "setminus")]
    if joined:
        ops = {tokens[i].text for i in joined}
        if len(ops) > 1:
            raise Unreadable("several set operations")
        return Sets(ops.pop(), tuple(_several(p, depth + 1) for p in _cut(tokens, joined)))
    ratio = [i for i in places if tokens[i].text == ":"]
    if ratio:
        if "".join(t.text for t in tokens[-4:]).lower().replace(".", "").endswith(("am", "pm")):
            raise Unreadable("a time of day")
        return Ratio(tuple(_value(p).node for p in _cut(tokens, ratio)))
    return _bracketed(tokens, depth) or _matrix(tokens, depth) or _leaf(tokens)


def _cut(tokens: Sequence[Token], places: Sequence[int]) -> list[Sequence[Token]]:
    bounds = [-1, *places, len(tokens)]
    parts = [tokens[a + 1 : b] for a, b in zip(bounds, bounds[1:], strict=False)]
    if any(not part for part in parts):
        raise Unreadable("an empty side")
    return parts


def _plus_and_minus(tokens: Sequence[Token], depth: int) -> Shape:
    def signs(upper: str, lower: str) -> Shape:
        swap = {"pm": upper, "mp": lower}
        return _single([t._replace(text=swap[t.text]) if t.text in swap else t for t in tokens], depth + 1)

    first, second = signs("+", "-"), signs("-", "+")
    return Many((first, second), "pm")


def _relation(tokens: Sequence[Token], places: Sequence[int], depth: int) -> Shape:
    sides = tuple(_side(part, depth) for part in _cut(tokens, places))
    return Relation(tuple(tokens[i].text for i in places), sides)


def _side(tokens: Sequence[Token], depth: int) -> Shape:
    r"""A side of a relation; `f(x)`, `\angle ABC`, `\text{Area}` are labels, kept as words where they are no value."""
    try:
        return _several(tokens, depth + 1)
    except Unreadable:
        label = all(t.kind in ("name", "text", "word", "command", "op", "open", "close") for t in tokens)
        if label and tokens[0].text in ("angle", "triangle") or tokens[0].kind in ("text", "word"):
            return Words(" ".join(t.text for t in tokens), plain=True)
        raise


def _bracketed(tokens: Sequence[Token], depth: int) -> Shape | None:
    first, last = tokens[0], tokens[-1]
    if first.kind != "open" or first.text.startswith("matrix") or _closing(tokens, 0) != len(tokens) - 1:
        return None
    inner = tokens[1:-1]
    if first.text == "\\{":
        return _set(inner, depth)
    if first.text not in ("(", "[", "langle") or not inner:
        return None
    parts, kind = _split_list(inner)
    if len(parts) == 1 and first.text + last.text in ("()", "[]"):
        found = _several(inner, depth + 1)
        return found if not isinstance(found, Value) else None
    if kind != "list":
        raise Unreadable("words inside a tuple")
    items = tuple(_single(p, depth + 1) for p in parts)
    if first.text == "langle":
        return Bracketed("(", items, ")")
    return Bracketed(first.text, items, last.text)


def _set(inner: Sequence[Token], depth: int) -> Shape:
    if not inner:
        return Many((), "set")
    bars = [i for i in _top_level(inner) if inner[i].text in ("|", ":")]
    if len(bars) == 1 and bars[0] > 0:
        return _several(inner[bars[0] + 1 :], depth + 1)  # {x | condition}
    found = _several(inner, depth + 1)
    return Many(found.items if isinstance(found, Many) else (found,), "set")


def _matrix(tokens: Sequence[Token], depth: int) -> Shape | None:
    starts = [i for i, t in enumerate(tokens) if t.kind == "open" and t.text.startswith("matrix")]
    if not starts:
        return None
    start = starts[0]
    end = _closing(tokens, start)
    factor = parse(_times_dropped(tokens[:start])) if start else None
    rest = tokens[end + 1 :]
    if len(starts) > 1 or "cases" in tokens[start].text:
        raise Unreadable("not one matrix")
    body = tokens[start + 1 : end]
    if tokens[start].text == "matrix:array" and body and body[0].text == "{":
        body = body[_closing(body, 0) + 1 :]
    rows = tuple(tuple(_cell(c, factor) for c in _cells(row)) for row in _rows(body) if row)
    if [t.text for t in rest] in (["^", "T"], ["^", "{", "T", "}"]):
        rows = tuple(zip(*rows, strict=True))
    elif rest:
        raise Unreadable("something behind a matrix")
    return Matrix(rows)


def _times_dropped(tokens: Sequence[Token]) -> Sequence[Token]:
    return [*tokens[:-1], Token("number", "1", Fraction(1))] if tokens[-1].text == "-" else tokens


def _rows(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    places = [i for i, t in enumerate(tokens) if t.kind == "row"]
    bounds = [-1, *places, len(tokens)]
    return [tokens[a + 1 : b] for a, b in zip(bounds, bounds[1:], strict=False)]


def _cells(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    return _cut(tokens, [i for i in _top_level(tokens) if tokens[i].text == "&"])


def _cell(tokens: Sequence[Token], factor: Node | None) -> Node:
    node = _value(tokens).node
    return node if factor is None else Node("mul", (factor, node))


def _leaf(tokens: Sequence[Token]) -> Shape:
    if tokens[0].text == "emptyset" and len(tokens) == 1:
        return Many((), "set")
    return _value(tokens)


def _value(tokens: Sequence[Token]) -> Value:
    if not tokens:
        raise Unreadable("nothing")
    tokens, factor, percent = multiplier(without_unit(tokens))
    tokens = without_unit(tokens) if factor != 1 or percent else tokens
    if len(tokens) > 1 and tokens[0].kind == "text" and is_unit_text(tokens[0].text):
        raise Unreadable("words before a value")
    bare = without_letters(tokens)
    node = parse(_repeating(tokens))
    if factor != 1:
        node = number(node.value * factor) if node.op == "num" else Node("mul", (node, number(factor)))
    return Value(node, percent, parse(bare) if bare else None)


def _repeating(tokens: Sequence[Token]) -> Sequence[Token]:
    r"""`0.1\overline{6}` and `0.\dot{3}` as one exact number; a decimal that goes on (`3.14\ldots`) as it is written."""
    out: list[Token] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        following = [t.text for t in tokens[i + 1 : i + 5]]
        if token.kind == "number" and token.places >= 0 and following[:2] in (["overline", "{"], ["dot", "{"]):
            block = following[2] if len(following) > 3 and following[3] == "}" else ""
            if not block.isdigit() or token.value is None:
                raise Unreadable("a repeating decimal")
            part = Fraction(int(block), 10**token.places * (10 ** len(block) - 1))
            out.append(Token("number", token.text, token.value + part))
            i += 5
            continue
        if token.text == "dots" and out and out[-1].places > 0:
            i += 1
            continue
        out.append(token)
        i += 1
    return out
