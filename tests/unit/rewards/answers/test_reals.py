"""Sets of real numbers in one normal form, however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.answers.pieces import LINE, Piece, complement, intersection, merged, same_reals
from oneshot.rewards.answers.reals import as_reals, is_set_of_reals
from oneshot.rewards.answers.structure import read


def pieces(text: str) -> tuple[Piece, ...] | None:
    return as_reals(read(text))


def show(found: tuple[Piece, ...] | list[Piece] | None) -> str:
    """`[0,1) u (2,oo)`."""
    if found is None:
        return "none"
    parts = []
    for low, high in found:
        left = "-oo" if low.value is None else str(low.value.value)
        right = "oo" if high.value is None else str(high.value.value)
        parts.append(f"{'[' if low.closed else '('}{left},{right}{']' if high.closed else ')'}")
    return " u ".join(parts) or "empty"


FORMS = {
    "intervals": {"[1,4)": "[1,4)", "(1,4]": "(1,4]", r"(-\infty,2]": "(-oo,2]", r"(3,+\infty)": "(3,oo)",
                  r"[3,\infty]": "none",
                  "[2,2]": "[2,2]", "(2,2)": "none", "[2,2)": "none",
                  "[1/2,0.75]": "[1/2,3/4]", r"\mathbb{R}": "(-oo,oo)"},
    "inequalities": {"x<2": "(-oo,2)", r"x\ge 2": "[2,oo)", "2>x": "(-oo,2)", "-2x>4": "(-oo,-2)", "2x+1<=5": "(-oo,2]",
                     "x+3>2x": "(-oo,3)",
                     "1<x<2": "(1,2)", r"4>x\ge 1": "[1,4)", r"x\ne 3": "(-oo,3) u (3,oo)", "x=3": "[3,3]",
                     r"x\in[-2,7]": "[-2,7]",
                     r"x\notin[0,1]": "(-oo,0) u (1,oo)", r"x\in\mathbb{R}": "(-oo,oo)", r"\{x \mid x>3\}": "(3,oo)"},
    "absolute values": {"|x|<2": "(-2,2)", r"|x|\ge 2": "(-oo,-2] u [2,oo)", "|x-1|<=3": "[-2,4]", "3>|x|": "(-3,3)",
                        "|2x|>4": "(-oo,-2) u (2,oo)",
                        "|x|<-1": "empty"},
    "unions": {r"(-\infty,2)\cup(3,\infty)": "(-oo,2) u (3,oo)", r"(3,\infty)\cup(-\infty,2)": "(-oo,2) u (3,oo)",
               r"[0,2]\cup[1,3]": "[0,3]", r"[0,9]\cup[1,3]": "[0,9]", r"[0,1]\cup(1,2]": "[0,2]",
               r"[0,1)\cup[1,2]": "[0,2]",
               r"[0,1)\cup(1,2]": "[0,1) u (1,2]", r"[0,1]\cup\{5\}": "[0,1] u [5,5]", r"(0,1)\cup\{1\}": "(0,1]",
               r"(0,1)\cup[0,1]": "[0,1]", r"(0,1)\cup\{0,1\}": "[0,1]", r"\{1\}\cup\{2\}": "[1,1] u [2,2]"},
    "other operations": {r"[0,2]\cap[1,3]": "[1,2]", r"[0,1]\cap[2,3]": "empty", r"[0,1]\cap[1,2]": "[1,1]",
                         r"[0,1)\cap[1,2]": "empty",
                         r"\mathbb{R}\setminus\{3\}": "(-oo,3) u (3,oo)", r"[0,3]\setminus(1,2)": "[0,1] u [2,3]",
                         r"\mathbb{R}\setminus\{1,2\}": "(-oo,1) u (1,2) u (2,oo)"},
    "together": {"x<2 or x>3": "(-oo,2) u (3,oo)", "x>1 and x<2": "(1,2)", "x>1, x<2": "(1,2)",
                 "x<1, x>3": "(-oo,1) u (3,oo)",
                 "x>1 or x<2": "(-oo,oo)", r"\{1,2\}": "[1,1] u [2,2]", r"\emptyset": "empty"},
    "not such a set": {"(2,1)": "none", "(1,2,3)": "none", "(a,b)": "none", "x<y": "none", "x^2<4": "none",
                       "yes": "none", "(i,2)": "none",
                       r"x\in A": "none", r"\begin{pmatrix}1&2\end{pmatrix}": "none", "(1%,2)": "none",
                       "(9^{9^{9^9}},1)": "none"},
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [(t, o) for group in FORMS.values() for t, o in group.items()])
def test_normal_forms(text: str, expected: str) -> None:
    assert show(pieces(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[1,2)", True), ("(1,2)", False), (r"(1,\infty)", True), ("x<2", True), ("x=2", False), (r"[0,1]\cup[2,3]", True),
     (r"\mathbb{R}", True), ("1,2", False), ("x<1, x>3", True), ("5", False), ("[1,2]", False)],
)  # fmt: skip
def test_what_can_only_be_a_set_of_reals(text: str, expected: bool) -> None:
    assert is_set_of_reals(read(text)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[1,4)", "(-oo,1) u [4,oo)"), (r"\mathbb{R}", "empty"), (r"\emptyset", "(-oo,oo)"), (r"(-\infty,3)", "[3,oo)"),
     (r"[3,\infty)", "(-oo,3)"), (r"\{1\}", "(-oo,1) u (1,oo)"), (r"(-\infty,0)\cup(1,\infty)", "[0,1]"),
     (r"[0,1)\cup(1,2]", "(-oo,0) u [1,1] u (2,oo)")],
)  # fmt: skip
def test_complements(text: str, expected: str) -> None:
    found = pieces(text)
    assert found is not None
    assert show(complement(found)) == expected
    assert same_reals(merged(complement(complement(found))), found)


def test_ends_are_values_not_texts() -> None:
    left, right = pieces(r"[\sqrt{4},\frac{6}{2})"), pieces("[2,3)")
    assert left is not None and right is not None
    assert same_reals(left, right)
    almost = pieces(r"[2,3.0000001)")
    assert almost is not None
    assert not same_reals(right, almost)
    irrational, other = pieces(r"[\sqrt{8},9]"), pieces(r"[2\sqrt{2},9]")
    assert irrational is not None and other is not None
    assert same_reals(irrational, other)


_END = st.integers(-4, 4)
_PART = st.tuples(_END, _END, st.sampled_from("[("), st.sampled_from("])"))
# Without inner points only [a,a] is a set; (a,a) is a pair of coordinates.
_SETS = st.lists(_PART.filter(lambda p: p[0] != p[1] or p[2:] == ("[", "]")), min_size=1, max_size=4)


def text_of(parts: list[tuple[int, int, str, str]]) -> str:
    return r"\cup".join(f"{left}{min(a, b)},{max(a, b)}{right}" for a, b, left, right in parts)


def holds(parts: list[tuple[int, int, str, str]], x: float) -> bool:
    return any(
        min(a, b) < x < max(a, b) or (x == min(a, b) and left == "[" and (x < max(a, b) or right == "]"))
        or (x == max(a, b) and right == "]" and (x > min(a, b) or left == "["))
        for a, b, left, right in parts
    )  # fmt: skip


@given(_SETS, _SETS)
def test_two_unions_are_the_same_when_they_hold_the_same_numbers(
    a: list[tuple[int, int, str, str]], b: list[tuple[int, int, str, str]]
) -> None:
    """Ends are whole, so whole and half numbers tell any two such sets apart."""
    first, second = pieces(text_of(a)), pieces(text_of(b))
    assert first is not None and second is not None
    numbers = [k / 2 for k in range(-10, 11)]
    assert same_reals(first, second) is all(holds(a, x) == holds(b, x) for x in numbers)
    both = merged(intersection(first, second))
    outside = merged([*complement(first), *complement(second)])
    assert same_reals(merged(complement(both)), outside)
    assert same_reals(merged([*first, *complement(first)]), LINE)
