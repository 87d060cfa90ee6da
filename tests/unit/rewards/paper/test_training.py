from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.paper.text import MAX_ANSWER
from oneshot.rewards.paper.training import grade

ACCEPTED = {
    "12.8": [
        "12.8",
        "12.80",
        "64/5",
        r"\frac{64}{5}",
        "V=12.8",
        r"12.8\text{ mph}",
        r"12.8 \text{ miles per hour}",
        r"\text{12.8}",
        r"12.8\%",
        r"\$12.8",
    ],
    "4": ["4", "4.0"],
    r"\frac{4}{3}": ["4/3", r"\frac43", r"m=\frac{4}{3}", r"m = \frac{4}{3}"],
    "0.5": [r"\frac{1}{2}"],
    r"\frac{1}{2}": ["0.5"],
    "1,000": ["1000"],
    "1000": ["1,000"],
    "(1,2)": ["(1, 2)"],
    r"\{1,2\}": ["1,2"],
    "1,2": [r"\{1,2\}"],
    "x+1": ["1+x"],
    r"\frac{\pi}{2}": [r"\pi/2"],
    r"\pi/2": [r"\frac{\pi}{2}"],
    r"90^\circ": ["90"],
    "90": [r"90^\circ", r"90^{\circ}"],
    r"50\%": ["50"],
    "50": [r"50\%"],
    "24 cm": ["24"],
    "24": ["24 cm"],
    # of the pool the paper selects from
    r"22\frac{1}{2}": ["45/2", "22.5", "22 1/2", r"22\frac12"],
    r"\frac{\sqrt3-1}{4}": [r"\frac{\sqrt{3}-1}{4}", "(sqrt(3)-1)/4", r"\frac{-1+\sqrt3}{4}"],
    r"$\frac{40}{9}$": [r"\frac{40}{9}", "40/9"],
    "154,320,000": ["154320000"],
    # departures: the precedence of LaTeX is kept
    r"\frac{1}{2x}": ["1/(2x)"],
    r"\frac{x+1}{2}": ["(x+1)/2"],
    # the rules on elements hold inside tuples
    r"(\frac12, 3)": ["(0.5,3)"],
    r"\theta+1": [r"1+\theta"],
    r"(C)": ["C"],
    # known leniencies
    "42": ["4 2"],
    "32349": ["32, 349"],
    "5": [r"5 \text{ or } 6", "x = 5"],
    "10000000000000000": ["10000000000000001"],
}
REJECTED = {
    "12.8": [
        "12.7",
        "12.699",
        "13",
        r"8\sqrt[3]{4}",
        "12.8 mph",
        "12.8 miles per hour",
        r"12.8\ \text{mph}",
        r"12.8 \, \text{miles per hour}",
        "128",
        "0.128",
        "1280",
        "-12.8",
    ],
    "4": ["8/2", r"\frac{8}{2}", "2^2", r"\sqrt{16}", "5", "400"],
    r"\frac{4}{3}": [r"\frac{8}{6}", "1.3333", "-4/3", "3/4"],
    r"\frac{8}{2}": ["4"],
    "(1,2)": ["[1,2]", "(1,2,3)", "(1,3)"],
    "[1,2)": ["[1,2]"],
    "1,2": ["2,1"],
    "x+1": ["x-1"],
    r"-1\frac{1}{2}": ["-0.5", "-1/2"],
    r"\frac{x+1}{2}": ["x+1/2"],
}


@pytest.mark.parametrize(("label", "answer"), [(label, a) for label, answers in ACCEPTED.items() for a in answers])
def test_accepts(label: str, answer: str) -> None:
    verdict = grade(rf"First \boxed{{7}}. So the answer is $\boxed{{{answer}}}$.", label)
    assert (verdict.correct, verdict.extracted, verdict.status) == (True, answer, "ok")


@pytest.mark.parametrize(("label", "answer"), [(label, a) for label, answers in REJECTED.items() for a in answers])
def test_rejects(label: str, answer: str) -> None:
    verdict = grade(rf"So the answer is $\boxed{{{answer}}}$.", label)
    assert (verdict.correct, verdict.extracted, verdict.status) == (False, answer, "ok")


