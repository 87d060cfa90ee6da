from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.errors import DataError, UsageError
from oneshot.rewards.functions import VERIFIERS
from oneshot.rewards.verifier import MAX_ANSWER, grade, same, self_check
from oneshot.types import Completion, Verdict

IN_SCOPE = ("number", "fraction", "units", "extraction", "bomb", "injection")
"""Groups of the shared examples that exact numbers and equal texts must get right."""


@pytest.mark.parametrize(
    ("name", "response", "reference", "correct", "extracted", "method", "status"),
    [
        ("boxed", r"so $\boxed{12.8}$", "12.8", True, "12.8", "boxed", "ok"),
        ("boxed", r"so $\boxed{12.7}$", "12.8", False, "12.7", "boxed", "ok"),
        ("boxed", r"\boxed{V = \frac{64}{5}}", "12.8", True, r"V = \frac{64}{5}", "boxed", "ok"),
        ("boxed", r"\boxed{\text{Tuesday}}", "Tuesday", True, r"\text{Tuesday}", "boxed", "ok"),
        ("boxed", r"\boxed{24 \pi}", r"24\pi", True, r"24 \pi", "boxed", "ok"),
        ("boxed", r"\boxed{2b+3a}", "3a+2b", False, "2b+3a", "boxed", "undecided"),
        ("boxed", r"\boxed{1}, \boxed{2}, \boxed{3}", "3", False, "1, 2, 3", "boxed", "undecided"),
        ("boxed", r"\boxed{32, 349}", "32,349", False, "32, 349", "boxed", "undecided"),
        ("boxed", "the answer is 12.8", "12.8", False, None, "none", "no_answer"),
        ("boxed", r"\boxed{}", "12.8", False, "", "boxed", "empty"),
        ("boxed", r"\boxed{}", "", False, "", "boxed", "empty"),
        ("boxed", r"\boxed{5}", "", False, "5", "boxed", "empty"),
        ("boxed", r"\boxed{5}", r"\boxed{5}", True, "5", "boxed", "ok"),
        ("boxed", r"\boxed{nan}", "nan", False, "nan", "boxed", "ok"),
        ("final-number", "first 3, so the answer is 12.8.", "12.8", True, "12.8", "final-number", "ok"),
        ("final-number", r"\boxed{5}, which is 12.8", "12.8", False, "5", "boxed", "ok"),
        ("final-number", r"12.8 \boxed{", "12.8", True, "12.8", "final-number", "ok"),
        ("final-number", r"12.8 \boxed{}", "12.8", False, "", "boxed", "empty"),
        ("final-number", "I do not know", "12.8", False, None, "none", "no_answer"),
        ("exact", " 12.8\n", "12.8", True, "12.8", "exact", "ok"),
        ("exact", "12.80", "12.8", False, "12.80", "exact", "ok"),
        ("exact", "", "", False, "", "exact", "empty"),
    ],
)
def test_verdicts(
    name: str, response: str, reference: str, correct: bool, extracted: str | None, method: str, status: str
) -> None:
    verdict = VERIFIERS.build(name)(response, reference)
    assert verdict == Verdict(correct=correct, extracted=extracted, method=method, status=status)


def test_unknown_grader_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="final-number"):
        VERIFIERS.build("final_numbr")


def test_a_prompt_with_an_empty_box_is_not_in_the_response() -> None:
    # The paper's trainer graded prompt and response together: a response without a box read the prompt's empty one.
    assert VERIFIERS.build("boxed")("I think it is five.", "").correct is False


@pytest.mark.parametrize("name", VERIFIERS.names())
@given(
    response=st.text(alphabet=st.characters(), max_size=300), reference=st.text(alphabet=st.characters(), max_size=60)
)
def test_never_raises_and_never_matches_nothing(name: str, response: str, reference: str) -> None:
    verify = VERIFIERS.build(name)
    verdict = verify(response, reference)
    assert verdict == verify(response, reference)
    assert not (verdict.correct and (verdict.extracted is None or not reference.strip()))
    assert verify(rf"\boxed{{{response}}} {response}", "").correct is False


def test_a_long_answer_is_cut_in_the_record_and_not_compared() -> None:
    long = "9" * (MAX_ANSWER + 1)
    verdict = VERIFIERS.build("boxed")(rf"\boxed{{{long}}}", long)
    assert (verdict.correct, verdict.status, len(verdict.extracted or "")) == (False, "undecided", MAX_ANSWER)


