"""What the two graders of the paper do to texts before they compare them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from oneshot.rewards.paper.normal import from_words, normal, without_units
from oneshot.rewards.paper.text import inside, last_boxed, rational, repaired, split_at_commas, without_name
from oneshot.rewards.paper.training import mathd, plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.8 miles per hour", "12.8"),
        ("5 cm^2", "5"),
        ("5 cm^{2}", "5"),
        ("12 m/s", "12"),
        ("3 square feet", "3"),
        (r"\frac{1}{2} hour", r"\frac{1}{2}"),
        ("a + 5 m", "a + 5"),
        ("5m", "5m"),
        ("x m", "x m"),
        ("a/s", "a/s"),
        ("hour", "hour"),
        ("m", "m"),
    ],
)
def test_without_units(text: str, expected: str) -> None:
    assert without_units(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("twenty-five", "25"),
        ("two thousand and six", "2006"),
        ("one hundred", "100"),
        ("three million", "3000000"),
        ("zero", "0"),
        ("five apples", "five apples"),
        ("", ""),
        ("24", "24"),
    ],
)
def test_from_words(text: str, expected: str) -> None:
    assert from_words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\dfrac12", r"\frac{1}{2}"),
        ("3.00", "3"),
        ("3.05", "3.05"),
        (".5", "0.5"),
        (r"\text{Tuesday}", "Tuesday"),
        (r"x \in [-2,7]", "[-2,7]"),
        ("x=1, y=2", "1,2"),
        ("k = 5", "5"),
        ("3y=5", "3y=5"),
        (r"\left(1,\ 2\right)", "(1,2)"),
        (r"\{1,2\}", "{1,2}"),
        ("1{,}000", "1,000"),
        (r"60^\circ", "60"),
        (r"\pi x", r"\pi x"),
        ("infinity", r"\infty"),
    ],
)
def test_normal(text: str, expected: str) -> None:
    assert normal(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\dfrac12", r"\frac{1}{2}"),
        (r"\tfrac1{72}", r"\frac{1}{72}"),
        (r"\sqrt3", r"\sqrt{3}"),
        (".5", r"\frac{1}{2}"),
        ("0.5", r"\frac{1}{2}"),
        ("0.25", "0.25"),
        ("4/3", r"\frac{4}{3}"),
        ("a/b", "a/b"),
        ("04/3", "04/3"),
        (r"\left( 1, 2 \right)", "(1,2)"),
        ("k = 5", "5"),
        ("abc = 5", "abc=5"),
        (r"5\text{ a}\text{ b}", r"5\text{ a}\text{ b}"),
    ],
)
def test_mathd(text: str, expected: str) -> None:
    assert mathd(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\frac{x+1}{2}", "(x+1)/2"),
        (r"\frac{2\pi}{3}", "2pi/3"),
        (r"\sqrt[3]{4}", "(4)^(1/3)"),
        (r"\frac{1}{\sqrt{3}}", "1/sqrt(3)"),
        ("3 hours", "3"),
        ("2 \\text{ and } 3", "2,3"),
        ("6.5 million", "6.5*10^6"),
        ("3.0", "3"),
        ("3e-10", "0"),
        ("- 2", "-2"),
        (r"-1\frac{1}{2}", "-(1+1/2)"),
    ],
)
def test_plain(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.80", Fraction(64, 5)),
        ("-.5", Fraction(-1, 2)),
        ("64/5", Fraction(64, 5)),
        (r"-\frac{4}{3}", Fraction(-4, 3)),
        (r"\frac{-1.5}{3}", Fraction(-1, 2)),
        ("3.", Fraction(3)),
        ("1/0", None),
        ("1/0.0", None),
        ("1e5", None),
        ("x", None),
        ("\u0663", None),
        (".", None),
        ("1" * 5_000, None),
    ],
)
def test_rational(text: str, expected: Fraction | None) -> None:
    assert rational(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\boxed{1} \boxed{2}", "2"),
        (r"\boxed{\{1\}}", r"\{1\}"),
        (r"\boxed{1} \boxed{2", None),
        (r"\boxed {1}", None),
        (r"\fbox{1}", None),
        ("", None),
    ],
)
def test_last_boxed(text: str, expected: str | None) -> None:
    assert last_boxed(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(1,2)", "1,2"),
        ("[1,(2,3)]", "1,(2,3)"),
        ("(3,4]", "3,4"),
        ("(1,2),(3,4)", None),
        (r"(0,9)\cup(9,36)", None),
        ("((1)", None),
        ("()", None),
        ("5", None),
    ],
)
def test_inside(text: str, expected: str | None) -> None:
    assert inside(text) == expected


def test_small_helpers() -> None:
    assert split_at_commas("1, (2,3),[4,5] ,f{6,7}") == ["1", "(2,3)", "[4,5]", "f{6,7}"]
    assert [without_name(text) for text in ("k=5", "k =5", "abc=5", "a=b=5", "k=", "5")] == [
        "5",
        "5",
        "abc=5",
        "a=b=5",
        "k=",
        "5",
    ]
    assert repaired(r"\pi  x + \frac a b") == r"\pi x+\frac{a}{b}"