@pytest.mark.parametrize(
    ("response", "extracted", "status"),
    [
        ("the answer is 24", None, "no_answer"),
        ("", None, "no_answer"),
        (r"\boxed{24", None, "no_answer"),
        (r"\boxed{7} and then \boxed{24", None, "no_answer"),  # the last one counts, and is not closed
        (r"\fbox{24}", None, "no_answer"),
        (r"\boxed 24", None, "no_answer"),
        (r"\boxed{24} and then \boxed 7", None, "no_answer"),
        (r"\boxed{24} and then \boxed{7}", "7", "ok"),
        (r"\boxed{}", "", "empty"),
        (r"\boxed{ }", " ", "empty"),
        (rf"\boxed{{{'1' * (MAX_ANSWER + 1)}}}", "1" * MAX_ANSWER, "undecided"),
    ],
)
def test_structure_refused(response: str, extracted: str | None, status: str) -> None:
    verdict = grade(response, "24")
    assert (verdict.correct, verdict.extracted, verdict.status) == (False, extracted, status)
    assert verdict.message if status != "ok" else not verdict.message


@pytest.mark.parametrize("response", [r"\boxed{7}, no: \boxed{24}", r"\boxed{1}\boxed{24}", r"\boxed{x=\boxed{24}}"])
def test_the_last_of_several_boxes_counts(response: str) -> None:
    assert grade(response, "24").correct


def test_a_label_is_unboxed_alike() -> None:
    assert grade(r"\boxed{24}", r"so \boxed{7}, no, \boxed{24}").correct
    verdict = grade(r"\boxed{24}", r"\boxed{24")
    assert (verdict.correct, verdict.status) == (False, "error")


@pytest.mark.parametrize(
    ("label", "answer", "correct", "method"),
    [
        ("12.8", "V=12.8", True, "mathd"),
        ("24", "24 cm", True, "sympy-text"),
        ("(1,2)", "[1,2]", False, "sympy-tuple"),
        (r"(\frac12,3)", "(0.5,3)", True, "sympy-tuple"),
        (r"\frac{4}{3}", r"\frac{8}{6}", False, "sympy-fraction"),
        ("4", "8/2", False, "sympy-integer"),
        ("12.8", "12.8 mph", False, "sympy-refused"),
        ("x^{10}", "x^{9+1}", False, "sympy-refused"),
        ("12.8", "12.80", True, "sympy-value"),
        ("12.8", "12.7", False, "sympy-value"),
        ("x+1", "1+x", True, "sympy-value"),
    ],
)
def test_method_names_the_rule(label: str, answer: str, correct: bool, method: str) -> None:
    verdict = grade(rf"\boxed{{{answer}}}", label)
    assert (verdict.correct, verdict.method) == (correct, method)


@pytest.mark.parametrize(
    ("response", "correct", "status"),
    [
        (r"<think>\boxed{7}</think> \boxed{24}", True, "ok"),
        (r"\boxed{7}</think> \boxed{24}", True, "ok"),  # the prompt ends with <think>
        (r"<think> \boxed{24}", False, "no_answer"),
        (r"<think> \boxed{24} </think> 24", False, "no_answer"),
        (r"\boxed{24}", False, "no_answer"),
        (r"<think></think> \boxed{7}", False, "ok"),
        (r"<think></think> so </think> \boxed{24}", True, "ok"),
    ],
)
def test_think(response: str, correct: bool, status: str) -> None:
    verdict = grade(response, "24", think=True)
    assert (verdict.correct, verdict.status) == (correct, status)


def test_without_think_tags_are_text() -> None:
    assert grade(r"<think> \boxed{24}", "24").correct


@given(st.integers(-(10**6), 10**6), st.integers(1, 999))
def test_a_decimal_equals_its_fraction_and_no_other(thousandths: int, off: int) -> None:
    label = f"{thousandths / 1000:.3f}"
    assert grade(rf"\boxed{{{label}}}", label).correct
    assert not grade(rf"\boxed{{{(thousandths + off) / 1000:.3f}}}", label).correct


def test_every_reference_of_the_pool_but_two_accepts_itself(shared_data: Path) -> None:
    """One row has no reference, one was cut off inside a brace and cannot stand in a box."""
    rows = [json.loads(line) for line in (shared_data / "dsr_sub.jsonl").read_text("utf-8").splitlines()]
    refused = [row["index"] for row in rows if not grade(rf"\boxed{{{row['answer']}}}", row["answer"]).correct]
    broken = [row["index"] for row in rows if not row["answer"] or row["answer"].count("{") != row["answer"].count("}")]
    assert len(rows) == 1209
    assert 265 in refused
    assert refused == broken
    assert len(refused) == 2
