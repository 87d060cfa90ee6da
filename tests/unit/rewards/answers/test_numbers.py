from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.answers.numbers import MAX_EXPONENT, MAX_TEXT, equal, parse
from oneshot.rewards.answers.text import compact


def value(text: str) -> Fraction | None:
    number = parse(text)
    return None if number is None else number.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.8", Fraction(64, 5)),
        ("64/5", Fraction(64, 5)),
        (r"\frac{64}{5}", Fraction(64, 5)),
        (r"\dfrac{64}{5}", Fraction(64, 5)),
        (r"\frac12", Fraction(1, 2)),
        (r"\frac 1 2", Fraction(1, 2)),
        (r"-\frac{3}{4}", Fraction(-3, 4)),
        (r"\frac{-3}{4}", Fraction(-3, 4)),
        ("-1./3", Fraction(-1, 3)),
        ("1 / 2", Fraction(1, 2)),
        ("1,000", Fraction(1000)),
        ("154,320,000", Fraction(154_320_000)),
        ("1{,}000", Fraction(1000)),
        (r"16,\!000", Fraction(16_000)),
        ("32\u00a0349", Fraction(32_349)),
        ("016", Fraction(16)),
        ("+2", Fraction(2)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("\u22128", Fraction(-8)),
        (r"2\frac{3}{4}", Fraction(11, 4)),
        (r"-2\frac{3}{4}", Fraction(-11, 4)),
        ("1 3/4", Fraction(7, 4)),
        ("4.5e33", Fraction(45 * 10**32)),
        ("1.5E-3", Fraction(3, 2000)),
        (r"6.02 \times 10^{23}", Fraction(602 * 10**21)),
        (r"6.02 \cdot 10^{-2}", Fraction(602, 10_000)),
        ("3 x 10^5", Fraction(300_000)),
        (r"\$12.50", Fraction(25, 2)),
        ("$12.50$", Fraction(25, 2)),
        (r"$\frac{40}{9}$", Fraction(40, 9)),
        (r"\( 12 \)", Fraction(12)),
        (r"\[ 12 \]", Fraction(12)),
        (r"60^\circ", Fraction(60)),
        (r"60^{\circ}", Fraction(60)),
        (r"14 \text{ cm}", Fraction(14)),
        (r"14 \text{ cm}^2", Fraction(14)),
        (r"12.8 \text{ miles per hour}", Fraction(64, 5)),
        ("\uff15\uff0e\uff15", Fraction(11, 2)),  # full width
        ("1/-3", Fraction(-1, 3)),
        ("V = 12.8", Fraction(64, 5)),
        (r"99\%", Fraction(99)),
        ("0", Fraction(0)),
    ],
)
def test_reads(text: str, expected: Fraction) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ".", "-", "1/0", r"\frac{1}{0}", "0/0", "32, 349", "32 349", "1,23", "3,-7", "(1,234)",
        r"3, \frac{100}{7}", r"\frac{1}{2}3", r"2\frac{-3}{4}", r"13 \text{ or } 15", r"6.5 \text{ million}",
        r"5\text{ dozen}", "5-3", "--5", "1_000", "0x10", "31_7", "4:40", "1/2/3", "2^3", r"\sqrt{4}", r"24\pi",
        "nan", "inf", "-inf", "None", "True", "\u0663", r"\text{12.8}", "1e", "e5", "1.2.3", "twelve", "5 cm",
        '__import__("os").getcwd()', "8^{8^{8}}", "9**9**9",
    ],
)  # fmt: skip
def test_does_not_read(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("text", ["1e999999999", "1e-999999999", f"1e{MAX_EXPONENT + 1}", r"2 \times 10^{99999999999}"])
def test_a_huge_power_is_refused_at_once(text: str) -> None:
    start = time.perf_counter()
    assert parse(text) is None
    assert time.perf_counter() - start < 0.5


def test_the_largest_power_is_read() -> None:
    assert value(f"1e{MAX_EXPONENT}") == 10**MAX_EXPONENT


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("12.8", "64/5", True),
        ("12.8", r"\frac{64}{5}", True),
        ("12.80", "12.8", True),
        ("12.8", "12.7", False),
        ("12.8", "12.699208", False),
        ("1,000", "1000", True),
        ("0.5", "1/2", True),
        (r"\frac{10}{16}", r"\frac{5}{8}", True),
        ("98765432109876543", "98765432109876544", False),
        ("1e-9", "0", False),
        # percent: the sign may be missing on one side, or the value may be written out; never a plain factor of 100
        ("35%", "35", True),
        ("35%", "0.35", True),
        ("35", "0.35", False),
        ("3500", "35%", False),
        ("35%", "0.35%", False),
        # a decimal of 6 digits stands for a fraction without a finite decimal, cut or rounded; one of 3 does not
        ("2/7", "0.2857142857", True),
        ("2/3", "0.666667", True),
        ("2/3", "0.666666", True),
        ("2/3", "0.666668", False),
        ("2/7", "0.29", False),
        ("1/3", "0.333", False),
        ("1/3", "0.000333333", False),
        ("64/5", "12.80001", False),
        ("1000000/3", "333333", False),
        # ... and for a fraction that ends, of more digits than that
        ("0.000976563", "1/1024", True),
        ("0.000976562", "1/1024", True),
        ("0.000976564", "1/1024", False),
        ("0.00097656", "1/1024", False),
        ("0.0009765625", "1/1024", True),
        ("0.123457", "12345678901/100000000000", True),
        ("0.123457", "0.12345678901", False),  # a decimal is no exact value
        ("0.312501", "5/16", False),
        ("0.9999999", "3/3", False),
    ],
)
def test_equal(a: str, b: str, expected: bool) -> None:
    left, right = parse(a), parse(b)
    assert left is not None
    assert right is not None
    assert equal(left, right) is expected
    assert equal(right, left) is expected


@given(st.fractions(max_denominator=10**6))
def test_every_way_to_write_a_fraction_is_the_same_number(x: Fraction) -> None:
    sign = "-" if x < 0 else ""
    top, bottom = abs(x.numerator), x.denominator
    whole, rest = divmod(top, bottom)
    written = [f"{sign}{top}/{bottom}", rf"{sign}\frac{{{top}}}{{{bottom}}}", rf"\dfrac{{{sign}{top}}}{{{bottom}}}"]
    written += [
        f"{sign}{top:,}/{bottom}",
        rf"{sign}{whole}\frac{{{rest}}}{{{bottom}}}",
        f"{sign}{whole} {rest}/{bottom}",
    ]
    assert [value(text) for text in written] == [x] * len(written)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
def test_decimals_are_exact(x: object) -> None:
    assert value(f"{x:f}") == Fraction(str(x))
    assert value(f"{x:,f}") == Fraction(str(x))


@given(st.text(alphabet=st.characters(), max_size=500))
def test_never_raises_and_reads_no_number_without_a_numeral(text: str) -> None:
    assert parse(text) is None or any(sign.isnumeric() for sign in text)


@given(st.text(alphabet="0123456789.,-+/ eE%$\\{}frac^x=", max_size=40))
def test_what_is_read_is_equal_to_itself_and_survives_cleaning(text: str) -> None:
    number = parse(text)
    if number is not None:
        assert equal(number, number)
        again = parse(compact(text))
        assert again is not None
        assert again.value == number.value


def test_a_longer_text_is_no_number_here() -> None:
    assert value("7" * MAX_TEXT) == Fraction(int("7" * MAX_TEXT))
    assert parse("7" * (MAX_TEXT + 1)) is None
