"""Words beside a number: what is taken off, what counts, what stops it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from oneshot.rewards.answers.text import clean
from oneshot.rewards.answers.tokens import tokenize
from oneshot.rewards.answers.units import is_unit_text, multiplier, without_letters, without_unit, words_of


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (r"14 \text{ cm}", "14"),
        (r"14\,\mathrm{cm}^2", "14"),
        (r"14\text{ cm}^{2}", "14"),
        ("14 cm", "14"),
        ("14 cm^2", "14"),
        ("14 cm2", "14"),
        (r"9.8 \text{ m/s}^2", "9.8"),
        ("60 mph", "60"),
        ("5 km/h", "5"),
        (r"9.8\frac{\text{m}}{\text{s}^2}", "9.8"),
        (r"5 \text{ square feet}", "5"),
        ("5 square feet", "5"),
        ("14 apples", "14"),
        (r"12\text{ ways}", "12"),
        (r"3\cdot\text{m}", "3"),
        (r"x^2\text{ cm}", "x^2"),
        (r"\frac{3}{4}\text{ hours}", "frac{3}{4}"),
        (r"5\text{ }", "5"),
        # not a unit
        ("14", "14"),
        ("2x", "2x"),
        ("15 m", "15m"),
        ("cm", "cm"),
        (r"\text{cm}", "cm"),
        (r"5\text{ or }6", "5 or 6"),
        (r"5\text{ million}", "5 million"),
        (r"5\text{ percent}", "5 percent"),
        (r"5\text{ less than }x", "5 less than x"),
        (r"5\text{ if }x>0", "5 if x>0"),
        (r"7\text{ mod }12", "7 mod 12"),
        (r"\text{at most }5", "at most 5"),
        ("5 sec x", "5secx"),
        (r"(5\text{ cm}", "(5 cm"),
    ],
)
def test_without_unit(text: str, left: str) -> None:
    assert "".join(token.text for token in without_unit(tokenize(clean(text)))) == left


@pytest.mark.parametrize(
    ("text", "left", "factor", "percent"),
    [
        ("6.5 million", "6.5", 10**6, False),
        (r"6.5\text{ million}", "6.5", 10**6, False),
        ("5 dozen", "5", 12, False),
        ("2 hundred thousand", "2", 10**5, False),
        (r"35\%", "35", 1, True),
        ("35%", "35", 1, True),
        ("35 percent", "35", 1, True),
        (r"35\text{ percent}", "35", 1, True),
        ("million", "million", 1, False),
        ("35", "35", 1, False),
    ],
)
def test_multipliers_and_percent_signs(text: str, left: str, factor: int, percent: bool) -> None:
    tokens, by, sign = multiplier(tokenize(clean(text)))
    assert ("".join(token.text for token in tokens), by, sign) == (left, Fraction(factor), percent)


@pytest.mark.parametrize(
    ("text", "left"),
    [("15 m", "15"), ("9.8 m/s^2", "9.8"), ("-5 N", "-5"), ("15m", None), ("15 x", None), ("15", None), ("m 15", None),
    ("15 m+1", None),
     ("x m", None)],
)  # fmt: skip
def test_a_number_whose_letters_may_be_a_unit(text: str, left: str | None) -> None:
    found = without_letters(tokenize(text))
    assert (None if found is None else "".join(token.text for token in found)) == left


def test_unit_texts() -> None:
    assert [is_unit_text(text) for text in (" cm", " square feet", "", " ", "°")] == [True] * 5
    assert [is_unit_text(text) for text in (" or ", "million", " percent", "5", " 12 cm", "if x")] == [False] * 6
    assert words_of(" Square-Feet 2") == ["square", "feet"]
