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

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import NamedTuple

from oneshot.rewards.tokens import CLOSES, Token, Unreadable

MAX_DEPTH = 60


class Node(NamedTuple):
    """An operation and what it works on; leaves have a value or a name."""

    op: str
    """num, var, const, add, mul, div, pow, neg, root, fact, or the name of a function."""
    args: tuple[Node, ...] = ()
    value: Fraction = Fraction(0)
    name: str = ""
    places: int = -1
    """Of a written decimal: digits after the point; -1 otherwise."""
    digits: int = 0


_TRIG = frozenset("sin cos tan cot sec csc".split())
_INVERSE = {f: f"arc{f}" for f in ("sin", "cos", "tan", "cot", "sinh", "cosh", "tanh")}
_BRACKETED = frozenset(["sqrt", "cbrt", "max", "min", "gcd", "lcm", "floor", "ceil", "abs", "binom", "sgn"])
_DECORATIONS = frozenset(
    "vec hat bar dot ddot tilde overline widehat overrightarrow mathbb mathcal mathbf mathit mathsf underline".split()
)
_ADDERS = frozenset("+-")
_APPLIED = frozenset("fghFGHPT")


def number(value: Fraction | int) -> Node:
    """A leaf with an exact value."""
    return Node("num", value=Fraction(value))


def negated(node: Node) -> Node:
    """Minus a tree; a number stays one leaf."""
    return node._replace(value=-node.value) if node.op == "num" else Node("neg", (node,))


def parse(tokens: Sequence[Token]) -> Node:
    """The tree of an expression. Raises `Unreadable` for anything that is not one."""
    parser = _Parser(_letters(tokens))
    node = parser.sum()
    if parser.place != len(parser.tokens):
        raise Unreadable("something is left over")
    return node


def _letters(tokens: Sequence[Token]) -> list[Token]:
    """Short words as the letters whose product they are: `ab`, `RC`, `xyz`."""
    out: list[Token] = []
    for token in tokens:
        if token.kind == "word" and token.text != "np" and (len(token.text) <= 3 or token.text.isupper()):
            out += [Token("name", letter, spaced=token.spaced and not i) for i, letter in enumerate(token.text)]
        else:
            out.append(token)
    return out


