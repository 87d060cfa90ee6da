"""One spelling for what is written many ways."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.answers.text import clean, compact

UNICODE = {
    "minus": ("\u22128", "-8"), "en dash": ("2\u20133", "2-3"), "hyphen": ("2\u20103", "2-3"),
    "half": ("½", r"\frac{1}{2}"),
    "third": ("⅓", r"\frac{1}{3}"), "seven eighths": ("⅞", r"\frac{7}{8}"), "mixed": ("3⅓", r"3\frac{1}{3}"),
    "square": ("x²", "x^{2}"), "run of superscripts": ("x¹⁰", "x^{10}"), "minus one": ("x⁻¹", "x^{-1}"),
    "letter above": ("e⁻ˣ", "e^{-x}"), "subscript": ("x₁", "x_{1}"), "run of subscripts": ("aₙ₊₁", "a_{n+1}"),
    "both scripts": ("x₁²", "x_{1}^{2}"), "root": ("2√3", r"2\sqrt 3"), "cube root": ("∛8", r"\sqrt[3]8"),
    "fourth root": ("∜2", r"\sqrt[4]2"), "pi": ("π", r"\pi"), "greek": ("α+β", r"\alpha+\beta"),
    "capital": ("Ω", r"\Omega"),
    "micro is mu": ("µ", r"\mu"), "full width": ("\uff13\uff0e\uff15", "3.5"),
    "full width brackets": ("\uff081\uff0c2\uff09", "(1,2)"),
    "degree": ("12°", r"12^\circ"), "infinity": ("∞", r"\infty"), "at most": ("≤", r"\le"), "at least": ("≥", r"\ge"),
    "slanted": ("⩽", r"\le"), "unequal": ("≠", r"\ne"), "times": ("3×4", r"3\times 4"), "dot": ("3·4", r"3\cdot 4"),
    "divided": ("4÷2", "4/2"), "fraction slash": ("1\u20442", "1/2"),
    "angle brackets": ("⟨1,2⟩", r"\langle 1,2\rangle"),
    "union": ("A\u222aB", r"A\cup B"), "element": ("x\u2208\u211d", r"x\in\mathbb{R}"), "empty": ("∅", r"\emptyset"),
    "plus or minus": ("±2", r"\pm 2"), "prime": ("f′", "f'"), "floor": ("⌊x⌋", r"\lfloor x\rfloor"),
    "bar": ("\u2223x\u2223", "|x|"),
    "euro": ("€5", "5"), "pound sign": ("£5", "5"), "circled digit": ("①", "1"), "comma": ("1、2", "1,2"),
    "zero width space": ("5\u200b", "5"), "right to left": ("\u202e5\u202c", "5"), "byte order mark": ("\ufeff5", "5"),
    "mathematical italic": ("\U0001d465", "x"), "letter of no formula": ("é", "é"),
    "lone surrogate": ("\ud800", "\ud800"),
    "no-break space in digits": ("1\u00a0234\u202f567", "1234567"),
    "no-break space between numbers": ("12\u00a034", "12 34"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNICODE)
def test_unicode(name: str) -> None:
    text, expected = UNICODE[name]
    assert compact(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"24 \pi", r"24\pi"),
        (r"\left( 1 , 2 \right)", "(1,2)"),
        (r"\left.x\right|", "x|"),
        (r"\big(x\Big)", "(x)"),
        ("$x^2$", "x^2"),
        (r"\( x \)", "x"),
        (r"\[x\]", "x"),
        ("$1$,$234$", "1, 234"),
        (r"\dfrac{1}{2}", r"\frac{1}{2}"),
        (r"\tfrac{\pi}{2}", r"\frac{\pi}{2}"),
        (r"\cfrac12", r"\frac12"),
        (r"\dbinom{5}{2}", r"\binom{5}{2}"),
        (r"\textbf{(A)}", r"\text{(A)}"),
        (r"\mbox{ cm}", r"\text{cm}"),
        (r"\mathbf{x}", "x"),
        (r"\mathrm{e}", "e"),
        (r"\operatorname{lcm}(2,3)", r"\lcm(2,3)"),
        (r"5\degree", r"5^\circ"),
        (r"\$28.00", "28.00"),
        (r"a\\[4pt]b", r"a\\b"),
        (r"a\\ b", r"a\\b"),
        (r"\displaystyle x", "x"),
        (r"\color{red}5", "5"),
        (r"\hspace{1em}5", "5"),
        (r"a\,b", "a b"),
        (r"a\quad b", "a b"),
        ("a~b", "a b"),
        ("4 2", "4 2"),
        (" a \t\n b ", "a b"),
        ("yes.", "yes"),
        ("5,", "5"),
        ("**12**", "12"),
        (r"\boxed{5}", "{5}"),
        (r"\leftarrow", r"\leftarrow"),  # no `\left`
        (r"\bigcup", r"\bigcup"),
        (r"\textstyleX", r"\textstyleX"),
    ],
)
def test_latex(text: str, expected: str) -> None:
    assert compact(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1{,}234", "1234"),
        (r"1,\!234", "1234"),
        (r"1,\! 234", "1234"),
        (r"1\,234", "1234"),
        ("1~234", "1234"),
        (r"1\,234\,567", "1234567"),
        ("1,234", "1,234"),  # a pair, or a number: the tokens decide
        ("1 234", "1 234"),
        (r"1\,2345", "1 2345"),
        (r"1\,23", "1 23"),
        (r"x\,234", "x 234"),
        ("1{,}23", "1{,}23"),
    ],
)
def test_groups_of_three_digits(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_spaces_between_letters_and_digits_stay() -> None:
    assert compact("4 2 + x y") == "4 2+x y"
    assert clean("4  2 +  x") == "4 2 + x"


@given(st.text(alphabet=st.characters(), max_size=200))
def test_never_raises_and_gives_one_line_without_space_around_it(text: str) -> None:
    assert "\n" not in clean(text)
    assert clean(text) == clean(text).strip()


@given(st.text(alphabet="0123456789abx+-*/^_(){}[]|<>=!&;", max_size=60))
def test_plain_mathematics_is_left_as_it_is(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    "piece", ["\\", "{,}", "1,\\!", "\\left", "$", "\\text{", "²", "½", "\\\\[", "\\color{", "~ ", "\\ "]
)
def test_time_is_linear(piece: str) -> None:
    start = time.perf_counter()
    clean(piece * (200_000 // len(piece)))
    assert time.perf_counter() - start < 10
