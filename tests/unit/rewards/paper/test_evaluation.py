from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.paper.evaluation import extract, grade
from oneshot.rewards.paper.text import MAX_ANSWER

ACCEPTED = {
    "12.8": [
        "12.8",
        "12.80",
        "12.801",
        "64/5",
        r"\frac{64}{5}",
        "12.8 miles per hour",
        "12.8 mph",
        r"12.8\text{ mph}",
        r"12.8 \, \text{miles per hour}",
        r"12.8\mathrm{~mph}",
        "12.8 m/s",
        "V=12.8",
        r"\$12.8",
        r"12.8\%",
        "0.128",
        "1280",
    ],
    "50": ["0.5", "5000", "50", "fifty"],
    r"\frac{4}{3}": [r"\frac{8}{6}", "1.3333", "4/3", r"m=\frac43", r"\dfrac{4}{3}"],
    "(1,2)": ["[1,2]", "(1, 2)", "1,2"],
    "[1,2]": ["(1,2)"],
    "(1,2]": ["[1.0,2)"],
    "3,5,7": ["3, 5, 7", "3,5,7.0", "3, 5 and 7"],
    "2x+3y=5": ["5=2x+3y", "2x + 3y - 5 = 0", "-2x-3y=-5"],
    r"\begin{pmatrix}1&2\\3&4\end{pmatrix}": [r"\begin{bmatrix} 1 & 2 \\ 3 & 4.0\end{bmatrix}"],
    "C": ["(C)", r"\text{C}", "C. 14", "(B), no (C)"],
    r"\text{Evelyn}": ["evelyn"],
    "x+1": ["1+x"],
    r"2\sqrt{2}": ["2.8284", r"\sqrt8"],
    r"\pi": ["3.1416"],
    "[0.5,2]": ["(50,2)"],
    r"x \in [-2,7]": ["[-2,7]"],
    r"(-\infty,0)\cup(1,2)": [r"(-\infty,0.0)\cup(1,4/2)"],
    "1,000": ["1000"],
    "20000": ["20001"],
    "4.5e33": ["4.5e33", r"4.5 \times 10^{33}", "4.5e35"],
    "5": ["x=5", r"5 \text{ cm}^2"],
    "x=5": ["5.0"],
    r"\frac{12}{3}": [r"\frac{1}{23}"],
    r"\boxed{7}": ["7"],
}
REJECTED = {
    "12.8": ["12.79", "12.7", "13", "-12.8", r"8\sqrt[3]{4}", "128"],
    "3,5,7": ["5,3,7", "357", "3,5"],
    "33.3": [r"\frac{100}{3}"],
    r"\frac{100}{3}": ["33.3"],
    r"\frac{4}{3}": ["133.33", "1.332"],
    "C": ["D", "14"],
    "(a+5)(b+2)": ["(+5)(b+2)"],
    "(1,2)": ["(1,3)", "(1,2,3)", "3"],
    "1,2": ["12"],
    "2x+3y=5": ["2x+3y=6", "5"],
    r"\begin{pmatrix}1\\2\end{pmatrix}": [r"\begin{pmatrix}1&2\end{pmatrix}"],
    "x+1": ["x-1"],
    "0": ["0.00001"],
}


@pytest.mark.parametrize(("label", "answer"), [(label, a) for label, answers in ACCEPTED.items() for a in answers])
def test_accepts(label: str, answer: str) -> None:
    verdict = grade(rf"First \boxed{{7}}. So the answer is $\boxed{{{answer}}}$ and no other.", label)
    assert (verdict.correct, verdict.extracted, verdict.status) == (True, answer, "ok")


@pytest.mark.parametrize(("label", "answer"), [(label, a) for label, answers in REJECTED.items() for a in answers])
def test_rejects(label: str, answer: str) -> None:
    verdict = grade(rf"So the answer is $\boxed{{{answer}}}$.", label)
    assert (verdict.correct, verdict.extracted) == (False, answer)


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("so we get 12 and then 24", "24"),
        ("about 1,234.5 in all.", "1234.5"),
        ("it is .5 of that", ".5"),
        ("it is 3-5", "-5"),
        (r"The final answer is $12$. I hope it is correct. \boxed{7}", "12"),
        (r"\boxed{7} then \boxed{24}. The answer is 12.", "24"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{24", "24"),
        (r"$\boxed 24$ so", "24"),
        ("boxed", ""),
        ("The answer is 3. No, the answer is 12", "12"),
        ("The final answer is: 12", ": 12"),
        ("final answer is 12", "12"),
        ("最终答案是12\n\n因此 13", "12"),
        ("no number", None),
        ("", None),
    ],
)
def test_extract(response: str, answer: str | None) -> None:
    assert extract(response) == answer