@pytest.mark.parametrize(
    "answer",
    [
        "12.8",
        "-5",
        "1,234",
        r"\frac{4}{3}",
        r"2\frac{3}{4}",
        r"99\%",
        r"\$28.00",
        r"60^\circ",
        "6.02e23",
        r"14 \text{ cm}",
    ],
)
@pytest.mark.parametrize("name", VERIFIERS.names())
def test_self_check_accepts_numbers(name: str, answer: str) -> None:
    self_check(VERIFIERS.build(name), answer)


@pytest.mark.parametrize(
    ("name", "answer"),
    [("boxed", ""), ("boxed", " "), ("boxed", "a } b"), ("boxed", "nan"), ("final-number", "Tuesday"), ("exact", "")],
)
def test_self_check_refuses_what_nothing_can_match(name: str, answer: str) -> None:
    with pytest.raises(DataError) as caught:
        self_check(VERIFIERS.build(name), answer)
    assert caught.value.code == "E302"
    assert caught.value.exit_code == 4
    assert caught.value.tries


def test_self_check_of_somebody_elses_verifier() -> None:
    class Never:
        name = "never"

        def __call__(self, response: str, reference: str) -> Verdict:
            assert (response, reference) == (r"\boxed{5}", "5")
            return Verdict(correct=False, extracted="5", method="never")

    with pytest.raises(DataError, match="never"):
        self_check(Never(), "5")


def test_grade_scores_a_completion_and_times_it() -> None:
    completion = Completion(tokens=(1,), logprobs=(-0.5,), text=r"\boxed{64/5}", finished=True)
    graded = grade(VERIFIERS.build("boxed"), completion, "12.8")
    assert graded.reward == 1.0
    assert graded.verdict is not None
    assert graded.verdict.correct
    assert graded.verdict.seconds > 0
    assert graded.tokens == completion.tokens


def test_what_a_verifier_raises_is_not_turned_into_a_zero_reward() -> None:
    class Broken:
        name = "broken"

        def __call__(self, response: str, reference: str) -> Verdict:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        grade(Broken(), Completion(tokens=(), logprobs=(), text="", finished=True), "5")


@given(st.text(alphabet="0123456789./-abc{}\\ ", max_size=20), st.text(alphabet="0123456789./-abc{}\\ ", max_size=20))
def test_same_is_symmetric(a: str, b: str) -> None:
    assert (same(a, b) is True) == (same(b, a) is True)


def test_shared_examples(shared_data: Path) -> None:
    """No example is called right that is wrong; of the groups in scope none is missed but one that has no box."""
    rows = [json.loads(line) for line in (shared_data / "verifier_examples.jsonl").read_text("utf-8").splitlines()]
    boxed, lenient = VERIFIERS.build("boxed"), VERIFIERS.build("final-number")
    for row in rows:
        expected, note = row["expected"], row["note"]
        if not expected:
            assert not boxed(row["response"], row["gold"]).correct, note
            assert not lenient(row["response"], row["gold"]).correct, note
        elif note[1:].partition("]")[0] in IN_SCOPE:
            assert lenient(row["response"], row["gold"]).correct, note
            assert boxed(row["response"], row["gold"]).correct is ("no box" not in note), note


def test_every_reference_of_the_pool_but_two_accepts_itself(shared_data: Path) -> None:
    """One row of the paper's pool has no reference; one was cut off inside a brace."""
    verify = VERIFIERS.build("boxed")
    rows = [json.loads(line) for line in (shared_data / "dsr_sub.jsonl").read_text("utf-8").splitlines()]
    refused = [row for row in rows if not verify(rf"\boxed{{{row['answer']}}}", row["answer"]).correct]
    assert len(rows) == 1209
    assert [row["answer"].count("{") - row["answer"].count("}") != 0 or row["answer"] == "" for row in refused] == [
        True
    ] * 2
    assert 265 in [row["index"] for row in refused]


def test_references_of_different_problems_do_not_match(shared_data: Path) -> None:
    verify = VERIFIERS.build("boxed")
    lines = (shared_data / "benchmarks" / "amc23.jsonl").read_text("utf-8").splitlines()
    answers = [json.loads(line)["answer"] for line in lines]
    values = [float(answer) for answer in answers]
    for answer, value in zip(answers, values, strict=True):
        right = [verify(rf"\boxed{{{answer}}}", other).correct for other in answers]
        assert right == [other == value for other in values]
