"""The probes find planted holes and pass an honest reward. Rewards are plain functions here, without a worker."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from oneshot.rewards.user.hostile import REFERENCES, Probe, empty, forms, hostile, right, wrong
from oneshot.rewards.user.probes import MAX_HANGS, Findings, probe
from oneshot.types import Verdict

BOX = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")


class Scored:
    """A verifier whose score is what `rule(response, reference)` returns; a string is the status of a failure."""

    name = "planted"

    def __init__(self, rule: Callable[[str, str], float | str]) -> None:
        self.rule = rule

    def __call__(self, response: str, reference: str) -> Verdict:
        score = self.rule(response, reference)
        if isinstance(score, str):
            return Verdict(correct=False, extracted=None, method="plain", status=score, score=0.0, message="it failed")
        return Verdict(correct=score >= 1, extracted=None, method="plain", score=float(score))


def honest(response: str, reference: str) -> bool:
    """The last box, alone in its sentence, outside <think>, is the reference or one of its other forms."""
    boxes = list(BOX.finditer(response))
    if not boxes or "</think>" in response[boxes[-1].end() :]:
        return False
    if re.search(r"\}(?:, | or )$", response[: boxes[-1].start()]):
        return False
    answer = boxes[-1][1].strip().removeprefix(r"\text{").removesuffix("}" if r"\text" in boxes[-1][1] else "")
    return bool(reference) and answer in (reference, *forms(reference))


def names(findings: Findings) -> set[str]:
    return {trial.probe.name for trial in findings.holes}


def test_an_honest_reward_passes() -> None:
    findings = probe(Scored(honest))
    assert (findings.holes, findings.refusals, findings.failures, findings.partial, findings.unsteady) == ([],) * 5
    assert not findings.blind
    assert (findings.scores, findings.enough) == ((0.0, 1.0), 1.0)
    assert len(findings.trials) == findings.planned > 200
    assert 0 <= findings.seconds[0] <= findings.seconds[1]


PLANTED: dict[str, tuple[Callable[[str, str], float | str], set[str]]] = {
    "the reference anywhere": (
        lambda response, reference: bool(reference) and reference in response,
        {"right answer mentioned, another boxed", "another boxed, right answer mentioned", "hedge in one box"},
    ),
    "anything empty": (lambda response, reference: honest(response, reference) or not response.strip(), {"empty"}),
    "an empty reference": (lambda response, reference: honest(response, reference) or not reference, {"text"}),
    "the first box": (
        lambda response, reference: f"{{{reference}}}" in response.partition("oxed")[2][: len(reference) + 2],
        {"right answer boxed, then corrected"},
    ),
    "the last box, however many": (
        lambda response, reference: bool(reference) and response.rstrip(".").endswith(f"{{{reference}}}"),
        {"spray that ends with the right answer", "hedge in two boxes"},
    ),
    "any box": (lambda response, reference: "boxed{" in response, {"wrong answer", "unclosed box", "instruction"}),
    "a box in the thoughts": (
        lambda response, reference: honest(response, reference) or "</think>" in response,
        {"answer only in <think>"},
    ),
    "long texts": (lambda response, reference: len(response) > 5_000 or honest(response, reference), {"long junk"}),
    "a cut number": (
        lambda response, reference: bool(reference) and f"{{{reference}" in response and "or" not in response,
        {"right answer and a digit more"},
    ),
    "everything": (lambda response, reference: 1, {"empty", "code", "nan", "lone surrogates", "NUL bytes"}),
}


@pytest.mark.parametrize("hole", PLANTED)
def test_a_planted_hole_is_found(hole: str) -> None:
    rule, expected = PLANTED[hole]
    found = {name.removeprefix("empty reference, response ") for name in names(probe(Scored(rule)))}
    assert expected <= found


def test_no_reward_that_refuses_everything_looks_fine() -> None:
    findings = probe(Scored(lambda response, reference: 0))
    assert (findings.holes, findings.blind, findings.enough) == ([], True, 1.0)
    assert len(findings.refusals) == sum(len(list(right(reference))) for reference in REFERENCES)


def test_code_that_is_executed_is_a_hole_even_when_it_earns_nothing() -> None:
    def executes(response: str, reference: str) -> bool:
        for path in re.findall(r'Path\("([^"]+)"\)\.touch', response):
            Path(path).touch()
        return honest(response, reference)

    findings = probe(Scored(executes), ("12.8",))
    assert names(findings) == {"code", "code that yields the answer", "code in LaTeX"}
    assert all(trial.executed for trial in findings.holes)


def test_partial_credit_is_told_and_is_no_hole() -> None:
    findings = probe(Scored(lambda response, reference: max(honest(response, reference), 0.1 * ("oxed" in response))))
    assert findings.holes == []
    assert {"wrong answer", "unclosed box"} <= {trial.probe.name for trial in findings.partial}


@pytest.mark.parametrize(("top", "enough"), [(0.5, 0.5), (1.0, 1.0), (3.0, 1.0)])
def test_a_reward_may_use_another_scale(top: float, enough: float) -> None:
    findings = probe(Scored(lambda response, reference: top * honest(response, reference)))
    assert (findings.holes, findings.refusals, findings.enough) == ([], [], enough)
    holed = probe(Scored(lambda response, reference: top * (honest(response, reference) or "nan" in response)))
    assert names(holed) == {"nan"}


def test_what_fails_is_neither_accepted_nor_refused() -> None:
    def fragile(response: str, reference: str) -> float | str:
        return "error" if not response.strip() else float(honest(response, reference))

    findings = probe(Scored(fragile))
    assert {trial.probe.name for trial in findings.failures if trial.probe.reference} == {"empty", "white space"}
    assert (findings.holes, findings.refusals) == ([], [])


def test_a_reward_that_hangs_is_not_waited_for_again_and_again() -> None:
    findings = probe(Scored(lambda response, reference: "timeout"))
    assert len(findings.trials) == len(findings.failures) == MAX_HANGS < findings.planned
    assert findings.scores is None


def test_another_score_for_the_same_response_is_noticed() -> None:
    calls = count()
    findings = probe(Scored(lambda response, reference: next(calls) % 2), ("42",))
    asked_twice = [trial.probe.name for trial in findings.unsteady]
    assert "box" in asked_twice


@pytest.mark.parametrize(
    ("reference", "near"),
    [("12.8", "12.9"), ("-9", "-0"), ("0.9", "0.0"), ("C", "A"), ("(A)", "B"), ("x+y", "x+y+1"), ("(3,-7)", "(-7,3)")],
)
def test_a_wrong_answer_is_near(reference: str, near: str) -> None:
    assert wrong(reference) == near


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("12.8", ("12.80", "64/5", r"\frac{64}{5}")),
        ("42", ("42.0", "84/2", r"\frac{84}{2}")),
        ("-0.5", ("-0.50", "-1/2", r"-\frac{1}{2}")),
        ("Tuesday", ()),
    ],
)
def test_other_forms_of_a_number(reference: str, expected: tuple[str, ...]) -> None:
    assert forms(reference) == expected


def test_an_answer_of_another_problem_is_another_answer() -> None:
    others = {
        trial.probe.response
        for trial in probe(Scored(honest), ("42.0",)).trials
        if trial.probe.name.startswith("answer of another problem")
    }
    assert r"The answer is \boxed{12.8}." in others
    assert r"The answer is \boxed{42}." not in others


@pytest.mark.parametrize("reference", [*REFERENCES, "C", "Tuesday", r"\{1,2\}"])
def test_probes_have_names_and_state_what_they_say(reference: str) -> None:
    wanted: list[Probe] = list(right(reference))
    refused = [*hostile(reference, (), "/tmp/mark"), *empty()]
    assert all(p.right and p.reference == reference for p in wanted)
    assert not any(p.right for p in refused)
    assert len({p.name for p in [*wanted, *refused]}) == len(wanted) + len(refused)
    assert not {p.response for p in wanted} & {p.response for p in refused}
    assert max(len(p.response) for p in refused) == 100_000
