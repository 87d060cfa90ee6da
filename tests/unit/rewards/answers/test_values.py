"""When two expressions are the same value, and when a rounded decimal stands for one."""

from __future__ import annotations

import math
import subprocess
import sys
import threading

import pytest

from oneshot.rewards.answers.decimals import stands_for
from oneshot.rewards.answers.grammar import parse
from oneshot.rewards.answers.points import smooth
from oneshot.rewards.answers.text import clean
from oneshot.rewards.answers.tokens import tokenize
from oneshot.rewards.answers.tree import Node
from oneshot.rewards.answers.values import (
    constant,
    equal_values,
    number_of,
    proportional,
    variables,
)


def read(text: str) -> Node:
    return parse(tokenize(clean(text)))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("x^2-9", "(x-3)(x+3)", True),
        ("x^2-9", "(x-3)^2", False),
        ("(x+1)^{100000}", "(x+1)^{99999}(x+1)", True),
        ("(x+1)^{100000}", "(x+1)^{100001}", False),
        (r"\sqrt{x^2}", "|x|", True),
        (r"\sqrt{x^2}", "x", False),
        (r"2\ln|x|", r"\ln x^2", True),
        ("n!", "n(n-1)!", True),
        (r"\binom{n}{2}", "n(n-1)/2", True),
        (r"\arcsin x+\arccos x", r"\frac{\pi}{2}", True),
        (r"\sin^{-1} x", r"\frac{1}{\sin x}", False),
        (r"\log x", r"\ln x", False),
        ("x+y", "y+x", True),
        ("x", "y", False),
        ("x", "1", False),
        ("0x", "0", True),
        (r"\frac{x}{x}", "1", True),
        ("f(2)", "f(3)", False),
        ("x_1", "x_2", False),
        # constants
        (r"\sqrt{5+2\sqrt6}", r"\sqrt2+\sqrt3", True),
        (r"\sqrt[3]{2+\sqrt5}+\sqrt[3]{2-\sqrt5}", "1", True),
        (r"\cos 20^\circ\cos 40^\circ\cos 80^\circ", "1/8", True),
        (r"e^{\pi\sqrt{163}}", "262537412640768744", False),
        (r"\sqrt{2}-\sqrt{2}", "0", True),
        ("1/2004!", "1/2006!", False),
        ("1/2^{99}", "1/2^{98}", False),
        ("10^{-60}", "0", False),
        ("1-1/e", "1+1/e", False),
        ("e^{i\\pi}", "-1", True),
        (r"\sqrt{-1}", "i", True),
        ("(1+i)^2", "2i", True),
        ("2+7i", "2-7i", False),
        (r"\infty", r"\infty+0", None),
        (r"\infty", r"-\infty", False),
        (r"\infty", "5", False),
        ("9^{9^{9^9}}", "12.8", False),
        ("9^{9^{9^9}}", r"\sqrt{2}", False),
        ("9^{9^{9^9}}", "9^{9^{9^8}}", None),
        ("9^{9^9}", "9^{9^9}+0", None),
        ("9^{9^9}", "9^{9^8}", False),
        ("1/0", "5", None),
        ("1/0", "1/(1-1)", None),
        ("5", "five", None),
        ("hello", "hello", None),
        ("x" * 2_001, "x", None),
    ],
)
def test_equal_values(a: str, b: str, expected: bool | None) -> None:
    assert equal_values(a, b) is expected
    assert equal_values(b, a) is expected


