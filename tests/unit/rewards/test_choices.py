"""Multiple choice: the letter an answer names, and where it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.choices import find, letter
from oneshot.rewards.functions import VERIFIERS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C", "C"), ("(C)", "C"), ("c", "C"), (r"\text{C}", "C"), (r"\text{(C)}", "C"), (r"\textbf{(C)}", "C"),
        (r"\mathrm{C}", "C"),
        ("C.", "C"), ("C. 14", "C"), ("(C) 14", "C"), ("C: 14", "C"), ("C) 14", "C"), ("**C**", "C"), ("$C$", "C"),
        ("J", "J"),
        ("K", None), ("14", None), ("", None), ("CD", None), ("Carbon", None), ("x", None), ("?", None),
    ],
)  # fmt: skip
def test_letter(text: str, expected: str | None) -> None:
    assert letter(text) == expected


@pytest.mark.parametrize(
    ("response", "answer", "rule"),
    [
        (r"So $\boxed{C}$.", "C", "boxed"),
        (r"So \boxed{14}.", "14", "boxed"),
        ("The answer is (C).", "(C)", "stated"),
        ("#### B", "B", "hashes"),
        ("<answer>D</answer>", "D", "tagged"),
        ("It can be A or C; I take C.", "C", "letter"),
        ("It is (B)", "B", "letter"),
        ("The answer is 14, which is C.", "C", "letter"),
        ("we do not know", None, "none"),
        ("<think>C</think>", None, "none"),
    ],
)
def test_find(response: str, answer: str | None, rule: str) -> None:
    assert find(response) == (answer, rule)


@pytest.mark.parametrize(
    ("response", "reference", "correct", "status"),
    [
        (r"\boxed{C}", "C", True, "ok"),
        (r"\boxed{(C) 14}", "(C)", True, "ok"),
        (r"\boxed{C}", "D", False, "ok"),
        (r"\boxed{14}", "C", False, "ok"),
        ("The answer is (c).", "C", True, "ok"),
        (r"\boxed{C}", "14", False, "undecided"),
        (r"\boxed{C}", "", False, "empty"),
        (r"\boxed{}", "C", False, "empty"),
        ("none of them", "C", False, "no_answer"),
    ],
)
def test_verdicts(response: str, reference: str, correct: bool, status: str) -> None:
    verdict = VERIFIERS.build("choice")(response, reference)
    assert (verdict.correct, verdict.status) == (correct, status)


@given(st.text(alphabet=st.characters(), max_size=200), st.sampled_from("ABCDEFGHIJ"))
def test_never_raises_and_a_box_behind_any_text_is_read(text: str, wanted: str) -> None:
    """Save behind a thought that was not ended, and behind another problem, which begins a line."""
    assert letter(text) in (None, *"ABCDEFGHIJ")
    found = find(rf"{text} \boxed{{{wanted}}}")
    assert "think" in text or "\n" in text or found == (wanted, "boxed")
