r"""A small recursive-descent parser for LaTeX and plain mathematics: tokens in, a tree out. It never evaluates.

Bounded by the number of tokens and by nesting depth. Conventions where notation is ambiguous:

- `1/2x` is (1/2)x: division and implicit multiplication bind alike, from the left.
- `2\frac{3}{4}` and `2 3/4` are mixed numbers: a sum.
- A function without brackets takes the factors up to the next operator or function: `\sin 2x\cos x`.
- `\log` is to base ten, `\ln` and `np.log` natural. `e` and `i` are constants.
- The degree sign is dropped except inside a trigonometric function.
- A letter before `(0)` and `f`, `g`, `h`, `F`, `G`, `H`, `P`, `T` before a number in brackets are a function's value.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshot.rewards.answers import calls, names
from oneshot.rewards.answers.cursor import Cursor
from oneshot.rewards.answers.tokens import CLOSES, Token, Unreadable
from oneshot.rewards.answers.tree import Node, negated, number, times


def parse(tokens: Sequence[Token]) -> Node:
    """The tree of an expression. Raises `Unreadable` for anything that is not one."""
    parser = Parser(tokens)
    node = parser.sum()
    if parser.place != len(parser.tokens):
        raise Unreadable("something is left over")
    return node


class Parser(Cursor):
    """The grammar, loosest binding first. Methods stand before what they read and leave the place behind it."""

    _bars = 0
    """Absolute values that are open."""

    def sum(self) -> Node:
        """Terms with `+` and `-` between them."""
        with self.deeper():
            terms = [self.term()]
            while self.at("+", "-"):
                minus = self.take().text == "-"
                terms.append(negated(self.term()) if minus else self.term())
        return terms[0] if len(terms) == 1 else Node("add", tuple(terms))

    def term(self) -> Node:
        """Factors, with `*`, `/` or nothing between them."""
        node = self.signed()
        while True:
            if self.at("*"):
                self.take()
                node = times(node, self.signed())
            elif self.at("/"):
                self.take()
                self.nest()  # a/b/c/... is a tree as deep as it is long
                node = Node("div", (node, self.signed()))
            elif self.starts_factor():
                if self.two_numbers(node):
                    raise Unreadable("two numbers side by side")
                node = times(node, self.power())
            else:
                return node

    def two_numbers(self, before: Node) -> bool:
        """`4 2` is neither 42 nor 8, and `x 2` is not a product anybody writes; `3^n 2^n` and `n2^n` are."""
        last = before.args[-1] if before.op == "mul" else before
        if not self.at_number() or self.tokens[self.place - 1].text == ")":
            return False
        following = self.peek(1)
        powered = following is not None and following.text == "^"
        return last.op in ("num", "neg") or (last.op in ("var", "const") and not powered)

    def signed(self) -> Node:
        """A power with its signs."""
        sign = 1
        while self.at("-", "+"):
            sign = -sign if self.take().text == "-" else sign
        node = self.power()
        return negated(node) if sign < 0 else node

    def power(self) -> Node:
        """A factor with its exponent or degree sign."""
        base = self.postfix()
        if not self.at("^"):
            return base
        self.take()
        if self.at("circ"):
            self.take()
            return Node("deg", (base,))
        if self.at("{") and self._degree_group():
            self.place += 3
            return Node("deg", (base,))
        return Node("pow", (base, self.exponent()))

    def _degree_group(self) -> bool:
        inner, after = self.peek(1), self.peek(2)
        return bool(inner and after and inner.text == "circ" and after.text == "}")

    def exponent(self) -> Node:
        """What stands behind `^`."""
        sign = 1
        while self.at("-", "+"):
            sign = -sign if self.take().text == "-" else sign
        if self.at("'"):
            raise Unreadable("a prime as exponent")
        with self.deeper():
            node = self.power()
        return negated(node) if sign < 0 else node

    def postfix(self) -> Node:
        """A primary with its factorials."""
        node = self.primary()
        while self.at("!"):
            self.take()
            if self.at("!"):
                raise Unreadable("double factorial")
            node = Node("fact", (node,))
        return node

    def starts_factor(self) -> bool:
        """Whether a factor that is multiplied without a sign begins here."""
        token = self.peek()
        if token is None or token.kind in ("close", "row"):
            return False
        if token.kind == "op":
            return token.text == "|" and not self._bars  # inside, a bar closes
        return not (token.kind == "open" and token.text == "\\{")

    def primary(self) -> Node:
        """A number, name, function, bracket or absolute value."""
        token = self.take()
        if token.kind == "number":
            return self._number(token)
        if token.kind == "name":
            return names.name(self, token.text)
        if token.kind == "constant":
            return Node("const", name=token.text)
        if token.kind == "function":
            return calls.function(self, token.text)
        if token.kind == "open":
            return self.group(token)
        if token.kind == "word" and token.text == "np":
            return calls.numpy_name(self)
        if token.kind == "text" and len(token.text.strip()) == 1 and token.text.strip().isalpha():
            return names.name(self, token.text.strip())
        if token.kind == "op" and token.text == "|":
            return self._absolute()
        if token.kind == "command":
            return self._command(token.text)
        raise Unreadable(token.text)

    def _number(self, token: Token) -> Node:
        """A number, a mixed number, or a number in another base (`31_7`)."""
        assert token.value is not None
        following = self.peek()
        if following and following.text == "_" and token.places < 0:
            self.take()
            return number(names.in_base(token.text, self.index()))
        whole = Node("num", value=token.value, places=token.places, digits=token.digits)
        if token.places >= 0 or following is None:
            return whole
        if following.kind == "command" and following.text == "frac":
            start = self.place
            part = self.primary()
            digits = part.op == "div" and all(a.op == "num" and a.value.denominator == 1 for a in part.args)
            if digits and 0 < part.args[0].value < part.args[1].value:
                return Node("add", (whole, part))
            self.place = start
        elif following.kind == "number" and following.spaced and self._slash_fraction():
            top, bottom = self.take(), (self.take(), self.take())[1]
            assert top.value is not None and bottom.value is not None
            if 0 < top.value < bottom.value:
                return number(token.value + top.value / bottom.value)
            raise Unreadable("two numbers side by side")
        return whole

    def _slash_fraction(self) -> bool:
        top, slash, bottom = self.peek(), self.peek(1), self.peek(2)
        numbers = top is not None and bottom is not None and top.places < 0 and bottom.places < 0
        return numbers and slash is not None and slash.text == "/" and bottom is not None and bottom.kind == "number"

    def group(self, token: Token) -> Node:
        """What follows an opening bracket, up to its closing one."""
        if token.text not in ("(", "[", "{", "lfloor", "lceil"):
            raise Unreadable(token.text)
        node = self.sum()
        self.expect(CLOSES[token.text])
        if token.text == "(" and self.at("_") and node.op == "num" and node.value.denominator == 1:
            self.take()
            return number(names.in_base(str(node.value), self.index()))
        return Node({"lfloor": "floor", "lceil": "ceil"}[token.text], (node,)) if token.text[0] == "l" else node

    def _absolute(self) -> Node:
        self._bars += 1
        node = self.sum()
        self.expect("|")
        self._bars -= 1
        return Node("abs", (node,))

    def _command(self, name: str) -> Node:
        if name == "frac" and names.operator(self):
            raise Unreadable("d/dx")
        if name == "frac" and (derivative := names.derivative(self)):
            return derivative
        if name in ("frac", "binom"):
            return Node("div" if name == "frac" else name, (calls.argument(self), calls.argument(self)))
        return names.symbol(self, name)

    def plain(self) -> Node:
        """A primary that is never a mixed number."""
        token = self.peek()
        if token is not None and token.kind == "number":
            self.take()
            assert token.value is not None
            return Node("num", value=token.value, places=token.places, digits=token.digits)
        return self.primary()
