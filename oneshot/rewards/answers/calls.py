r"""Functions and their arguments: `\sin^2 x`, `\log_2 8`, `\sqrt[3]{x}`, `\frac12`, `np.arcsin(10/13)`."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from oneshot.rewards.answers.tokens import CLOSES, Token, Unreadable
from oneshot.rewards.answers.tree import Node, negated, number, radians, times

if TYPE_CHECKING:
    from oneshot.rewards.answers.grammar import Parser

_TRIG = frozenset("sin cos tan cot sec csc".split())
_INVERSE = {f: f"arc{f}" for f in ("sin", "cos", "tan", "cot", "sinh", "cosh", "tanh")}
_BRACKETED = frozenset(["sqrt", "cbrt", "max", "min", "gcd", "lcm", "floor", "ceil", "abs", "binom", "sgn"])


def function(parser: Parser, name: str) -> Node:
    """A function, its power or base, and its arguments."""
    base: Node | None = None
    if name == "sqrt" and parser.at("["):
        parser.take()
        base = parser.sum()
        parser.expect("]")
    if name == "log" and parser.at("_"):
        parser.take()
        base = argument(parser) if not parser.at_number() else parser.plain()
    exponent: Node | None = None
    if parser.at("^") and name not in _BRACKETED:
        parser.take()
        exponent = parser.exponent()
        if exponent.op == "num" and exponent.value == -1 and name in _INVERSE:
            name, exponent = _INVERSE[name], None
    node = _call(name, base, _arguments(parser, name))
    return node if exponent is None else Node("pow", (node, exponent))


def _arguments(parser: Parser, name: str) -> tuple[Node, ...]:
    if parser.at("(", "[") or (parser.at("{") and name != "sqrt"):
        opening = parser.take()
        arguments = [parser.sum()]
        while parser.at(","):
            parser.take()
            arguments.append(parser.sum())
        parser.expect(CLOSES[opening.text])
        if parser.at("!"):
            raise Unreadable("factorial of a function")
        return tuple(arguments)
    if name == "sqrt":
        # In LaTeX `\sqrt12` is the root of 1; whoever writes it means 12.
        return (parser.plain() if parser.at_number() else argument(parser),)
    if name in _BRACKETED:
        raise Unreadable(f"{name} without brackets")
    return (_bare_argument(parser),)


def _bare_argument(parser: Parser) -> Node:
    sign = parser.at("-")
    if sign:
        parser.take()
    with parser.deeper():
        node = parser.power()
    while parser.starts_factor():
        token = parser.peek()
        if token is None or token.kind == "function" or parser.two_numbers(node):
            break
        node = times(node, parser.power())
    if parser.at("/") and node.op in ("const", "num", "deg"):  # \sin \pi/6
        following = parser.peek(1)
        if following and following.kind == "number":
            parser.take()
            node = Node("div", (node, parser.power()))
    return negated(node) if sign else node


def argument(parser: Parser) -> Node:
    r"""The argument of a command: a group, or one token, a numeral by its first digit (`\frac12`)."""
    token = parser.peek()
    if token is None:
        raise Unreadable("ends too early")
    if token.kind == "number" and len(token.text) > 1 and token.places < 0:
        parser.tokens = [
            *parser.tokens[: parser.place],
            *(Token("number", d, Fraction(int(d)), digits=1) for d in token.text),
            *parser.tokens[parser.place + 1 :],
        ]
    if parser.at("{"):
        return parser.group(parser.take())
    with parser.deeper():
        return parser.plain()


def numpy_name(parser: Parser) -> Node:
    """What follows `np`, as in `np.arcsin(10/13)`; its `log` is the natural one."""
    parser.expect(".")
    token = parser.take()
    if token.kind == "constant" or token.text == "e":
        return Node("const", name=token.text)
    if token.kind != "function":
        raise Unreadable(token.text)
    return function(parser, "ln" if token.text == "log" else token.text)


def _call(name: str, base: Node | None, args: tuple[Node, ...]) -> Node:
    if name == "sqrt":
        return Node("root", (base or number(2), *args))
    if name == "cbrt":
        return Node("root", (number(3), *args))
    if name == "log":
        return Node("div", (Node("ln", args), Node("ln", (base or number(10),))))
    if name in _TRIG:
        return Node(name, tuple(radians(a) for a in args))
    return Node(name, args)
