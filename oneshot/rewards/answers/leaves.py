r"""The leaves of an answer: a value with its unit taken off, and a matrix of values."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from oneshot.rewards.answers.brackets import closing, cut, top_level
from oneshot.rewards.answers.grammar import parse
from oneshot.rewards.answers.shapes import Matrix, Value
from oneshot.rewards.answers.tokens import Token, Unreadable
from oneshot.rewards.answers.tree import Node, number
from oneshot.rewards.answers.units import is_unit_text, multiplier, without_letters, without_unit


def value(tokens: Sequence[Token]) -> Value:
    """An expression without its unit, currency word and percent sign. Raises `Unreadable`."""
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
    r"""`0.1\overline{6}` and `0.\dot{3}` as one exact number; `3.14\ldots` as what is written."""
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


def matrix(tokens: Sequence[Token]) -> Matrix | None:
    """A matrix with an optional factor before it and `^T` behind; None where the tokens hold none."""
    starts = [i for i, t in enumerate(tokens) if t.kind == "open" and t.text.startswith("matrix")]
    if not starts:
        return None
    start = starts[0]
    end = closing(tokens, start)
    factor = _factor(tokens[:start]) if start else None
    rest = tokens[end + 1 :]
    if len(starts) > 1 or "cases" in tokens[start].text:
        raise Unreadable("not one matrix")
    body = tokens[start + 1 : end]
    if tokens[start].text == "matrix:array" and body and body[0].text == "{":
        body = body[closing(body, 0) + 1 :]
    rows = tuple(tuple(_cell(c, factor) for c in _cells(row)) for row in _rows(body) if row)
    if len({len(row) for row in rows}) > 1:
        raise Unreadable("rows of different lengths")
    if [t.text for t in rest] in (["^", "T"], ["^", "{", "T", "}"]):
        rows = tuple(zip(*rows, strict=True))
    elif rest:
        raise Unreadable("something behind a matrix")
    return Matrix(rows)


def _factor(tokens: Sequence[Token]) -> Node:
    """What stands before a matrix, as its factor; a sign alone is a factor of one, a sum is none."""
    if any(tokens[i].text in ("+", "-") for i in top_level(tokens) if i):
        raise Unreadable("a sum with a matrix")
    return parse([*tokens, Token("number", "1", Fraction(1), digits=1)] if tokens[-1].text in ("-", "+") else tokens)


def _rows(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    places = [i for i, t in enumerate(tokens) if t.kind == "row"]
    bounds = [-1, *places, len(tokens)]
    return [tokens[a + 1 : b] for a, b in pairwise(bounds)]


def _cells(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    return cut(tokens, [i for i in top_level(tokens) if tokens[i].text == "&"])


def _cell(tokens: Sequence[Token], factor: Node | None) -> Node:
    node = value(tokens).node
    return node if factor is None else Node("mul", (factor, node))
