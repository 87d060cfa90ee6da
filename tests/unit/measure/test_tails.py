from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.measure.tails import LEAST, LEAST_BARE, WINDOW, overlaps, repeated_tail, run_on

SOLUTION = "First add 2 and 2. That is 4. Then multiply by 3, which gives 12. The answer is 12. "
TABLE = "| n | square |\n| --- | --- |\n" + "".join(f"| {n} | {n * n} |\n" for n in range(12))
CODE = """def f(x):
    for i in range(3):
        if x[i]:
            for j in range(3):
                g(i, j, h[
                    (1, [
                        2,
                    ]),
                ])
"""


@pytest.mark.parametrize(
    "text",
    [
        "abc" * 20,
        "It is 4. " + "abc" * 40 + "ab",
        SOLUTION * 3,
        "x = 2\n" + SOLUTION * 9 + SOLUTION[:30],
        "So " + "the answer is 5.\n" * 4,
        "First " + "\\quad" * 30,
        "Hmm, " + "wait. " * 12 + "\n",
        "it is " + "ha" * 40 + "\ufffd",  # cut in the middle of a character
        "1" * LEAST_BARE,
        "12.5" + "-" * 300,
        "The end." + "\n" * 250,
        "我想想。" * 16,
        "x" * 5000 + "the cat sat on it and " * 5,
    ],
)
def test_loops(text: str) -> None:
    assert repeated_tail(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "1000000",
        "The answer is 1000000",
        "1/3 = 0." + "3" * 60,
        "10^100 = 1" + "0" * 100,
        "no, no, no",
        "It is a very, very, very large number.",
        SOLUTION,
        SOLUTION * 2,
        SOLUTION * 8 + "But that is wrong: it is 13.",
        TABLE,
        "| a | b | c | d | e | f | g | h |\n|" + " --- |" * 8,
        TABLE + "|" + "---|" * 20,
        CODE,
        "{" * 30 + "x" + "}" * 30,
        r"\begin{pmatrix} " + "0 & 0 & 0 & 0 \\\\ " * 9,
        "Heading\n" + "=" * 80,
        "".join(f"Step {i}: add {i} to the sum, which is then {i * (i + 1) // 2}.\n" for i in range(60)),
        "She sells sea shells by the sea shore, and he sells sea shells by the bay.",
        "1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1",
    ],
)
def test_no_loops(text: str) -> None:
    assert not repeated_tail(text)


def test_two_and_a_half_copies_are_not_enough_and_three_are() -> None:
    chunk = "Let us check whether this holds for n = 3 as well. "
    assert not repeated_tail("Yes. " + chunk * 2 + chunk[:25])
    assert repeated_tail("Yes. " + chunk * 3)


def test_lengths_at_the_border() -> None:
    assert repeated_tail("ab" * (LEAST // 2))
    assert not repeated_tail("ab" * (LEAST // 2 - 1))
    assert repeated_tail("12" * (LEAST_BARE // 2))
    assert not repeated_tail("12" * (LEAST_BARE // 2 - 1))


@given(st.text("ab", min_size=1, max_size=40), st.text(max_size=50))
def test_three_copies_of_anything_long_enough_are_found(chunk: str, before: str) -> None:
    copies = max(3, -(-LEAST // len(chunk)))
    assert repeated_tail(before + chunk * copies)


def by_slices(text: str) -> bool:
    """Three copies at the end of a text of letters, chunk length by chunk length."""
    text = text[-WINDOW:]
    for p in range(1, len(text) // 3 + 1):
        copies = max(3, -(-LEAST // p))
        if len(text) >= copies * p and text[-copies * p : -p] == text[-(copies - 1) * p :]:
            return True
    return False


@given(st.text("ab", min_size=1, max_size=30), st.integers(1, 80), st.text("ab", max_size=20))
def test_slices_agree(chunk: str, copies: int, after: str) -> None:
    text = "b" + chunk * copies + after
    assert by_slices(text) <= repeated_tail(text), "a part of a copy at the end may make up the length"


@given(st.text("ab \n", max_size=60))
def test_overlaps_by_definition(text: str) -> None:
    for i, length in enumerate(overlaps(text)[1:], 1):
        assert text[i : i + length] == text[:length]
        assert i + length == len(text) or text[i + length] != text[length]


def test_long_and_hostile_texts_take_no_time() -> None:
    """Texts of 64k characters whose prefixes nearly repeat; quadratic time would run for minutes."""
    word, before = "ab", "a"
    while len(word) < 64_000:
        word, before = word + before, word
    assert [repeated_tail(word[:n]) for n in range(63_900, 63_990)] == [
        by_slices(word[:n]) for n in range(63_900, 63_990)
    ]
    assert repeated_tail("a" * 64_000)
    assert not repeated_tail("a" * 63_000 + "b" + "a" * 50)
    assert not repeated_tail(("a" * 400 + "b") * 100 + "c" * 20)
    assert not run_on("\nQuestion" * 8_000)
    assert run_on("It is 4." + "\nQuestion: and 2+3?" * 4_000)


def test_chunks_up_to_a_third_of_the_window() -> None:
    chunk = "".join(f"{i} plus " for i in range(1000, 1700))[: WINDOW // 3]
    assert repeated_tail("Begin. " + chunk * 4)
    assert not repeated_tail("Begin. " + chunk * 2)


@pytest.mark.parametrize(
    "text",
    [
        "2+2 is 4.\n\nQuestion: What is 3+3?\nAnswer: 6",
        "The answer is $\\boxed{4}$.\n\n**Problem 2:** Find x.",
        "So x = 4\nHuman: thanks\nAssistant: ",
        "#### 4\n## Exercise: next",
        "It is \\boxed{4}<|im_start|>user\nAnd then?",
        "4\nQ: next",
    ],
)
def test_run_on(text: str) -> None:
    assert run_on(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The answer is 4.",
        "Question: What is 2+2?\nIt is 4.",  # the question itself, said again
        "\n\nQuestion: What is 2+2?\nIt is 4.",
        "Let me see.\nProblem: What is 2+2?\nIt is 4.",  # no answer came before it
        "That is 4.\nThe question: was it asked well? The problem: no.",
        "The answer is 4.\nQuestions: none",
    ],
)
def test_no_run_on(text: str) -> None:
    assert not run_on(text)
