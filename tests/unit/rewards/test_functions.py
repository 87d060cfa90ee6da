"""The named graders: what each reads, what each says, and that none raises or matches nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.errors import UsageError
from oneshot.rewards.answers.text import MAX_ANSWER
from oneshot.rewards.functions import RENAMED, VERIFIERS, Graded, TextVerifier, build_verifier
from oneshot.types import Verdict

IN_PROCESS = [name for name in VERIFIERS.names() if name != "math-symbolic"]


@pytest.mark.parametrize(
    ("name", "response", "reference", "correct", "extracted", "method", "status"),
    [
        ("math", r"so $\boxed{12.8}$", "12.8", True, "12.8", "text", "ok"),
        ("math", r"so $\boxed{12.7}$", "12.8", False, "12.7", "number", "ok"),
        ("math", r"\boxed{V = \frac{64}{5}}", "12.8", True, r"V = \frac{64}{5}", "number", "ok"),
        ("math", r"\boxed{\text{Tuesday}}", "Tuesday", True, r"\text{Tuesday}", "text", "ok"),
        ("math", r"\boxed{2b+3a}", "3a+2b", True, "2b+3a", "expression", "ok"),
        ("math", r"\boxed{1}, \boxed{2}, \boxed{3}", "3", False, "1, 2, 3", "structure", "ok"),
        ("math", r"\boxed{x>3}", r"(3,\infty)", True, "x>3", "structure", "ok"),
        ("math", r"\boxed{32, 349}", "32349", False, "32, 349", "structure", "ok"),
        ("math", "the answer is 12.8", "12.8", False, None, "none", "no_answer"),
        ("math", r"\boxed{12.8", "12.8", False, None, "none", "no_answer"),
        ("math", r"\boxed{}", "12.8", False, "", "boxed", "empty"),
        ("math", r"\boxed{}", "", False, "", "boxed", "empty"),
        ("math", r"\boxed{5}", "", False, "5", "boxed", "empty"),
        ("math", r"\boxed{5}", r"\boxed{5}", True, "5", "text", "ok"),
        ("math", r"\boxed{nan}", "nan", False, "nan", "text", "ok"),
        ("math", r"\boxed 5", "5", True, "5", "text", "ok"),
        ("math", r"\fbox{5}", "5", True, "5", "text", "ok"),
        ("math", r"<think>\boxed{12.8}</think> no", "12.8", False, None, "none", "no_answer"),
        ("math", r"\boxed{\sum_{i=1}^3 i}", "6", False, r"\sum_{i=1}^3 i", "none", "undecided"),
        ("math-lenient", "the answer is 12.8", "12.8", True, "12.8", "text", "ok"),
        ("math-lenient", r"the answer is 12.8 \boxed{5}", "12.8", False, "5", "number", "ok"),
        ("math-lenient", "nothing", "12.8", False, None, "none", "no_answer"),
        ("number", "first 3, so the answer is 12.8.", "12.8", True, "12.8", "text", "ok"),
        ("number", r"\boxed{5}, which is 12.8", "12.8", False, "5", "number", "ok"),
        ("number", r"12.8 \boxed{", "12.8", True, "12.8", "text", "ok"),
        ("number", r"12.8 \boxed{}", "12.8", False, "", "boxed", "empty"),
        ("number", "I do not know", "12.8", False, None, "none", "no_answer"),
        ("exact", " 12.8\n", "12.8", True, "12.8", "exact", "ok"),
        ("exact", "12.80", "12.8", False, "12.80", "exact", "ok"),
        ("exact", "", "", False, "", "exact", "empty"),
        ("choice", r"\boxed{(C) 14}", "C", True, "(C) 14", "letter", "ok"),
        ("choice", r"\boxed{C}", "14", False, "C", "letter", "undecided"),
    ],
)
def test_verdicts(
    name: str, response: str, reference: str, correct: bool, extracted: str | None, method: str, status: str
) -> None:
    verdict = VERIFIERS.build(name)(response, reference)
    assert verdict.seconds >= 0
    assert (verdict.correct, verdict.extracted, verdict.method, verdict.status) == (correct, extracted, method, status)


BOXES = [
    # the last complete box counts
    (r"We find $a = \boxed{6}$. Then $b = 2a + 2$, hence $\boxed{14}$.", "14", True),
    (r"We find $a = \boxed{6}$. Then $b = 2a + 2$, hence $\boxed{14}$.", "6", False),
    ("$x = \\boxed{5}$\n\nWait, that is wrong: the corrected answer is \\boxed{7}", "7", True),
    ("\\boxed{5}\n\nWait, the corrected answer is \\boxed{7}", "5", False),
    ("\\boxed{5}\n\nWait, the corrected answer is \\boxed{7}", "5,7", False),
    # boxes joined by and, or, a comma or spacing are one list
    (r"The roots are $\boxed{4}$ and $\boxed{-1}$.", "4,-1", True),
    (r"The roots are $\boxed{4}$ and $\boxed{-1}$.", "-1", False),
    (r"\boxed{1}, \boxed{2}, \boxed{3}", "3", False),
    (r"\boxed{1}, \boxed{2}, \boxed{3}", "3,2,1", True),
    (r"\boxed{1} \boxed{2} \boxed{3}", "3", False),
    (", ".join(rf"\boxed{{{n}}}" for n in range(100)) + r", \boxed{12.8}", "12.8", False),
    (r"\boxed{5} or \boxed{6}", "6", False),
    ("\\boxed{12.8}\n\n\\boxed{12.8}", "12.8", True),
    # hedging inside one box
    (r"\boxed{13 \text{ or } 15}", "13", False),
    (r"\boxed{5 \text{ or } 6}", "5", False),
    (r"\boxed{1, 2, 3}", "3", False),
    # row breaks with space, matrices, text of thoughts
    (r"\boxed{\begin{pmatrix} 1 \\[4pt] 2 \end{pmatrix}}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", True),
    (r"<think>so \boxed{3}</think> The answer is $\boxed{4}$", "3", False),
    (r"<think>so \boxed{3}", "3", False),
    # nothing matches nothing
    (r"So we get \boxed{}.", "13", False),
    (r"Hence $\boxed{}$", "", False),
    (r"\boxed{None}", "None", False),
    (r"\boxed{True}", "1", False),
    (r"\boxed{inf}", "5", False),
    (r"\boxed{\text{ignore the question, full marks}}", "5", False),
]  # fmt: skip


@pytest.mark.parametrize(("response", "reference", "correct"), BOXES)
def test_boxes(response: str, reference: str, correct: bool) -> None:
    assert VERIFIERS.build("math")(response, reference).correct is correct
    assert VERIFIERS.build("math-lenient")(response, reference).correct is correct


BOXLESS = ["#### 12.8", "The answer is 12.8.", "**Answer:** $12.8$", "The final answer is $\\frac{64}{5}$",
"<answer>12.8</answer>",
           "so $V = 12.8$", "and that makes 12.8"]  # fmt: skip


@pytest.mark.parametrize("response", BOXLESS)
def test_without_a_box_only_the_lenient_grader_reads(response: str) -> None:
    assert VERIFIERS.build("math-lenient")(response, "12.8").correct
    assert not VERIFIERS.build("math-lenient")(response, "12.7").correct
    assert VERIFIERS.build("math")(response, "12.8").status == "no_answer"


@pytest.mark.parametrize("name", VERIFIERS.names())
def test_a_prompt_with_an_empty_box_is_not_in_the_response(name: str) -> None:
    """The paper's trainer graded prompt and response together: a response without a box read the prompt's empty one."""
    verify = VERIFIERS.build(name)
    for response in ("I think it is five.", "", r"\boxed{}", r"\boxed{ }", r"\boxed{5}", "5", "The answer is 5."):
        for reference in ("", " ", "\n"):
            assert not verify(response, reference).correct


@pytest.mark.parametrize("name", IN_PROCESS)
@given(
    response=st.text(alphabet=st.characters(), max_size=300), reference=st.text(alphabet=st.characters(), max_size=60)
)
def test_never_raises_and_never_matches_nothing(name: str, response: str, reference: str) -> None:
    verify = VERIFIERS.build(name)
    verdict = verify(response, reference)
    assert replace(verdict, seconds=0) == replace(verify(response, reference), seconds=0)
    assert not (verdict.correct and (verdict.extracted is None or not reference.strip()))
    assert verify(rf"\boxed{{{response}}} {response}", "").correct is False


def test_a_long_answer_is_cut_in_the_record() -> None:
    long = "9" * (MAX_ANSWER + 1)
    verdict = VERIFIERS.build("math")(rf"\boxed{{{long}}}", long)
    assert (verdict.correct, verdict.status, len(verdict.extracted or "")) == (True, "ok", MAX_ANSWER)


def test_a_verdict_that_is_open_says_what_is_not_read() -> None:
    verdict = VERIFIERS.build("math")(r"\boxed{4 2}", "42")
    assert (verdict.correct, verdict.status) == (False, "undecided")
    assert verdict.message == "the answer cannot be read as mathematics"


def test_what_was_decided_is_remembered_and_a_time_out_is_not() -> None:
    asked: list[tuple[str, str]] = []

    def compare(answer: str, reference: str) -> Graded:
        asked.append((answer, reference))
        return Graded(None, "none", "timeout") if answer == "slow" else Graded(answer == reference, "text")

    verify = TextVerifier("counting", lambda response: (response, "all"), compare)
    assert [verify(text, "5").correct for text in ("5", "5", "6", "6", "5")] == [True, True, False, False, True]
    assert asked == [("5", "5"), ("6", "5")]
    assert [verify("slow", "5").status for _ in range(3)] == ["timeout"] * 3
    assert asked[2:] == [("slow", "5")] * 3
    assert verify("", "5").status == verify("5", " ").status == "empty"
    assert len(asked) == 5


def test_any_thread_may_grade() -> None:
    verify = VERIFIERS.build("math")
    rows = [(rf"\boxed{{\sqrt{{{k * k}}}+x}}", f"x+{k}") for k in range(1, 60)]
    with ThreadPoolExecutor(8) as pool:
        verdicts: list[Verdict] = list(pool.map(lambda row: verify(*row), rows * 3))
    assert all(verdict.correct for verdict in verdicts)


def test_names() -> None:
    assert set(IN_PROCESS) >= {"math", "math-lenient", "number", "choice", "exact", "paper-train", "paper-eval"}
    with pytest.raises(UsageError, match="math-lenient") as caught:
        build_verifier("math-lenint")
    assert caught.value.code == "E102"
    for old, new in RENAMED.items():
        with pytest.raises(UsageError, match=f"'{new}' now"):
            build_verifier(old)
    assert [build_verifier(name).name for name in IN_PROCESS] == IN_PROCESS


def test_a_function_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        build_verifier(f"{tmp_path / 'reward.py'}:score")
    assert caught.value.code == "E106"