class _Parser:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.place = 0
        self.depth = 0

    # What stands at this place.

    def peek(self, ahead: int = 0) -> Token | None:
        place = self.place + ahead
        return self.tokens[place] if place < len(self.tokens) else None

    def at(self, *texts: str) -> bool:
        token = self.peek()
        return token is not None and token.kind in ("op", "open", "close") and token.text in texts

    def take(self) -> Token:
        token = self.peek()
        if token is None:
            raise Unreadable("ends too early")
        self.place += 1
        return token

    def expect(self, text: str) -> None:
        if not self.at(text):
            raise Unreadable(f"no {text}")
        self.place += 1

    # The grammar, loosest binding first.

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level of nesting; every cycle of the grammar goes through here, so that no text exhausts the stack."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deep")
        yield
        self.depth -= 1

    def sum(self) -> Node:
        with self.deeper():
            terms = [self.term()]
            while self.at("+", "-"):
                minus = self.take().text == "-"
                terms.append(negated(self.term()) if minus else self.term())
        return terms[0] if len(terms) == 1 else Node("add", tuple(terms))

    def term(self) -> Node:
        node = self.signed()
        while True:
            if self.at("*"):
                self.take()
                node = _times(node, self.signed())
            elif self.at("/"):
                self.take()
                node = Node("div", (node, self.signed()))
            elif self.starts_factor():
                if self._two_numbers():
                    raise Unreadable("two numbers side by side")
                node = _times(node, self.power())
            else:
                return node

    def _two_numbers(self) -> bool:
        """`4 2` is neither 42 nor 8, and `x 2` is not a product anybody writes."""
        before, here = self.tokens[self.place - 1], self.tokens[self.place]
        return here.kind == "number" and before.kind in ("number", "name", "constant")

    def signed(self) -> Node:
        sign = 1
        while self.at("-", "+"):
            sign = -sign if self.take().text == "-" else sign
        node = self.power()
        return negated(node) if sign < 0 else node

    def power(self) -> Node:
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
        sign = 1
        while self.at("-", "+"):
            sign = -sign if self.take().text == "-" else sign
        if self.at("'"):
            raise Unreadable("a prime as exponent")
        with self.deeper():
            node = self.power()
        return negated(node) if sign < 0 else node

    def postfix(self) -> Node:
        node = self.primary()
        while self.at("!"):
            self.take()
            if self.at("!"):
                raise Unreadable("double factorial")
            node = Node("fact", (node,))
        return node

    def starts_factor(self) -> bool:
        token = self.peek()
        if token is None or token.kind in ("close", "row"):
            return False
        if token.kind == "op":
            return False
        return not (token.kind == "open" and token.text == "\\{")

    def primary(self) -> Node:
        token = self.take()
        if token.kind == "number":
            return self._number(token)
        if token.kind == "name":
            return self._name(token.text)
        if token.kind == "constant":
            return Node("const", name=token.text)
        if token.kind == "function":
            return self.function(token.text)
        if token.kind == "open":
            return self._group(token)
        if token.kind == "word":
            return self._word(token)
        if token.kind == "text" and len(token.text.strip()) == 1 and token.text.strip().isalpha():
            return self._name(token.text.strip())
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
            return number(_in_base(token.text, self._subscript()))
        whole = Node("num", value=token.value, places=token.places, digits=token.digits)
        if token.places >= 0 or following is None:
            return whole
        if following.kind == "command" and following.text == "frac":
            start = self.place
            part = self.primary()
            if part.op == "div" and all(a.op == "num" and a.value.denominator == 1 for a in part.args):
                if 0 < part.args[0].value < part.args[1].value:
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

    def _name(self, letter: str) -> Node:
        subscript = "_" + self._subscript() if self._at_underscore() else ""
        primes = 0
        while self.at("'") or self._prime_power():
            self.place += 1 if self.at("'") else 0
            primes += 1
        if not subscript and self._at_underscore():
            subscript = "_" + self._subscript()
        name = letter + "'" * primes + subscript
        if not subscript and not primes and letter in ("e", "i"):
            return Node("const", name=letter)
        return self._applied(name, letter)

    def _prime_power(self) -> bool:
        r"""`y^{\prime}` and `y^{\prime\prime}`: moves past the exponent when it is made of primes."""
        caret, brace = self.peek(), self.peek(1)
        if not (caret and caret.text == "^" and brace):
            return False
        if brace.text == "'":
            self.place += 1
            return False  # the prime itself is taken by the loop above
        inner, close = self.peek(2), self.peek(3)
        if brace.text == "{" and inner and inner.text == "'" and close and close.text == "}":
            self.place += 4
            return True
        return False

    def _applied(self, name: str, letter: str) -> Node:
        """`I(0)`, `f(2)`: a function's value at a number is a name of its own, never a product with it."""
        here, inner, close = self.peek(), self.peek(1), self.peek(2)
        if here and inner and close and here.text == "(" and not here.spaced and close.text == ")":
            if inner.kind == "number" and (inner.value == 0 or letter in _APPLIED):
                self.place += 3
                return Node("var", name=f"{name}({inner.value})")
        return Node("var", name=name)

    def _at_underscore(self) -> bool:
        token = self.peek()
        return token is not None and token.text == "_"

    def _subscript(self) -> str:
        """What follows `_`, as text: one token or a group."""
        if self.at("_"):
            self.take()
        token = self.take()
        if token.text != "{":
            return token.text
        parts: list[str] = []
        level = 1
        while True:
            token = self.take()
            level += (token.text == "{") - (token.text == "}")
            if level == 0:
                return " ".join(parts)
            parts.append(token.text.strip())

    def _group(self, token: Token) -> Node:
        if token.text not in ("(", "[", "{", "lfloor", "lceil"):
            raise Unreadable(token.text)
        node = self.sum()
        self.expect(CLOSES[token.text])
        if token.text == "(" and self._at_underscore() and node.op == "num" and node.value.denominator == 1:
            self.take()
            return number(_in_base(str(node.value), self._subscript()))
        return Node({"lfloor": "floor", "lceil": "ceil"}[token.text], (node,)) if token.text[0] == "l" else node

    def _absolute(self) -> Node:
        node = self.sum()
        self.expect("|")
        return Node("abs", (node,))

    def _word(self, token: Token) -> Node:
        """`np.` is dropped; another word is no mathematics."""
        if token.text == "np":
            if not self.at("."):
                raise Unreadable("np")
            self.take()
            function = self.take()
            if function.kind not in ("function", "constant", "name"):
                raise Unreadable(function.text)
            if function.kind != "function":
                return Node("const", name=function.text)
            return self.function("ln" if function.text == "log" else function.text)
        raise Unreadable(token.text)

    def _command(self, name: str) -> Node:
        if name == "frac":
            return Node("div", (self.argument(), self.argument()))
        if name == "binom":
            return Node("binom", (self.argument(), self.argument()))
        if name in _DECORATIONS:
            return self._decorated(name)
        if name in ("angle", "triangle") or name not in _KNOWN:
            raise Unreadable(name)
        return self._name(name)

    def _decorated(self, name: str) -> Node:
        inner = self._subscript()
        if name in ("overline", "dot") and inner.isdigit():
            raise Unreadable("repeating decimal in an odd place")
        return self._name(f"{name}:{inner}")

    def argument(self) -> Node:
        r"""The argument of a command: a group, or one token, a numeral by its first digit (`\frac12`)."""
        token = self.peek()
        if token is None:
            raise Unreadable("ends too early")
        if token.kind == "number" and len(token.text) > 1 and token.places < 0:
            self.tokens = [
                *self.tokens[: self.place],
                *(Token("number", d, Fraction(int(d)), digits=1) for d in token.text),
                *self.tokens[self.place + 1 :],
            ]
        if self.at("{"):
            return self._group(self.take())
        with self.deeper():
            return self.primary_only()

    def primary_only(self) -> Node:
        token = self.peek()
        if token is not None and token.kind == "number":
            self.take()
            assert token.value is not None
            return Node("num", value=token.value, places=token.places, digits=token.digits)
        return self.primary()

    def function(self, name: str) -> Node:
        """A function, its power or base, and its arguments."""
        base: Node | None = None
        if name == "sqrt" and self.at("["):
            self.take()
            base = self.sum()
            self.expect("]")
        if name == "log" and self._at_underscore():
            self.take()
            base = self.argument() if not self._number_ahead() else self.primary_only()
        exponent: Node | None = None
        if self.at("^") and name not in _BRACKETED:
            self.take()
            exponent = self.exponent()
            if exponent.op == "num" and exponent.value == -1 and name in _INVERSE:
                name, exponent = _INVERSE[name], None
        node = _call(name, base, self._arguments(name))
        return node if exponent is None else Node("pow", (node, exponent))

    def _number_ahead(self) -> bool:
        token = self.peek()
        return token is not None and token.kind == "number"

    def _arguments(self, name: str) -> tuple[Node, ...]:
        if self.at("(", "[") or (self.at("{") and name != "sqrt"):
            opening = self.take()
            arguments = [self.sum()]
            while self.at(","):
                self.take()
                arguments.append(self.sum())
            self.expect(CLOSES[opening.text])
            if self.at("!"):
                raise Unreadable("factorial of a function")
            return tuple(arguments)
        if name == "sqrt":
            # In LaTeX `\sqrt12` is the root of 1; whoever writes it means 12.
            return (self.primary_only() if self._number_ahead() else self.argument(),)
        if name in _BRACKETED:
            raise Unreadable(f"{name} without brackets")
        return (self._bare_argument(),)

    def _bare_argument(self) -> Node:
        sign = self.at("-")
        if sign:
            self.take()
        with self.deeper():
            node = self.power()
        while self.starts_factor():
            token = self.peek()
            if token is None or token.kind == "function" or self._two_numbers():
                break
            node = _times(node, self.power())
        if self.at("/") and node.op in ("const", "num", "deg"):  # \sin \pi/6
            following = self.peek(1)
            if following and following.kind == "number":
                self.take()
                node = Node("div", (node, self.power()))
        return negated(node) if sign else node


