"""The check of a reference before anything is trained or measured with it."""

from __future__ import annotations

import pytest

from oneshot.errors import DataError
from oneshot.rewards.functions import VERIFIERS
from oneshot.rewards.verifier import self_check
from oneshot.types import Verdict

NUMBERS = (
    *(
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
    ),
    *("025", "+2", "1/3"),
)
MATHEMATICS = (
    *(
        r"24\pi",
        "3a+2b",
        "(3,-7)",
        "[1,4)",
        r"x \in [-2,7]",
        "y = 3x - 1",
        r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}",
        r"\text{Tuesday}",
    ),
    *("31_7", r"-12 \text{ or } -30", "4:40 a.m.", r"\sum_{i=1}^3 i", r"\{1,2\}", "np.arcsin(10/13)"),
    *("-1./3", "1 / 2004!"),
)


@pytest.mark.parametrize("answer", NUMBERS)
@pytest.mark.parametrize("name", ["math", "math-lenient", "number", "exact", "paper-train", "paper-eval"])
def test_numbers_are_accepted(name: str, answer: str) -> None:
    self_check(VERIFIERS.build(name), answer)


@pytest.mark.parametrize("answer", MATHEMATICS)
@pytest.mark.parametrize("name", ["math", "math-lenient", "exact"])
def test_mathematics_is_accepted(name: str, answer: str) -> None:
    self_check(VERIFIERS.build(name), answer)


@pytest.mark.parametrize("answer", ["C", "(C)", r"\text{(C)}", "C. 14"])
def test_letters_are_accepted(answer: str) -> None:
    self_check(VERIFIERS.build("choice"), answer)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("math", ""), ("math", " "), ("math", "a } b"), ("math", "nan"), ("math", "None"), ("math", "$"),
        ("math-lenient", ""),
        ("number", "Tuesday"), ("exact", ""), ("choice", "14"), ("choice", ""), ("paper-train", ""), ("paper-eval", ""),
    ],
)  # fmt: skip
def test_what_nothing_can_match_is_refused(name: str, answer: str) -> None:
    with pytest.raises(DataError) as caught:
        self_check(VERIFIERS.build(name), answer)
    assert caught.value.code == "E302"
    assert caught.value.exit_code == 4
    assert caught.value.tries
    assert repr(name) in str(caught.value)
    assert ("an empty reference can never match" in str(caught.value)) is (not answer.strip())


def test_a_long_reference_is_shortened_in_the_message() -> None:
    with pytest.raises(DataError) as caught:
        self_check(VERIFIERS.build("math"), "}" * 5_000)
    assert len(str(caught.value)) < 600


class Never:
    """Somebody else's grader, which does not say how an answer is stated."""

    name = "never"

    def __call__(self, response: str, reference: str) -> Verdict:
        assert (response, reference) == (r"\boxed{5}", "5")
        return Verdict(correct=False, extracted="5", method="never")


class Hashes(Never):
    name = "hashes"

    def states(self, answer: str) -> tuple[str, ...]:
        return f"#### {answer}", f"It is {answer}.\n#### {answer}"

    def __call__(self, response: str, reference: str) -> Verdict:
        return Verdict(correct=response.startswith("####"), extracted=reference, method="hashes")


def test_somebody_elses_grader() -> None:
    with pytest.raises(DataError, match="'never'"):
        self_check(Never(), "5")


def test_every_way_to_state_it_must_be_accepted() -> None:
    with pytest.raises(DataError, match="It is 5"):
        self_check(Hashes(), "5")
