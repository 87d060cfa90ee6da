"""Where the answer stands in a response without a box."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.extract import MAX_RESPONSE
from oneshot.rewards.lenient import stated_answer


@pytest.mark.parametrize(
    ("response", "answer", "rule"),
    [
        # a box wins over everything
        (r"The answer is 5, so \boxed{6}. #### 7", "6", "boxed"),
        (r"\boxed{}", "", "boxed"),
        (r"\boxed{6} and so the final answer is 7", "6", "boxed"),
        # what is stated
        ("so\n#### 42", "42", "hashes"),
        ("#### 1\n#### 2", "2", "hashes"),
        ("The answer is 5.", "5", "stated"),
        ("the final answer is: 5", "5", "stated"),
        ("**Answer:** 5", "5", "stated"),
        ("Answer: $\\frac{1}{2}$.", r"\frac{1}{2}", "stated"),
        ("The answer is therefore $x=5$, which fits.", "x=5", "stated"),
        ("The answer is $3$ and $4$.", "$3$ and $4$", "stated"),
        ("The answer is 3.14.", "3.14", "stated"),
        ("The answer is 5 because 2 + 3 = 5.", "5", "stated"),
        ("The final answer = -2", "-2", "stated"),
        ("First the answer is 4.\nNo: the answer is 5.", "5", "stated"),
        ("<answer>12</answer>", "12", "tagged"),
        ("<answer> 12 </answer> and <ANSWER>13</ANSWER>", "13", "tagged"),
        # the last formula or number
        ("so we get $x^2+1$ here.", "x^2+1", "formula"),
        (r"so we get \(x^2\)", "x^2", "formula"),
        (r"\[ 7 \]", " 7 ", "formula"),
        ("so $x$, that is 12 apples", "12", "number"),
        ("I count 12.", "12", "number"),
        ("I do not know", None, "none"),
        ("", None, "none"),
    ],
)
def test_stated_answer(response: str, answer: str | None, rule: str) -> None:
    assert stated_answer(response) == (answer, rule)


@pytest.mark.parametrize(
    "mark", ["\n\nQuestion: what is 3+4?", "\n### Problem 2: x", "\nHuman: again", "\n\nQ: next", "\n**Question 2**: x"]
)
def test_a_problem_of_its_own_making_is_not_read(mark: str) -> None:
    assert stated_answer(f"The answer is 5.{mark} The answer is 7. \\boxed{{8}}") == ("5", "stated")
    assert stated_answer(f"So \\boxed{{5}}.{mark} \\boxed{{8}}") == ("5", "boxed")


def test_a_response_that_begins_with_the_question_is_read() -> None:
    assert stated_answer("\nQuestion: what is 2+3?\nThe answer is 5.") == ("5", "stated")


def test_thoughts_are_not_read() -> None:
    assert stated_answer("<think>The answer is 4.</think> The answer is 5.") == ("5", "stated")
    assert stated_answer("<think>The answer is 4.") == (None, "none")


@given(st.text(alphabet=st.characters(), max_size=300))
def test_never_raises(text: str) -> None:
    answer, rule = stated_answer(text)
    assert (answer is None) is (rule == "none")


@given(
    st.integers(-(10**9), 10**9),
    st.sampled_from(["The answer is {}.", "#### {}", "<answer>{}</answer>", "Final answer: {}\n", "so {} in all"]),
)
def test_a_stated_number_is_found(number: int, frame: str) -> None:
    assert stated_answer("We think. " + frame.format(number))[0] == str(number)


PIECES = (
    "answer is ",
    "answer:",
    "#### ",
    "<answer>",
    "<answer></answer>",
    "$",
    "$1",
    "\\(",
    "\\[",
    "\n",
    "\nQuestion",
    "\nQ:",
    "answer",
    "**",
    ". ",
)


@pytest.mark.parametrize("piece", PIECES)
def test_time_is_linear(piece: str) -> None:
    start = time.perf_counter()
    stated_answer("x" + piece * (MAX_RESPONSE // len(piece)))
    assert time.perf_counter() - start < 15
