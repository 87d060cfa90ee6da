"""Whether two readings are the same: which kinds meet, and how."""

from __future__ import annotations

import pytest

from oneshot.rewards.answers.equality import equal
from oneshot.rewards.answers.structure import read

TRUE, FALSE, OPEN = True, False, None

CASES: dict[str, list[tuple[str, str, bool | None]]] = {
    "values": [("1/2", "0.5", TRUE), ("1/2", "0.51", FALSE), ("x+1", "1+x", TRUE), (r"35\%", "7/20", TRUE),
               (r"35\%", "3500", FALSE),
               (r"x\%", "x", TRUE), ("0.333333", "1/3", TRUE), (r"1.414214\times 10^{0}", r"\sqrt{2}", TRUE),
               (r"1.41421356\times 10^{3}", r"1000\sqrt{2}", TRUE), (r"1.4\times 10^{3}", r"1000\sqrt{2}", FALSE)],
    "letters that may be a unit": [("15 m", "15", TRUE), ("15m", "15", FALSE), ("9.8 m/s^2", "9.8", TRUE),
                                   ("15 m", "m", FALSE),
                                   ("15 m", "15x", FALSE), ("15 m", "15 m", TRUE), ("15 m", "16", FALSE),
                                   ("5 s", "5 m", FALSE)],
    "words": [("yes", "Yes", TRUE), ("yes", "no", FALSE), ("yes", "5", FALSE), ("twelve", "12", TRUE),
              ("twelve", "13", FALSE),
              ("Twelve", "12.0", TRUE), (r"\text{no solution}", "no  solution", TRUE),
              ("yes", r"\text{Area}=5", FALSE)],
    "what is not read": [("4:40 a.m.", "4:40 am", TRUE), ("4:40 a.m.", "4:40 p.m.", OPEN),
                         (r"\sum_{i=1}^3 i", "6", OPEN),
                         (r"\sum_{i=1}^3 i", r"\sum_{i=1}^{3} i", TRUE)],
    "lists": [("1,2", "2,1", TRUE), ("1,2", "1,3", FALSE), ("1,2", "1,2,2", FALSE), (r"\{1,1,2\}", r"\{1,2\}", TRUE),
              ("1,1,2", "1,2", FALSE),
              ("5 or 5.0", "5", TRUE), ("5 or 6", "5", FALSE), (r"\{5\}", "5", TRUE),
              ("(1,2),(3,4)", "(3,4),(1,2)", TRUE),
              ("(1,2),(3,4)", "(1,3),(2,4)", FALSE), ("x,y", "y,x", TRUE), (r"\{\}", r"\emptyset", TRUE),
              ("1,1/0", "1,2", OPEN),
              ("x=1 or x=2", "1,2", TRUE), ("x=1, 2", "2,1", TRUE), ("x=2,y=3", "y=3,x=2", TRUE),
              ("x=2,y=3", "x=3,y=2", FALSE), ("1,2", "(1,2)", FALSE)],
    "tuples": [("(1,2)", "(1,2.0)", TRUE), ("(1,2)", "(2,1)", FALSE), ("(x,y)=(1,2)", "(1,2)", TRUE),
               ("((1,2),3)", "((1,2),3.0)", TRUE),
               ("(1,1/0)", "(1,2)", OPEN), ("(2,1/0)", "(1,2)", FALSE), (r"\langle 1,2\rangle", "(1,2)", TRUE),
               ("[1,2]", "(1,2)", FALSE),
               ("(a,b)", "(a,b)", TRUE), ("[a,b)", "(a,b]", FALSE)],
    "pairs beside sets of reals": [("(1,2)", "1<x<2", TRUE), ("(2,1)", "1<x<2", OPEN), ("[1,2]", r"x\in[1,2]", TRUE),
                                   ("(1,2)", r"x\in(1,2)", TRUE),
                                   (r"\mathbb{R}", r"(-\infty,\infty)", TRUE), ("x<1 or x>1", r"x\ne 1", TRUE)],
    "matrices": [(r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{bmatrix}1&2\end{bmatrix}", TRUE),
                 ("[[1,2],[3,4]]", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", TRUE),
                 (r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}", FALSE),
                 (r"\begin{pmatrix}1\\2\end{pmatrix}^T", r"\begin{pmatrix}1&2\end{pmatrix}", TRUE),
                 (r"\frac12\begin{pmatrix}2&4\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}", TRUE),
                 (r"\begin{pmatrix}x+1\end{pmatrix}", r"\begin{pmatrix}1+x\end{pmatrix}", TRUE),
                 (r"\begin{pmatrix}1\end{pmatrix}", "1", FALSE)],
    "ratios": [("3:4", "6:8", TRUE), ("3:4", "4:3", FALSE), ("1:2:3", "2:4:6", TRUE), ("1:2:3", "1:2", FALSE),
               ("1:2", "1/2", OPEN)],
    "equations": [("x=5", "5", TRUE), ("5=x", "5", TRUE), ("x=5", "6", FALSE), ("y=2x+1", "2x-y+1=0", TRUE),
                  ("y=2x+1", "2x+y+1=0", FALSE),
                  ("f(x)=x^2", "x^2", TRUE), ("f(x)=x^2", "g(x)=x^2", TRUE), ("f(x)=x^2", "x^3", FALSE),
                  ("x^2=4", "2", FALSE),
                  ("x=2+3=5", "5", TRUE), (r"x=\sqrt2\approx 1.41", r"\sqrt2", TRUE),
                  (r"x=\sqrt2\approx 1.41", "1.41", FALSE),
                  (r"\angle ABC=90^\circ", "90", TRUE), ("AB=5", "5", TRUE), ("x^2+y^2=4", "y^2+x^2-4=0", TRUE),
                  ("2+3=5", "5", TRUE)],
    "inequalities": [("a<b", "b>a", TRUE), ("a<b", "b<a", FALSE), ("a<b", r"a\le b", FALSE), ("2a<2b", "a<b", TRUE),
                     ("-a<-b", "a>b", TRUE),
                     ("x>5", "x>5.0", TRUE), ("x>5", "5", FALSE), ("a<b<c", "c>b>a", TRUE),
                     ("a<b<c", r"a<b\le c", OPEN)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [pytest.param(*case, id=f"{kind}-{i}") for kind, cases in CASES.items() for i, case in enumerate(cases)],
)
def test_equal(a: str, b: str, expected: bool | None) -> None:
    assert equal(read(a), read(b)) is expected
    assert equal(read(b), read(a)) is expected


@pytest.mark.parametrize(
    "text",
    sorted(
        {text for cases in CASES.values() for a, b, _ in cases for text in (a, b)} - {"1,1/0", "(1,1/0)", "(2,1/0)"}
    ),
)
def test_everything_is_equal_to_itself(text: str) -> None:
    assert equal(read(text), read(text)) is True


def test_matching_of_lists_is_bounded() -> None:
    """64 items against 64 in reverse order: 64 * 64 comparisons at most, not 64!."""
    items = [rf"\sqrt{{{k}}}+x" for k in range(2, 60)]
    assert equal(read(",".join(items)), read(",".join(reversed(items)))) is True
    assert equal(read(",".join(items)), read(",".join([*reversed(items[1:]), "x"]))) is False
