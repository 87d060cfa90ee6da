from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.answers.numbers import parse
from oneshot.rewards.extract import MAX_RESPONSE, boxed_answer, last_box, last_number, visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"We find $a = \boxed{6}$. Then $b = 2a + 2$, hence $\boxed{14}$.", "14"),
        (r"\boxed{6} then \boxed{14", "6"),
        (r"The roots are $\boxed{4}$ and $\boxed{-1}$.", "4, -1"),
        (r"\boxed{1}, \boxed{2}, \boxed{3}", "1, 2, 3"),
        (r"\boxed{5} or \boxed{6}", "5, 6"),
        ("\\boxed{12.8}\n\n\\boxed{12.8}", "12.8"),
        (r"first \boxed{1}, \boxed{2}. No: \boxed{3}", "3"),
        (r"\boxed{x = \boxed{5}}", "5"),
        (r"\boxed{ 5 }", "5"),
        (r"\boxed{}", ""),
        ("no box, 5", None),
        (r"\boxed 5", "5"),
        (r"\boxed5", "5"),
        (r"so $\boxed -5$", "-5"),
        (r"\boxed x", "x"),
        (r"\boxed\frac12", None),
        (r"\fbox{5}", "5"),
        (r"\boxed{5} or \fbox{6}", "5, 6"),
        (r"\boxed{5}\text{ and }\boxed{6}", "5, 6"),
        (r"\boxed{5}, and \boxed{6}", "5, 6"),
        (r"$\boxed{5}$, $\quad\boxed{6}$", "5, 6"),
        ("\\boxed{5}\n\nWait, the corrected answer is \\boxed{7}", "7"),
        (r"\boxed{5}; then \boxed{6}", "6"),
        (r"\boxed{a} but \boxed{b}", "b"),
    ],
)
def test_last_box(text: str, expected: str | None) -> None:
    assert last_box(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is 12.", "12"),
        ("so 12 and then 24", "24"),
        ("1,234.50 in all", "1,234.50"),
        ("pairs 1,2,3", "3"),
        ("12, 345", "345"),
        ("about .5 of it", ".5"),
        ("It is 3/4.", "3/4"),
        ("It is 1 3/4.", "1 3/4"),
        (r"It is \frac{3}{4}.", r"\frac{3}{4}"),
        (r"It is -2\frac{3}{4}.", r"-2\frac{3}{4}"),
        ("It is 35%.", "35%"),
        (r"It is 35\%.", r"35\%"),
        ("6.02e23 atoms", "6.02e23"),
        (r"$6.02 \times 10^{23}$", r"6.02 \times 10^{23}"),
        # a sign, or an operator
        ("5-3", "3"),
        ("5 - 3", "3"),
        ("5 -3", "3"),
        ("x-3", "3"),
        ("(a+b)-3", "3"),
        ("The answer is -3.", "-3"),
        ("= -3", "-3"),
        ("= - 3", "-3"),
        ("(-3)", "-3"),
        ("$-3$", "-3"),
        ("**-3**", "-3"),
        ("-3", "-3"),
        ("is \u22123", "-3"),
        ("3\u20135", "5"),
        ("a loss of -$5", "-5"),
        ("- 3 apples", "3"),
        ("list:\n- 3 apples", "3"),
        # digits that are no number of their own
        ("5 cm^2", "5"),
        ("5 cm^{2}", "5"),
        ("7 = x_1", "7"),
        ("7 is H2O", "7"),
        ("no digits", None),
        ("", None),
        ("\u0663", None),
    ],
)
def test_last_number(text: str, expected: str | None) -> None:
    assert last_number(text) == expected


@given(st.integers(-(10**9), 10**9), st.sampled_from(["The answer is {}.", "= {}", "({})", "total: {} apples", "${}$"]))
def test_a_written_number_is_found_and_read_back(number: int, frame: str) -> None:
    for text in (str(number), f"{number:,}"):
        found = last_number(frame.format(text))
        assert found is not None
        read = parse(found)
        assert read is not None
        assert read.value == number


@given(st.text(alphabet=st.characters(), max_size=300))
def test_never_raises(text: str) -> None:
    last_box(text)
    last_number(text)


def test_only_the_tail_of_a_huge_response_is_read() -> None:
    filler = "a" * MAX_RESPONSE
    assert last_box(r"\boxed{5}" + filler) is None
    assert last_number("5 " + filler) is None
    assert last_box(filler + r"\boxed{5}") == "5"
    assert last_number(filler + " 5") == "5"


@pytest.mark.parametrize(
    "piece",
    ["1", "1,111", ",111", "1 ", " ", "1/", "1.", "-", "\\frac", "\\frac{1", "1 \\times ", "1e", "\\boxed{1},", "%"],
)
def test_time_is_linear(piece: str) -> None:
    text = piece * (MAX_RESPONSE // len(piece))
    start = time.perf_counter()
    last_number(text)
    last_box(text)
    assert time.perf_counter() - start < 5.0


@pytest.mark.parametrize(
    ("response", "said", "boxed"),
    [
        (r"\boxed{5}", r"\boxed{5}", "5"),
        (r"<think>\boxed{4}</think> \boxed{5}", r" \boxed{5}", "5"),
        (r"<think>\boxed{4}</think> five", " five", None),
        (r"\boxed{4}</think>\boxed{5}", r"\boxed{5}", "5"),
        (r"<think>\boxed{4}", "", None),  # cut off while it was thinking
        (r"<think>a</think><think>\boxed{4}</think>5", "5", None),
    ],
)
def test_thoughts_are_not_read(response: str, said: str, boxed: str | None) -> None:
    assert visible(response) == said
    assert boxed_answer(response) == boxed
