"""What `oneshot regrade` makes of recorded evaluations: the problem is the unit; likelihoods; texts that run on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oneshot.measure.pairing import by_problem
from oneshot.measure.scores import accuracy
from oneshot.rewards.functions import build_verifier
from oneshot.stages.regrade import evaluations, likelihoods, rollouts, text
from oneshot.types import Completion, Group, Problem
from tests.unit.stages.comparing import put, responses, run

MATH = build_verifier("math")
RUNS_ON = "It is \\boxed{2}.\n\nProblem: what is 3 + 4?\nSolution: \\boxed{7}."


def test_the_problem_is_the_unit(tmp_path: Path) -> None:
    made = run(tmp_path)
    rows = [
        replace(row, id=f"p{i}", response="\\boxed{2}" if row.correct else "\\boxed{3}")
        for i, word in enumerate(["1100", "1111", "0000", "1000"])
        for row in responses([word])
    ]
    put(made, "amc23", "base", rows)
    (entry,) = evaluations(made, MATH, made.evals())
    put_rows = made.read_eval("amc23", "base")[1]
    expected = accuracy(by_problem(put_rows))
    assert (entry["n"], entry["responses"], entry["new"]["correct"]) == (4, 16, 7)
    for side in (entry["old"], entry["new"]):
        assert side["value"] == pytest.approx(7 / 16)
        assert (side["ci_low"], side["ci_high"]) == (expected.low, expected.high)


def test_compared_likelihoods_are_passed_over_and_said(tmp_path: Path) -> None:
    made = run(tmp_path)
    put(made, "arc_easy-loglikelihood", "base", "10", kind="loglikelihood", grader="")
    put(made, "sums", "base", "10")
    assert [entry["task"] for entry in evaluations(made, MATH, made.evals())] == ["sums"]
    left = likelihoods(made, made.evals())
    assert [(entry["task"], entry["checkpoint"]) for entry in left] == [("arc_easy-loglikelihood", "base")]
    body = {"grader": "math", "was": "math", "rollouts": {"steps": []}, "evals": [], "left_out": left}
    assert text(body).splitlines()[-1] == (
        "arc_easy-loglikelihood, base: not graded again: likelihoods were compared, and no response was graded"
    )


@pytest.mark.parametrize(
    ("checkpoint", "data", "right"),
    [
        ("base", {}, False),
        ("base+prompt-plain", {}, True),
        ("base+prompt-four-shot", {}, True),
        ("base+prompt-chat", {}, False),
        ("base+prompt-chat", {"read_to_run_on": True}, True),  # of a model without a chat template
        ("base+icl", {"read_to_run_on": True}, True),
    ],
)
def test_a_text_prompts_responses_are_read_up_to_where_they_run_on(
    tmp_path: Path, checkpoint: str, data: dict[str, bool], right: bool
) -> None:
    made = run(tmp_path)
    put(made, "sums", checkpoint, [replace(row, response=RUNS_ON) for row in responses("1")], data=data)
    (entry,) = evaluations(made, MATH, made.evals())
    assert (entry["new"]["correct"], entry["read_to_run_on"]) == (int(right), right)


def test_what_a_control_arm_paid_is_no_grade(tmp_path: Path) -> None:
    """The arm paid the wrong response; by the same grader no group has other advantages than the grader gave it."""
    verify = build_verifier("number")
    texts = ("It is 4", "It is 5")
    graded = [Completion(tokens=(1,), logprobs=(0.0,), text=t, finished=True).scored(verify(t, "4")) for t in texts]
    paid = tuple(replace(one, reward=1.0 - one.reward) for one in graded)
    problem = Problem(id="p", prompt="2 + 2?", answer="4")
    arm = run(tmp_path, "arm")
    arm.step(0, {}, [Group(id=0, problem=problem, prompt_tokens=(1,), completions=paid, policy_version=0)])
    told = rollouts(arm, verify, [0])
    assert (told["groups"], told["groups_changed"]) == (1, 0)
    assert rollouts(arm, build_verifier("math"), [0])["groups_changed"] == 1
