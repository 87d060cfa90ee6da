"""What kind of thing an answer is."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.answers.shapes import Bracketed, Many, Matrix, Ratio, Relation, Sets, Shape, Value, Words
from oneshot.rewards.answers.structure import MAX_ITEMS, MAX_NESTED, read
from oneshot.rewards.answers.values import constant, variables


def number(value: object) -> str:
    found = constant(value)  # type: ignore[arg-type]
    return "?" if found is None else str(found.value)


def outline(shape: Shape) -> str:
    """`list[1 2]`, `([1 2))`, `<[x 5]`: enough to tell how a text was cut up; `v` where a value has letters."""
    if isinstance(shape, Words):
        return f"words {shape.text}" if shape.plain else "unread"
    if isinstance(shape, Value):
        return number(shape.node) + "%" * shape.percent if not variables(shape.node) else "v"
    if isinstance(shape, Many):
        return f"{shape.kind}[{' '.join(map(outline, shape.items))}]"
    if isinstance(shape, Bracketed):
        return f"{shape.opening}{' '.join(map(outline, shape.items))}{shape.closing}"
    if isinstance(shape, Relation):
        return f"{' '.join(shape.ops)}[{' '.join(map(outline, shape.sides))}]"
    if isinstance(shape, Sets):
        return f"{shape.op}[{' '.join(map(outline, shape.parts))}]"
    if isinstance(shape, Matrix):
        return "matrix" + str([[number(cell) for cell in row] for row in shape.rows]).replace("'", "")
    assert isinstance(shape, Ratio)
    return ":".join(map(number, shape.parts))


OUTLINES = {
    "values": {"5": "5", "{5}": "5", r"\text{62 cm}": "62", r"35\%": "35%", "2x+1": "v", r"\frac{1}{2}": "1/2",
               "(5)": "5", "[5]": "5",
               "6.5 million": "6500000", r"\text{The answer is }5": "5", r"\therefore 5": "5", r"\$12.50": "25/2"},
    "lists": {"1,2": "list[1 2]", "1;2": "list[1 2]", "1 and 2": "and[1 2]", "1 or 2": "or[1 2]",
              r"1\text{ or }2": "or[1 2]",
              "1, 2, and 3": "and[1 2 3]", "1, 2, or 3": "or[1 2 3]", r"\{1,2\}": "set[1 2]", r"\{5\}": "set[5]",
              r"\{\}": "set[]",
              r"\emptyset": "set[]", "32, 349": "list[32 349]", "1,234": "1234", r"\{1,(2,3)\}": "set[1 (2 3)]",
              "x=1, 2": "list[1 2]", "x=1,x=2": "list[=[v 1] =[v 2]]"},
    "plus and minus": {r"\pm 3": "pm[3 -3]", r"2\pm 1": "pm[3 1]", r"\{1\pm 2\}": "set[3 -1]",
                       r"1\pm 2, 5": "list[3 -1 5]",
                       r"1\pm 2\mp 3": "pm[0 2]"},
    "brackets": {"(1,2)": "(1 2)", "[1,4)": "[1 4)", "(1,2,3)": "(1 2 3)", r"\langle 1,2\rangle": "(1 2)",
                 "((1,2),3)": "((1 2) 3)",
                 "(1,2),(3,4)": "list[(1 2) (3 4)]", "(1,234)": "(1 234)", "(1,2]": "(1 2]",
                 "[[1,2],[3,4]]": "[[1 2] [3 4]]"},
    "relations": {"x=5": "=[v 5]", r"x\le 5": "<=[v 5]", "1<x<2": "< <[1 v 2]", r"x\in[1,2]": "in[v [1 2]]",
                  r"x\ne 3": "!=[v 3]",
                  "x=2+3=5": "= =[v 5 5]", r"x\approx 3": "approx[v 3]", r"\{x \mid x>3\}": ">[v 3]",
                  r"\{x : x>3\}": ">[v 3]",
                  r"\text{Area}=5": "=[words area 5]", "f(x)=3": "=[words f(x) 3]", "1<x, x<2": "list[<[1 v] <[v 2]]"},
    "sets": {r"[1,2]\cup[3,4]": "cup[[1 2] [3 4]]", r"A\cap B": "cap[v v]",
             r"\mathbb{R}\setminus\{3\}": "setminus[v set[3]]",
             r"\{1\}\cup\{2\}\cup\{3\}": "cup[set[1] set[2] set[3]]"},
    "matrices": {r"\begin{pmatrix}1&2\\3&4\end{pmatrix}": "matrix[[1, 2], [3, 4]]",
                 r"\begin{bmatrix}1\\2\\\end{bmatrix}": "matrix[[1], [2]]",
                 r"\begin{array}{cc}1&0\\0&1\end{array}": "matrix[[1, 0], [0, 1]]",
                 r"2\begin{pmatrix}1&2\end{pmatrix}": "matrix[[2, 4]]",
                 r"\begin{pmatrix}1&2\end{pmatrix}^T": "matrix[[1], [2]]",
                 r"\begin{pmatrix}1/2\\[4pt]3\end{pmatrix}": "matrix[[1/2], [3]]"},
    "ratios": {"3:4": "3:4", "3:5:7": "3:5:7", r"1\colon 2": "1:2"},
    "words": {"yes": "words yes", r"\text{no solution}": "words no solution", "Tuesday": "words tuesday",
              r"\text{even}": "words even",
              "hello world": "words hello world"},
    "unread": {"4 2": "unread", "4:40 p.m.": "unread", "(1,2": "unread", "1<": "unread", "()": "unread",
               "(1 and 2)": "unread",
               r"\sum_{i=1}^3 i": "unread", r"A\cup B\cap C": "unread", r"\begin{cases}1\\2\end{cases}": "unread",
               "import os": "words import os",
               "os.getcwd()": "unread", "\x00": "unread", "": "unread"},
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [(t, o) for group in OUTLINES.values() for t, o in group.items()])
def test_outlines(text: str, expected: str) -> None:
    assert outline(read(text)) == expected


def test_limits() -> None:
    assert outline(read(",".join(f"{k}/7" for k in range(MAX_ITEMS)))).startswith("list[0 1/7 2/7")
    assert outline(read(",".join(f"{k}/7" for k in range(MAX_ITEMS + 1)))) == "unread"
    nested = r"\{1," * (MAX_NESTED - 1) + "2" + r"\}" * (MAX_NESTED - 1)
    assert outline(read(nested)).startswith("set[1 set[1")
    assert outline(read(r"\{1," * 40 + "2" + r"\}" * 40)) == "unread"


DEEP: dict[str, Callable[[int], str]] = {
    "braces": lambda n: "{" * n + "1" + "}" * n,
    "sets": lambda n: r"\{" * n + "1" + r"\}" * n,
    "round brackets": lambda n: "(" * n + "1" + ")" * n,
    "square brackets": lambda n: "[" * n + "1,1" + "]" * n,
    "relations": lambda n: "x=" * n + "1",
    "unions": lambda n: r"[0,1]\cup" * n + "[0,1]",
    "plus or minus": lambda n: r"1\pm " * n + "1",
    "commas": lambda n: "," * n,
    "matrices": lambda n: r"\begin{pmatrix}" * n + "1" + r"\end{pmatrix}" * n,
    "texts": lambda n: r"\text{1 " * n + "}" * n,
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("n", [20, 60, 500])
def test_depth_and_length_are_bounded(name: str, n: int) -> None:
    start = time.perf_counter()
    assert outline(read(DEEP[name](n)))
    assert time.perf_counter() - start < 10


@given(
    st.lists(
        st.sampled_from(
            [
                r"1",
                r"x",
                r",",
                r";",
                r"(",
                r")",
                r"[",
                r"]",
                r"\{",
                r"\}",
                r"{",
                r"}",
                r"<",
                r"=",
                r">",
                r"\le",
                r"\cup",
                r"\pm",
                r":",
                r"and",
                r"or",
                r"\text{or}",
                r"\in",
                r"|",
                r".",
                r"\\",
                r"&",
                r"-",
                r"\infty",
            ]
        ),
        max_size=14,
    )
)
def test_never_raises(pieces: list[str]) -> None:
    for text in ("".join(pieces), " ".join(pieces)):
        assert outline(read(text))