@pytest.mark.parametrize(
    ("response", "correct"),
    [
        ("so we get 12 and then 24", True),
        ("The answer is 24.", True),
        ("The answer is: $24$.", True),
        ("The answer is 24. That was easy.", False),
        ("The final answer is $24$. I hope it is correct.", True),
        (r"\boxed{24", True),
        ("答案是24\n\n", True),
        (r"\boxed{24} and \boxed{7}", False),
        ("24 apples, 3 pears", False),
        ("no number", False),
    ],
)
def test_responses_without_a_clean_box(response: str, correct: bool) -> None:
    assert grade(response, "24").correct is correct


@pytest.mark.parametrize(
    ("response", "extracted", "status"),
    [
        ("no number", None, "no_answer"),
        (r"\boxed{}", "", "empty"),
        (r"\boxed{\%}", r"\%", "empty"),
        (rf"\boxed{{{'1' * (MAX_ANSWER + 1)}}}", "1" * MAX_ANSWER, "undecided"),
        (r"\boxed{east of Eden?}", "east of Eden?", "undecided"),
    ],
)
def test_status(response: str, extracted: str | None, status: str) -> None:
    verdict = grade(response, "24")
    assert (verdict.correct, verdict.extracted, verdict.status) == (False, extracted, status)


@pytest.mark.parametrize(
    ("label", "answer", "correct", "method"),
    [
        ("12.8", r"\$12.8", True, "text"),
        ("C", "C. 14", True, "choice"),
        ("50", "5000", True, "number"),
        ("50", "51", False, "number"),
        ("(1,2)", "[1,2]", True, "brackets"),
        ("(1,2)", "(1,2.0)", True, "text"),
        ("(1,2)", "(1,4/2)", True, "structure"),
        ("2x=y+1", "y+1-2x=0", True, "equation"),
        ("x+1", "1+x", True, "expression"),
        (r"\pi", "3.1416", True, "approximate"),
        (r"\frac{100}{3}", "33.3", False, "approximate"),
    ],
)
def test_method_names_the_rule(label: str, answer: str, correct: bool, method: str) -> None:
    verdict = grade(rf"\boxed{{{answer}}}", label)
    assert (verdict.correct, verdict.method) == (correct, method)


def test_code_of_the_model_is_not_run(tmp_path: Path) -> None:
    """The paper would run it and read the output; here the last number of the text counts."""
    trace = tmp_path / "ran"
    code = f"```python\nopen({str(trace)!r}, 'w')\nprint(6 * 4)\n```"
    assert not grade(code, "24").correct
    assert not trace.exists()


@given(st.integers(1, 10**9), st.sampled_from([1, 100]), st.booleans())
def test_a_number_within_the_tolerance_of_the_label_or_a_hundredth(label: int, factor: int, smaller: bool) -> None:
    """Numbers of five decimals: 1.0000 off by 0.00009 of the larger is right, by 0.0002 wrong."""
    value = label * factor
    near, far = (value * 0.99991, value * 0.9997) if smaller else (value * 1.00009, value * 1.0003)
    assert grade(rf"\boxed{{{near:.6f}}}", str(label)).correct
    assert not grade(rf"\boxed{{{far:.6f}}}", str(label)).correct


BENCHMARKS = {"math500": 500, "aime24": 30, "aime25": 30, "amc23": 40, "olympiadbench": 675, "minerva_math": 272}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_reference_accepts_itself(shared_data: Path, name: str) -> None:
    """The paper's grader misses one of Minerva's."""
    rows = [json.loads(line) for line in (shared_data / "benchmarks" / f"{name}.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == BENCHMARKS[name]
    for row in rows:
        assert grade(rf"Thus $\boxed{{{row['answer']}}}$.", row["answer"]).correct, row["id"]


def test_references_of_different_problems_do_not_match(shared_data: Path) -> None:
    """Each against the next one: only equal texts, and 100 against 1, may match."""
    for name in BENCHMARKS:
        lines = (shared_data / "benchmarks" / f"{name}.jsonl").read_text("utf-8").splitlines()
        answers = [json.loads(line)["answer"] for line in lines]
        for answer, other in zip(answers, answers[1:] + answers[:1], strict=True):
            verdict = grade(rf"\boxed{{{answer}}}", other)
            if verdict.correct and verdict.method != "text":
                assert 100 in (Fraction(answer) / Fraction(other), Fraction(other) / Fraction(answer))