_KNOWN = frozenset(["odot", "imath", "jmath", "partial", "nabla", "Re", "Im", "mho"])


def _times(a: Node, b: Node) -> Node:
    return Node("mul", (*a.args, b)) if a.op == "mul" else Node("mul", (a, b))


def _call(name: str, base: Node | None, args: tuple[Node, ...]) -> Node:
    if name == "sqrt":
        return Node("root", (base or number(2), *args))
    if name == "cbrt":
        return Node("root", (number(3), *args))
    if name == "log":
        return Node("div", (Node("ln", args), Node("ln", (base or number(10),))))
    if name in _TRIG:
        return Node(name, tuple(_radians(a) for a in args))
    return Node(name, args)


def _radians(node: Node) -> Node:
    """Degrees inside a trigonometric function, times pi/180."""
    if node.op == "deg":
        return Node("div", (Node("mul", (node.args[0], Node("const", name="pi"))), number(180)))
    return node._replace(args=tuple(_radians(a) for a in node.args)) if node.args else node


def _in_base(digits: str, base: str) -> Fraction:
    """`31` in base `7`. Raises `Unreadable` where the digits do not exist in that base."""
    if not base.isdigit() or not 2 <= int(base[:3]) <= 36 or len(digits) > 1_000:
        raise Unreadable("not a base")
    if any(int(d, 36) >= int(base) for d in digits if d.isalnum()) or not digits.isalnum():
        raise Unreadable("digits beyond the base")
    return Fraction(int(digits, int(base)))
