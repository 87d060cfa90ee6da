"""The order of the tiers, what each decides, and that nothing gets out of hand. The policy: `test_compare_policy`."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.answers.compare import Decision, is_read, same, unread
from oneshot.rewards.answers.text import MAX_ANSWER


@pytest.mark.parametrize(
    ("answer", "reference", "equal", "method"),
    [
        ("24 \\pi", r"24\pi", True, "text"),
        (r"\text{yes}", "yes", True, "text"),
        ("C", "(C)", True, "text"),
        ("(C) 14", "B", False, "text"),
        ("yes", "no", False, "text"),
        ("nan", "nan", False, "text"),
        ("64/5", "12.8", True, "number"),
        ("12.7", "12.8", False, "number"),
        ("1,234", "1234", True, "number"),
        ("3,1,2", "1,2,3", True, "structure"),
        ("(1,2)", "(2,1)", False, "structure"),
        ("x>3", r"(3,\infty)", True, "structure"),
        ("b+a", "a+b", True, "expression"),
        ("b-a", "a+b", False, "expression"),
        (r"\sum_{i=1}^3 i", "6", None, "none"),
        ("9^{9^{9^9}}", "9^{9^{9^8}}", None, "none"),
        ("9" * 5_000, "9" * 5_000, True, "text"),
        ("0" + "9" * 5_000, "9" * 5_000, True, "number"),
        ("9" * 5_000, "9" * 4_999 + "8", False, "number"),
        ("-" + "9" * 5_000, "9" * 5_000, False, "number"),
        ("x" * 5_000, "x" * 4_999, None, "none"),
    ],
)
def test_the_tier_that_decides(answer: str, reference: str, equal: bool | None, method: str) -> None:
    assert same(answer, reference) == Decision(equal, method)
    assert same(reference, answer) == Decision(equal, method)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("C", "(C)", True), ("C", "C.", True), ("(C) 14", "C", True), (r"\text{(C)}", "C", True),
        ("C: 14", "(C)", True),
        ("C. 14", "C", True), ("(C)", "(D)", False), ("C", "D", False), ("(A) or (B)", "A", False),
        ("A, B", "A", False),
        ("CD", "C", False), ("(C) 14", "(C) 15", False), ("C", "14", False),
    ],
)  # fmt: skip
def test_choice_letters(a: str, b: str, expected: bool) -> None:
    assert (same(a, b).equal is True) is expected
    assert (same(b, a).equal is True) is expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("9" * 3_000, "9" * 3_000 + ".", None),
        (" " + "9" * 3_000, "9" * 3_000, True),
        ("+" + "9" * 3_000, "9" * 3_000, True),
        ("1" + ",000" * 1_000, "1" + "000" * 1_000, True),
        ("1" + "0" * 3_000, "10^{3000}", None),
        ("-" * 3_000, "-" * 3_001, None),
        ("9" * 3_000, "1", False),
        ("9" * 10**6, "9" * 10**6, True),
        ("9" * 10**6, "9" * (10**6 - 1) + "8", False),
    ],
)
def test_beyond_what_is_read_only_texts_and_whole_numbers_compare(a: str, b: str, expected: bool | None) -> None:
    assert same(a, b).equal is expected
    assert same(b, a).equal is expected


def test_unread_names_the_side() -> None:
    assert unread("5", "6") == ""
    assert unread("yes", "6") == ""
    assert unread("5 5", "6") == "the answer cannot be read as mathematics"
    assert unread("5", "6 6") == "the reference cannot be read as mathematics"
    assert unread("5 5", "6 6") == "the reference and the answer cannot be read as mathematics"
    assert unread("5", "6" * (MAX_ANSWER + 1)).startswith("the reference")
    assert is_read("5") and is_read("yes") and not is_read("5 5") and not is_read("6" * (MAX_ANSWER + 1))


@given(st.text(alphabet=st.characters(), max_size=80), st.text(alphabet=st.characters(), max_size=80))
def test_never_raises_and_is_symmetric(a: str, b: str) -> None:
    assert same(a, b).equal is same(b, a).equal


@given(
    st.text(alphabet="0123456789./-abc{}\\,() ", max_size=20), st.text(alphabet="0123456789./-abc{}\\,() ", max_size=20)
)
def test_symmetric_on_what_is_near_mathematics(a: str, b: str) -> None:
    assert same(a, b).equal is same(b, a).equal


@pytest.mark.parametrize(
    "piece",
    [
        "(",
        "{",
        "[",
        "\\frac",
        "\\sqrt",
        "^",
        "9^",
        "1,",
        "-",
        "!",
        "|",
        "\\{",
        "x",
        "12 ",
        "\\pm",
        "\\cup",
        "=",
        "a_",
        "~",
        "$",
    ],
)
def test_time_is_bounded(piece: str) -> None:
    start = time.perf_counter()
    for length in (MAX_ANSWER, 100_000):
        same(piece * (length // len(piece)), "12.8")
        same(r"\sqrt{2}", piece * (length // len(piece)))
    assert time.perf_counter() - start < 20


def test_importing_it_does_not_import_what_is_heavy() -> None:
    heavy = "{'torch', 'sympy', 'math_verify', 'antlr4'}"
    code = f"import sys, oneshot.rewards.functions; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
