"""Neither grader of the paper raises, hangs, or matches an empty reference, whatever it is given."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.paper import evaluation as paper_eval
from oneshot.rewards.paper import training as paper_train
from oneshot.rewards.paper.text import MAX_RESPONSE
from oneshot.types import Verdict

Grader = Callable[[str, str], Verdict]


def _train_with_think(response: str, reference: str) -> Verdict:
    return paper_train.grade("</think>" + response, reference, think=True)


GRADERS = pytest.mark.parametrize(
    "grade", [paper_train.grade, _train_with_think, paper_eval.grade], ids=["train", "think", "eval"]
)

HOSTILE = {
    "tower": "9^{9^{9^9}}",
    "binomial": r"\binom{10^9}{5\cdot 10^8}",
    "factorial": "99999999999!",
    "exponent": "1e999",
    "long exponent": "1e999999999",
    "braces": "{" * 10_000 + "5" + "}" * 10_000,
    "some braces": "{" * 900 + "5" + "}" * 900,
    "parentheses": "(" * 900 + "5" + ")" * 900,
    "brackets": "[" * 700 + "1,1" + "]" * 700,
    "fractions": r"\frac{" * 200 + "1" + "}{2}" * 200,
    "bare fractions": r"\frac" * 390,
    "bare roots": r"\sqrt" * 390,
    "texts": r"\text{" * 280 + "}" * 280,
    "powers": "^{" * 400 + "}" * 400,
    "wide matrix": r"\begin{pmatrix}" + "1&" * 900 + r"\end{pmatrix}",
    "wide tuple": "(" + "x+1," * 390 + "1)",
    "metres": "5" + " m" * 990,
    "ands": "and " * 490,
    "equations": "a=b" * 300,
    "long number": "1" * 1_999,
    "long fraction": "1/" + "1" * 1_990,
    "million digits": "9" * 1_000_000,
    "nul": "\x00",
    "surrogate": "\ud800",
    "right to left": "\u202e5\u202c",
    "code": "__import__('os').system('true')",
}


@GRADERS
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_wrong_and_fast(grade: Grader, name: str) -> None:
    start = time.perf_counter()
    for label in ("12.8", "1/2", r"\sqrt{2}", "(x+1, 2)", "x=y+1", "{" * 900, "9" * 5_000):
        assert not grade(rf"\boxed{{{HOSTILE[name]}}}", label).correct
        assert not grade(HOSTILE[name], label).correct
    assert time.perf_counter() - start < 10


@GRADERS
def test_a_hostile_reference_does_not_raise(grade: Grader) -> None:
    for reference in HOSTILE.values():
        grade(r"\boxed{12.8}", reference)
        grade(rf"\boxed{{{reference}}}", reference)


@GRADERS
@pytest.mark.parametrize("reference", ["", "  ", r"\boxed{}", "\n"])
@pytest.mark.parametrize("response", ["", "no box", r"\boxed{}", r"\boxed{ }", r"\boxed{\%}", r"\boxed{5}", "5"])
def test_an_empty_reference_never_matches(grade: Grader, response: str, reference: str) -> None:
    assert not grade(response, reference).correct


def test_a_reference_of_signs_alone_never_matches() -> None:
    assert not paper_eval.grade(r"\boxed{\%}", "%").correct
    assert not paper_eval.grade(r"\boxed{5}", "$$").correct
    assert not paper_train.grade(r"\boxed{\%}", "%").correct


@pytest.mark.parametrize("grade", [paper_train.grade, paper_eval.grade])
def test_only_the_tail_is_read(grade: Grader) -> None:
    assert not grade(r"\boxed{5}" + "a" * MAX_RESPONSE, "5").correct
    assert grade("a" * MAX_RESPONSE + r"\boxed{5}", "5").correct


PIECES = (
    *("1", "1,", "-", ".", "1.", "{", "}", r"\boxed{", r"\boxed", r"\boxed{5}", "</think>"),
    *("he answer is ", "final answer is $", "$. I hope", "答案是"),
)


@GRADERS
@pytest.mark.parametrize("piece", PIECES)
def test_time_is_linear(grade: Grader, piece: str) -> None:
    start = time.perf_counter()
    assert not grade(piece * (MAX_RESPONSE // len(piece)), "12.8").correct
    assert time.perf_counter() - start < 10


_WORDS = r"\boxed{ { } 12.8 \frac x = ( ) , [ ] & \\ \begin{pmatrix} \end{pmatrix} ^ / m \cup and \infty one mile"
_PIECES = st.lists(st.sampled_from([" ", "he answer is", *_WORDS.split()]), max_size=14).map("".join)


@GRADERS
@given(response=_PIECES | st.text(max_size=60), reference=_PIECES | st.text(max_size=30))
def test_never_raises_and_says_the_same_twice(grade: Grader, response: str, reference: str) -> None:
    for text in (response, rf"\boxed{{{response}}}"):
        assert grade(text, reference) == grade(text, reference)