@pytest.mark.parametrize(
    ("decimal", "exact", "expected"),
    [
        # five digits are too few, six are enough
        ("0.33333", "1/3", False),
        ("0.333333", "1/3", True),
        ("3.1416", r"\pi", False),
        ("3.14159", r"\pi", True),
        ("0.0033333", "1/300", False),
        ("0.00333333", "1/300", True),
        # cut or rounded, nothing else
        ("0.666666", "2/3", True),
        ("0.666667", "2/3", True),
        ("0.666668", "2/3", False),
        ("0.666665", "2/3", False),
        ("3.141592", r"\pi", True),
        ("3.141593", r"\pi", True),
        ("3.141594", r"\pi", False),
        ("3.141591", r"\pi", False),
        ("-0.666667", "-2/3", True),
        ("-0.666666", "-2/3", True),
        ("-0.666668", "-2/3", False),
        # a fraction that ends is rounded too, but no whole number is
        ("0.123457", "0.12345678901", True),
        ("0.123456", "0.12345678901", True),
        ("0.123458", "0.12345678901", False),
        ("0.999999", "1", False),
        ("1.000000", "1", True),
        ("3.000001", "3", False),
        # whole numbers round nothing
        ("141421", r"100000\sqrt{2}", False),
        ("123457", "123456.7", False),
        ("0.666667", "-2/3", False),
        ("0.666667", "i", False),
    ],
)
def test_a_decimal_stands_for_an_exact_value(decimal: str, exact: str, expected: bool) -> None:
    value = constant(read(exact))
    assert value is not None
    assert stands_for(read(decimal), value) is expected


@pytest.mark.parametrize(
    ("a", "b", "positive", "expected"),
    [
        ("3x-y-1", "y-3x+1", False, True),
        ("3x-y-1", "y-3x+1", True, False),
        ("3x-y-1", "6x-2y-2", True, True),
        ("3x-y-1", "3x-y+1", False, False),
        (r"x\sqrt2", "x", True, True),
        ("x", "x^2", False, False),
        ("x", "xy", False, False),
        ("x^2+y^2-4", r"\frac{x^2}{4}+\frac{y^2}{4}-1", True, True),
        ("5", "5", False, None),
    ],
)
def test_proportional(a: str, b: str, positive: bool, expected: bool | None) -> None:
    assert proportional(read(a), read(b), positive=positive) is expected
    assert proportional(read(b), read(a), positive=positive) is expected


def test_variables() -> None:
    assert variables(read("x_1^2+ab-e^{i\\pi}")) == {"x_1", "a", "b"}
    assert variables(read("2+3")) == frozenset()


def test_the_points_are_fixed_and_tell_letters_apart() -> None:
    names = ("a", "b", "c", "d")
    rows = list(smooth(names))
    assert rows == list(smooth(names))
    assert len(rows) == 12
    for row in rows:
        assert len({abs(v) for v in row.values()}) == len(names)
        assert not {0, 1, -1} & set(row.values())
    assert any(v < 0 for row in rows for v in row.values())
    assert any(v.denominator == 1 for row in rows for v in row.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5/2", 2.5),
        (r"\sqrt{2}", math.sqrt(2)),
        ("i", 1j),
        ("x", None),
        ("1/0", None),
        ("9^{9^9}", math.inf),
        ("?", None),
    ],
)
def test_number_of(text: str, expected: complex | None) -> None:
    found = number_of(text)
    assert found == pytest.approx(expected) if expected is not None else found is None


MANY = [
    (r"\sin x+\cos x", r"\sqrt2\sin(x+\pi/4)"),
    ("x^y", "y^x"),
    ("(a+b)^9", "(b+a)^9"),
    (r"\tan x", r"\frac{\sin x}{\cos x}"),
]


def test_another_thread_and_another_process_say_the_same() -> None:
    here = [equal_values(a, b) for a, b in MANY]
    assert here == [True, False, True, True]
    found: list[bool | None] = []
    # New texts for the same values, so that no cache answers.
    threads = [
        threading.Thread(target=lambda a=a, b=b: found.append(equal_values(f"0+{a}", f"{b}+0")))  # type: ignore[misc]
        for a, b in MANY
    ]
    for thread in threads:
        thread.start()
        thread.join()
    assert found == here
    code = f"from oneshot.rewards.answers.values import equal_values\nprint([equal_values(a, b) for a, b in {MANY!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == repr(here)
