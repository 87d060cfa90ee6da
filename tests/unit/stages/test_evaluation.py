"""The dev set of a run: greedy, one response each, by the same rows as a task."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oneshot.config.schema import EvalsConfig
from oneshot.data.tasks.digest import digest_of
from oneshot.rewards.functions import build_verifier
from oneshot.rewards.version import grader_version
from oneshot.stages.evals.evaluation import evaluate, measure, results
from oneshot.stages.evals.grading import Graders, Raw, raw_of, same_answer
from oneshot.stages.setup import annotate
from oneshot.types import Completion, Problem, Verdict
from tests.unit.stages.evaluating import ScriptedEngine, sums
from tests.unit.stages.setups import tiny_setup
from tests.unit.store.samples import make

MATH, LENIENT = build_verifier("math"), build_verifier("math-lenient")


def nothing(problem: Problem, verdict: Verdict) -> dict[str, str]:
    return {"noted": verdict.status}


def test_a_row_has_every_grade_once() -> None:
    problem = Problem(id="p", prompt="?", answer="7", category="add", meta={"kind": "add"})
    raw = Raw(text="The answer is 7.", tokens=5, cut=True, sample=3)
    row = Graders(verify=LENIENT, strict=MATH, lenient=LENIENT).row(problem, raw, nothing)
    assert (row.id, row.sample, row.correct, row.extracted, row.cut, row.tokens) == ("p", 3, True, "7", True, 5)
    assert row.meta == {"kind": "add", "repeated": False, "boxed": False, "lenient": True, "noted": "ok"}
    assert raw_of(row) == raw
    looped = Graders(verify=MATH).row(problem, replace(raw, text="so it is seven. " * 9), nothing)
    assert looped.meta == {"kind": "add", "repeated": True, "noted": "no_answer"}


def test_a_score_is_kept() -> None:
    class Half:
        name = "half"

        def __call__(self, response: str, reference: str) -> Verdict:
            return Verdict(correct=False, extracted=None, method="function", score=0.5)

    row = Graders(verify=Half()).row(
        Problem(id="p", prompt="?", answer="7"), Raw(text="", tokens=1, cut=False), nothing
    )
    assert (row.correct, row.meta["score"]) == (False, 0.5)


@pytest.mark.parametrize(
    ("grader", "a", "b", "equal"),
    [
        ("math", "1/2", "0.5", True),
        ("math", "1/2", "2", False),
        ("math", "zzz?", "zzz?", True),
        ("choice", "(C)", "C", True),
        ("choice", "C", "D", False),
        ("choice", "?!", "!", False),
    ],
)
def test_when_two_answers_are_one(grader: str, a: str, b: str, equal: bool) -> None:
    same = same_answer(grader)
    assert same is not None and same(a, b) is equal


def test_of_a_users_function_answers_are_texts() -> None:
    assert same_answer("mine.py:grade") is None
    assert same_answer("exact") is None


def test_the_same_output_cut_at_the_training_limit_is_graded_too(tmp_path: Path) -> None:
    setup = tiny_setup(tmp_path / "model")
    text = "\\boxed{1} and so on"
    ids = tuple(setup.policy.tokenizer(text)["input_ids"])

    class Says:
        def generate(self, prompts: object, sampling: object, streams: object) -> list[Completion]:
            return [Completion(tokens=ids, logprobs=(), text=text, finished=True)] * 2

    rows = {
        short: evaluate(
            Says(), setup.policy, sums(2), setup.render_eval, MATH, MATH,
            max_new_tokens=64, short=short, annotate=annotate, lenient=LENIENT,
        )
        for short in (3, 9, 64)
    }  # fmt: skip
    assert all([row.correct for row in each] == [True, False] for each in rows.values())
    assert [rows[short][0].meta["correct_short"] for short in (3, 9, 64)] == [False, True, True]
    assert rows[64][0].meta["lenient"] and rows[64][0].meta["boxed"]


def test_a_dev_set_is_recorded_and_read(tmp_path: Path) -> None:
    setup = tiny_setup(tmp_path / "model", evals=EvalsConfig(max_new_tokens=8))
    run = make(tmp_path)
    rows = measure(setup, sums(3), run, "dev", "base")
    body, read = run.read_eval("dev", "base")
    assert read == rows
    assert (body["schema"], body["n"], body["protocol"]["max_new_tokens"]) == ("oneshot.results/2", 3, 8)
    protocol = body["protocol"]
    assert "What is 0 + 1?" in protocol["prompt"]
    assert (protocol["kind"], protocol["system"], protocol["seed"]) == ("generate", "", 0)
    assert protocol["data"] == {"origin": "builtin", "rows": 3, "digest": digest_of(sums(3)), "limit": 0}
    assert protocol["grader_version"] == grader_version(setup.names.eval_verify.name)
    assert {"boxed", "lenient", "correct_short", "repeated"} <= set(rows[0].meta)
    idle = ScriptedEngine(lambda i, s: "")
    assert measure(replace(setup, eval_engine=idle), sums(3), run, "dev", "base") == rows  # type: ignore[arg-type]
    assert idle.calls == 0
    assert results(rows, grader="math")["protocol"] == {"grader": "math"}
