"""What a text means as an expression, shown as the tree with every bracket written out."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.answers.grammar import parse
from oneshot.rewards.answers.text import clean
from oneshot.rewards.answers.tokens import Unreadable, tokenize
from oneshot.rewards.answers.tree import Node


def read(text: str) -> Node:
    return parse(tokenize(clean(text)))


def show(node: Node) -> str:
    """`1/2x` as `mul(div(1, 2), x)`."""
    if node.op == "num":
        return str(node.value)
    return node.name if node.op in ("var", "const") else f"{node.op}({', '.join(map(show, node.args))})"


TREES = {
    "binding": {
        "1/2x": "mul(div(1, 2), x)", "a/b/c": "div(div(a, b), c)", "1/(2x)": "div(1, mul(2, x))",
        "2x^2y": "mul(2, pow(x, 2), y)", "a-b-c": "add(a, neg(b), neg(c))", "a-(b-c)": "add(a, neg(add(b, neg(c))))",
        "a*b+c": "add(mul(a, b), c)", "a+bc": "add(a, mul(b, c))", "2(3)": "mul(2, 3)", "(2)(3)": "mul(2, 3)",
        "(x+1)(x-1)": "mul(add(x, 1), add(x, -1))", "ab": "mul(a, b)", r"\pi r^2": "mul(pi, pow(r, 2))",
        r"2\cdot-3": "mul(2, -3)", "ei": "mul(e, i)", "2**3": "pow(2, 3)",
    },
    "signs": {
        "-x^2": "neg(pow(x, 2))", "(-x)^2": "pow(neg(x), 2)", "-2^2": "neg(pow(2, 2))", "--x": "x", "+x": "x",
        "2--3": "add(2, 3)",
        "x^-1": "pow(x, -1)", "x^{-1}": "pow(x, -1)", "2^{-x}": "pow(2, neg(x))",
    },
    "powers": {
        "2^3^2": "pow(2, pow(3, 2))", "2^{3^2}": "pow(2, pow(3, 2))", "(2^3)^2": "pow(pow(2, 3), 2)",
        "x^{2y}": "pow(x, mul(2, y))", "x^2y": "mul(pow(x, 2), y)", "e^{-x^2}": "pow(e, neg(pow(x, 2)))",
        "x_1^2": "pow(x_1, 2)",
    },
    "factorials": {
        "x!": "fact(x)", "2x!": "mul(2, fact(x))", "-3!": "neg(fact(3))", "(x+1)!": "fact(add(x, 1))",
        "2^x!": "pow(2, fact(x))",
        "1 / 2004!": "div(1, fact(2004))", r"\binom{5}{2}": "binom(5, 2)",
    },
    "functions": {
        r"\sin 2x\cos x": "mul(sin(mul(2, x)), cos(x))", r"\sin^{-1} x": "arcsin(x)", r"\tan^{-1}(1)": "arctan(1)",
        r"\sin^2 x": "pow(sin(x), 2)", r"\sin^{2}x\cos x": "mul(pow(sin(x), 2), cos(x))", r"\sin x/2": "div(sin(x), 2)",
        r"\sin(x)y": "mul(sin(x), y)", r"\sin \pi/6": "sin(div(pi, 6))", r"\sin -x": "sin(neg(x))",
        r"\ln x^2": "ln(pow(x, 2))",
        r"\ln(x)^2": "pow(ln(x), 2)", r"\sin\cos x": "sin(cos(x))", "sin x": "sin(x)", r"\sin x+1": "add(sin(x), 1)",
        r"\log 100": "div(ln(100), ln(10))", r"\log_2 8": "div(ln(8), ln(2))", r"\log_{10} x": "div(ln(x), ln(10))",
        "np.log(2)": "ln(2)", "np.pi": "pi", "np.arcsin(10/13)": "arcsin(div(10, 13))", r"\max(1,2,3)": "max(1, 2, 3)",
        r"\exp(x)": "exp(x)", r"\lfloor x\rfloor": "floor(x)", r"\lceil x \rceil": "ceil(x)", "|x|+1": "add(abs(x), 1)",
    },
    "fractions and roots": {
        r"\frac12": "div(1, 2)", r"\frac12x": "mul(div(1, 2), x)", r"\frac{a}{b}c": "mul(div(a, b), c)",
        r"\frac1{x}": "div(1, x)",
        r"\frac{1}{2}3": "mul(div(1, 2), 3)", r"\sqrt[3]{x}": "root(3, x)", r"\sqrt12": "root(2, 12)",
        r"\sqrt2x": "mul(root(2, 2), x)",
        r"\sqrt{x}y": "mul(root(2, x), y)", "sqrt(2)": "root(2, 2)", "√3": "root(2, 3)", "∛8": "root(3, 8)",
    },
    "mixed numbers": {
        r"2\frac{3}{4}": "add(2, div(3, 4))", r"-2\frac{3}{4}": "neg(add(2, div(3, 4)))", "2 3/4": "11/4",
        "-2 3/4": "-11/4",
        r"2\frac{x}{4}": "mul(2, div(x, 4))", r"2\frac{5}{4}": "mul(2, div(5, 4))",
        r"2.5\frac{3}{4}": "mul(5/2, div(3, 4))",
        r"2\frac{3}{4}x": "mul(add(2, div(3, 4)), x)",
    },
    "bases": {"31_7": "22", "31_{7}": "22", "1011_2": "11", "(204)_5": "54", "204_5": "54"},
    "names": {
        "x_1": "x_1", "x_{12}": "x_12", "a_n": "a_n", "y'": "y'", r"y^{\prime}": "y'", r"\vec{v}": "vec:v",
        r"\text{x}": "x",
        r"\alpha": "alpha", "i": "i", "e_1": "e_1", r"\mathbb{R}": "mathbb:R",
    },
    "a function's value": {"I(0)": "I(0)", "f(2)": "f(2)", "x(0)": "x(0)", "x(2)": "mul(x, 2)",
                           "f(x)": "f(x)", "k(x)": "mul(k, x)",
                           "2f(0)": "mul(2, f(0))"},
    "degrees": {
        r"30^\circ": "deg(30)", r"30^{\circ}": "deg(30)", r"\sin 30^\circ": "sin(div(mul(30, pi), 180))",
        "x°": "deg(x)",
    },
}  # fmt: skip


@pytest.mark.parametrize(("text", "tree"), [(t, s) for group in TREES.values() for t, s in group.items()])
def test_trees(text: str, tree: str) -> None:
    assert show(read(text)) == tree


@pytest.mark.parametrize(
    "text",
    [
        "", "+", "2+", "*2", "(1", "1)", "(1]", "()", "3 4", "x 2", "1.2.3", "x!!", "2^", "^2", "_2", r"\frac{1}",
        r"\frac",
        r"\sqrt", r"\sqrt[3]", "|x", "31_1", "39_7", "31_x", "8_{40}", r"2 5/4", r"\unknown x", "hello", "x=1", "1,2",
        "<",
        r"\sum x", r"\int x", "max 1", "np.os", "np", "a & b", "x''''^", "f(x)!g!!", "\ud800", "é", "\u0663",
        "sin(x)!",
    ],
)  # fmt: skip
def test_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


@pytest.mark.parametrize(
    "text",
    ["(" * 700 + "1" + ")" * 700, "{" * 700 + "1" + "}" * 700, "-" * 700 + "1", r"\frac" * 280, r"\sqrt" * 280,
     "x^" * 700,
     r"\sin" * 370, "|" * 700, "1!" * 700, r"\frac{" * 200 + "1" + "}{2}" * 200, "x_{" * 400, "2^{" * 400 + "}" * 400,
     r"\vec{" * 250, r"\lfloor " * 180],
)  # fmt: skip
def test_depth_is_bounded(text: str) -> None:
    """Each is read or refused; none exhausts the stack."""
    try:
        read(text)
    except Unreadable as refused:
        assert str(refused)


def test_a_written_decimal_remembers_how_it_was_written() -> None:
    node = read("12.80")
    assert (node.value * 5, node.places, node.digits) == (64, 2, 4)
    assert read("-12.80").places == 2
    assert read("12").places == -1


@given(
    st.lists(
        st.sampled_from(
            [
                r"1",
                r"2",
                r"x",
                r"y",
                r"+",
                r"-",
                r"*",
                r"/",
                r"^",
                r"(",
                r")",
                r"{",
                r"}",
                r"[",
                r"]",
                r"|",
                r"!",
                r"_",
                r"\frac",
                r"\sqrt",
                r"\sin",
                r".",
                r"e",
                r"i",
                r"\pi",
            ]
        ),
        max_size=20,
    )
)
def test_raises_nothing_else(pieces: list[str]) -> None:
    for text in ("".join(pieces), " ".join(pieces)):
        with suppress(Unreadable):
            assert read(text).op
