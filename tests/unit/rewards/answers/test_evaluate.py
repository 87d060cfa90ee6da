"""Values of trees, worked by hand: exactly where they are fractions, to 50 digits elsewhere, and what has none."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from fractions import Fraction

import mpmath
import pytest

from oneshot.rewards.answers.evaluate import DIGITS, Evaluator, TooBig, Undefined, Value, approximate, context
from oneshot.rewards.answers.grammar import parse
from oneshot.rewards.answers.text import clean
from oneshot.rewards.answers.tokens import tokenize


def value(text: str, *, real: bool = True, **point: int) -> Value:
    return Evaluator({k: Fraction(v) for k, v in point.items()}, real=real)(parse(tokenize(clean(text))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1/3+1/6", Fraction(1, 2)),
        ("2-3*4", Fraction(-10)),
        ("0.1+0.2", Fraction(3, 10)),
        (r"2\frac{3}{4}", Fraction(11, 4)),
        ("2^{10}", Fraction(1024)),
        ("2^{-2}", Fraction(1, 4)),
        ("(-2)^3", Fraction(-8)),
        ("-2^2", Fraction(-4)),
        ("4^{1/2}", Fraction(2)),
        ("8^{2/3}", Fraction(4)),
        (r"(\frac{4}{9})^{-1/2}", Fraction(3, 2)),
        (r"\sqrt{144}", Fraction(12)),
        (r"\sqrt{\frac{9}{16}}", Fraction(3, 4)),
        (r"\sqrt[3]{-27}", Fraction(-3)),
        (r"\sqrt[4]{\frac{1}{16}}", Fraction(1, 2)),
        ("7!", Fraction(5040)),
        ("0!", Fraction(1)),
        (r"\binom{5}{2}", Fraction(10)),
        (r"\binom{40}{20}", Fraction(137846528820)),
        ("|-5/2|", Fraction(5, 2)),
        (r"\lfloor -2.5 \rfloor", Fraction(-3)),
        (r"\lceil -2.5 \rceil", Fraction(-2)),
        (r"\max(1/3,1/2)", Fraction(1, 2)),
        (r"\min(1/3,-1/2)", Fraction(-1, 2)),
        (r"\gcd(12,18)", Fraction(6)),
        (r"lcm(4,6)", Fraction(12)),
        (r"\ln 1", Fraction(0)),
        (r"\exp(0)", Fraction(1)),
        ("30^\\circ", Fraction(30)),
        ("31_7", Fraction(22)),
        ("0^5", Fraction(0)),
        (r"\frac{2006!}{2004!}", Fraction(2006 * 2005)),
        ("(1-10^{-40})-1", Fraction(-1, 10**40)),
    ],
)
def test_exact(text: str, expected: Fraction) -> None:
    found = value(text)
    assert isinstance(found, Fraction)
    assert found == expected


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        (r"\sqrt{2}", "1.4142135623730950488016887242096980785696718753769"),
        (r"\pi", "3.1415926535897932384626433832795028841971693993751"),
        ("e", "2.7182818284590452353602874713526624977572470937000"),
        (r"\ln 2", "0.69314718055994530941723212145817656807550013436026"),
        (r"\sqrt[3]{2}", "1.2599210498948731647672106072782283505702514647015"),
        ("8*4^{1/3}", "12.69920841574559579801364511417846608313194662319882"),
        (r"\log 2", "0.30102999566398119521373889472449302676818988146211"),
        (r"\sin 1", "0.84147098480789650665250232163029899962256306079837"),
        (r"\arctan 1", "0.78539816339744830961566084581987572104929234984378"),
        (r"(1/2)!", "0.88622692545275801364908374167057259139877472806119"),
    ],
)
def test_fifty_digits(text: str, digits: str) -> None:
    with mpmath.workdps(60):
        assert abs(value(text) - mpmath.mpf(digits)) < mpmath.mpf(10) ** -47


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\sin 30^\circ", 0.5),
        (r"\cos\pi", -1),
        (r"\tan\frac{\pi}{4}", 1),
        (r"\sec 0", 1),
        (r"\csc\frac{\pi}{2}", 1),
        (r"\cot\frac{\pi}{4}", 1),
        (r"\log_2 8", 3),
        (r"\log 1000", 3),
        (r"\sin^2 5+\cos^2 5", 1),
        (r"\sqrt{2}\sqrt{8}", 4),
        (r"e^{\ln 7}", 7),
        (r"\sinh 0", 0),
    ],
)
def test_inexact_but_whole(text: str, expected: float) -> None:
    assert abs(approximate(value(text)) - expected) < mpmath.mpf(10) ** -50


def test_letters_take_the_values_of_the_point() -> None:
    assert value("x^2-3xy", x=2, y=5) == -26
    assert value("a/b", a=1, b=3) == Fraction(1, 3)


def test_complex_values() -> None:
    assert approximate(value("(1+i)^2", real=False)) == mpmath.mpc(0, 2)
    assert abs(value(r"e^{i\pi}", real=False) + 1) < mpmath.mpf(10) ** -50
    assert abs(value(r"\sqrt{-4}", real=False) - mpmath.mpc(0, 2)) < mpmath.mpf(10) ** -50
    assert abs(value(r"\ln(-1)", real=False).imag - mpmath.pi) < 1e-12


@pytest.mark.parametrize(
    "text",
    [
        "1/0", r"\frac{1}{2-2}", "0^0", "0^{-1}", r"\ln 0", "(-1)!", r"\binom{-1}{2}", r"\tan\frac{\pi}{2}",
        r"\sqrt{-1}",
        r"\ln(-2)", "i", "(-8)^{1/3}", r"\arcsin 2", r"\infty", r"1/\sin 0", r"\frac{0}{0}", "arctanh(1)",
        r"\gcd(1.5,2)",
    ],
)  # fmt: skip
def test_undefined_over_the_reals(text: str) -> None:
    with pytest.raises(Undefined):
        value(text)


@pytest.mark.parametrize(
    "text",
    ["9^{9^{9^9}}", "9^{9^{9^{9^9}}}", "2^{2^{100}}", "(10^{30})!", r"\binom{10^{30}}{5}", r"\exp(10^{40})",
     r"\sin 10^{31}",
     "2^{-2^{100}}", "((10^{20})!)!"],
)  # fmt: skip
def test_too_big(text: str) -> None:
    with pytest.raises(TooBig):
        value(text)


def test_large_but_within_reach() -> None:
    """9^(9^9) has 369,693,100 digits; it is held as a logarithm."""
    tower = value("9^{9^9}")
    assert mpmath.floor(mpmath.log10(tower)) == 369_693_099
    assert mpmath.floor(mpmath.log10(value("99999999999!"))) > 10**12
    assert mpmath.floor(mpmath.log10(value(r"\binom{10^9}{5\cdot 10^8}"))) == 301_029_991  # 2^n / sqrt(pi n / 2)


def test_the_largest_term_of_a_sum_is_known() -> None:
    evaluator = Evaluator({}, real=True)
    evaluator(parse(tokenize("1000-999+1/2")))
    assert evaluator.largest == 0  # exact: no rounding to be measured by it
    evaluator(parse(tokenize("1000-999+pi")))
    assert evaluator.largest == 1000


@pytest.mark.parametrize(
    "text",
    ["9^{9^{9^9}}", r"\binom{10^9}{5\cdot 10^8}", "99999999999!", "3000!", "2^{32000}", "1/2004!-1/2006!",
     "(x+1)^{100000}",
     "+".join(f"{n}!" for n in range(900, 1000)), "*".join(["999!"] * 100), r"\sqrt[64]{2^{32000}}", r"\tan 10^{29}",
     "*".join(["(1/997)^{500}"] * 60), r"\max(" + ",".join(["2^{9999}"] * 90) + ")"],
)  # fmt: skip
def test_hard_sums_do_not_hang(text: str) -> None:
    start = time.perf_counter()
    with suppress(TooBig, Undefined):
        value(text, x=3)
    assert time.perf_counter() - start < 10


def test_every_thread_has_its_own_precision() -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(context()))
    thread.start()
    thread.join()
    assert found[0] is not context()
    assert context() is context()
    assert context().dps == DIGITS
