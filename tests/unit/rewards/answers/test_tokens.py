"""Answers as tokens."""

from __future__ import annotations

import time
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.answers.tokens import MAX_DIGITS, MAX_EXPONENT, MAX_TOKENS, Unreadable, numeral, tokenize


def texts(text: str) -> list[str]:
    return [token.text for token in tokenize(text)]


@pytest.mark.parametrize(
    ("text", "value", "places", "digits"),
    [
        ("12", 12, -1, 2),
        ("007", 7, -1, 1),
        ("0", 0, -1, 0),
        ("12.80", Fraction(64, 5), 2, 4),
        ("0.00120", Fraction(3, 2500), 5, 3),
        (".5", Fraction(1, 2), 1, 1),
        ("5.", 5, 0, 1),
        ("1.5e3", 1500, 0, 2),
        ("1.5e-3", Fraction(3, 2000), 4, 2),
        ("4.5E33", 45 * 10**32, 0, 2),
        ("2e3", 2000, 0, 1),
        ("1e-2", Fraction(1, 100), 2, 1),
    ],
)
def test_a_numeral_is_exact_and_knows_how_it_was_written(text: str, value: Fraction, places: int, digits: int) -> None:
    [token] = tokenize(text)
    assert (token.kind, token.value, token.places, token.digits) == ("number", value, places, digits)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,234", ["1234"]),
        ("154,320,000", ["154320000"]),
        ("1,234.5", ["1234.5"]),
        ("-1,234", ["-", "1234"]),
        ("{1,234}", ["{", "1234", "}"]),  # braces are no list
        ("1,234,56", ["1234", ",", "56"]),
        ("12,34", ["12", ",", "34"]),
        ("1,23", ["1", ",", "23"]),
        ("1,2345", ["1", ",", "2345"]),
        ("1234,567", ["1234", ",", "567"]),
        ("32, 349", ["32", ",", "349"]),
        ("1.5,234", ["1.5", ",", "234"]),
        # inside brackets a list, unless a group begins with a zero, which no number of a list would
        ("(1,234)", ["(", "1", ",", "234", ")"]),
        (r"\{3,100\}", ["\\{", "3", ",", "100", "\\}"]),
        ("[1,024]", ["[", "1024", "]"]),
        ("(3,000,5)", ["(", "3000", ",", "5", ")"]),
        ("f(1)+1,234", ["f", "(", "1", ")", "+", "1234"]),
    ],
)
def test_commas_between_digits(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("x", [("name", "x")]),
        ("xyz", [("word", "xyz")]),
        ("sin", [("function", "sin")]),
        (r"\sin", [("function", "sin")]),
        (r"\asin", [("function", "arcsin")]),
        ("pi", [("constant", "pi")]),
        ("oo", [("constant", "infty")]),
        (r"\infty", [("constant", "infty")]),
        (r"\alpha", [("name", "alpha")]),
        (r"\varphi", [("name", "phi")]),
        (r"\leq", [("op", "<=")]),
        ("<=", [("op", "<=")]),
        ("=<", [("op", "<=")]),
        ("!=", [("op", "!=")]),
        ("**", [("op", "^")]),
        ("==", [("op", "=")]),
        (r"\cdot", [("op", "*")]),
        (r"\%", [("op", "%")]),
        ("and", [("op", "and")]),
        (r"\{", [("open", "\\{")]),
        (r"\rfloor", [("close", "rfloor")]),
        (r"\text{ cm}", [("text", " cm")]),
        (r"\\", [("row", "\\\\")]),
        (r"\begin{pmatrix}", [("open", "matrix:pmatrix")]),
        (r"\end{align*}", [("close", "matrix:align")]),
        (r"\frac", [("command", "frac")]),
        ("np", [("word", "np")]),
    ],
)
def test_kinds(text: str, kinds: list[tuple[str, str]]) -> None:
    assert [(token.kind, token.text) for token in tokenize(text)] == kinds


def test_an_exponent_needs_its_digits() -> None:
    assert texts("2e") == ["2", "e"]
    assert texts("2ex") == ["2", "ex"]
    assert texts("2e3x") == ["2", "e", "3", "x"]
    assert texts("2e+") == ["2", "e", "+"]


def test_a_space_before_a_token_is_kept_in_mind() -> None:
    assert [token.spaced for token in tokenize("a b+ c")] == [False, True, False, True]


def test_limits() -> None:
    assert len(tokenize("+" * MAX_TOKENS)) == MAX_TOKENS
    with pytest.raises(Unreadable):
        tokenize("+" * (MAX_TOKENS + 1))
    assert numeral("9" * MAX_DIGITS).value == 10**MAX_DIGITS - 1
    with pytest.raises(Unreadable):
        numeral("9" * (MAX_DIGITS + 1))
    assert numeral(f"1e{MAX_EXPONENT}").value == 10**MAX_EXPONENT
    for text in (f"1e{MAX_EXPONENT + 1}", "1e-99999", "1e999999999", "1e" + "9" * 3_000):
        with pytest.raises(Unreadable):
            numeral(text)


@given(st.text(alphabet=st.characters(), max_size=200))
def test_raises_nothing_else(text: str) -> None:
    try:
        assert all(token.kind for token in tokenize(text))
    except Unreadable:
        assert len(text) > 0


@given(st.integers(0, 10**18))
def test_a_whole_number_with_commas_is_itself(number: int) -> None:
    [token] = tokenize(f"{number:,}")
    assert token.value == number


@pytest.mark.parametrize("piece", ["1", "1,", "1,111", "1e", ".", "\\text{", "\\", " ", "a", "1 "])
def test_time_is_linear(piece: str) -> None:
    start = time.perf_counter()
    with suppress(Unreadable):
        tokenize(piece * (100_000 // len(piece)))
    assert time.perf_counter() - start < 10
