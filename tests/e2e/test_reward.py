"""A reward inside a run: its convention is told, a failure ends the run without losing a step, doubts are listed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from oneshot.stages import graders
from oneshot.types import Verdict
from tests.e2e.conftest import OneShot, write_pool


class Mine:
    """Stands for a user's function: a score by the text, and after `calls` responses it fails."""

    name, fatal, convention = "mine.py:score", True, "plain"

    def __init__(self, calls: int = 10**9) -> None:
        self.left = calls
        """Responses scored before it fails; statements of the reference, as the check makes them, do not count."""

    def __call__(self, response: str, reference: str) -> Verdict:
        self.left -= response not in [form.replace("ANSWER", reference) for form in graders.STATED]
        if self.left < 0:
            said = "mine.py:score (plain convention) did not answer within 10 s"
            return Verdict(correct=False, extracted=None, method="plain", status="timeout", message=said, score=0.0)
        score = zlib.crc32(response.encode("utf-8", "replace")) % 5 / 4
        return Verdict(correct=score >= 1, extracted=None, method="plain", score=score)


Use = Callable[[object], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Every grader is this one."""
    return lambda verify: monkeypatch.setattr(graders, "build_verifier", lambda name, timeout: verify)


def test_a_score_is_the_reward(train: OneShot, use: Use) -> None:
    use(Mine())
    told = train("--steps", "2")
    assert told.code == 0, told.err
    assert "reward mine.py:score: recognised as the plain convention" in told.err
    (attempt,) = (event for event in told.run.events() if event["kind"] == "attempt")
    assert attempt["reward"] == {"grader": "mine.py:score", "convention": "plain"}
    for step, metrics in enumerate(told.run.metrics()):
        rows = told.run.rollouts(step)
        assert [row["score"] for row in rows] == [row["reward"] for row in rows]
        assert metrics["reward"] == pytest.approx(sum(row["score"] for row in rows) / 8)
        assert metrics["train/accuracy"] == sum(row["score"] >= 1 for row in rows) / 8
        assert metrics["grader/error"] == metrics["grader/timeout"] == 0
        assert metrics["grader/seconds"] > 0


def test_a_function_that_fails_ends_the_run_and_no_step_is_lost(train: OneShot, oneshot: OneShot, use: Use) -> None:
    use(Mine())
    whole = train("--steps", "3").run
    use(Mine(calls=32 + 8 + 8 + 3))  # in the middle of the third step
    told = train("--steps", "3")
    assert told.code == 4
    assert told.out == ""
    assert "E305 the reward failed at step 2, group 0, sample 3 " in told.err
    assert "(status timeout): mine.py:score (plain convention) did not answer within 10 s" in told.err
    assert "try: oneshot check mine.py:score" in told.err
    assert "2 recorded steps are whole in " in told.err
    use(Mine())
    again = oneshot("train", "--resume", "latest")
    assert again.code == 0, again.err
    run = again.run
    assert f"oneshot train --resume {run.path}" in told.err
    assert [row["attempt"] for row in run.metrics()] == [1, 1, 2]
    weights = [r.checkpoint_dir(3) / "model.safetensors" for r in (run, whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_function_that_fails_before_step_0(train: OneShot, use: Use) -> None:
    use(Mine(calls=31))
    told = train("--steps", "1")
    assert told.code == 4
    assert "E305 the reward failed at the samples before training, group 0, sample 31 " in told.err
    assert "Nothing was trained." in told.err


def test_a_function_that_fails_in_an_evaluation(oneshot: OneShot, tiny: Path, tmp_path: Path, use: Use) -> None:
    pool = write_pool(tmp_path / "held.jsonl", [{"prompt": "1 + 1?", "answer": "2", "id": "two"}])
    use(Mine(calls=0))
    told = oneshot("eval", tiny, "--data", pool, "--evals.max-new-tokens", "4", "--model.threads", "1")
    assert told.code == 4
    assert "E305 the reward failed at the evaluation of problem 'two' (status timeout): mine.py:score" in told.err


class Unsure:
    """Undecided about everything but a stated reference."""

    name = "unsure"

    def __call__(self, response: str, reference: str) -> Verdict:
        right = response == rf"\boxed{{{reference}}}"
        return Verdict(
            correct=right, extracted=response[:1], method="text", status="ok" if right else "undecided"
        )  # fmt: skip


def test_undecided_verdicts_are_a_metric_and_are_listed(train: OneShot, use: Use) -> None:
    use(Unsure())
    told = train("--steps", "2", "--allow-unsolved")
    assert told.code == 0, told.err
    run = told.run
    assert [row["grader/undecided"] for row in run.metrics()] == [1.0, 1.0]
    listed = [event for event in run.events() if event["kind"] == "verdicts"]
    assert [event["step"] for event in listed] == [None, 0, 1]
    for event in listed[1:]:
        texts = {row["extracted"] for row in run.rollouts(event["step"])}
        assert event["responses"] == 8
        assert {v["extracted"] for v in event["verdicts"]} == texts
        assert {(v["reference"], v["status"]) for v in event["verdicts"]} == {("5", "undecided")}


def test_references_nothing_matches_are_told_before_an_evaluation(
    train: OneShot, oneshot: OneShot, tiny: Path, tmp_path: Path
) -> None:
    rows = [{"prompt": f"{i}?", "answer": answer, "id": f"r{i}"} for i, answer in enumerate(("2", "nan", "", "3"))]
    pool = write_pool(tmp_path / "held.jsonl", rows)
    words = ("--data", pool, "--evals.max-new-tokens", "4", "--model.threads", "1")
    told = oneshot("eval", tiny, *words, "--json")
    assert told.code == 0, told.err
    assert told.json["unmatchable"] == {"refused": 1, "empty": 1, "ids": ["r1", "r2"]}
    assert sum(told.json["statuses"].values()) == 4
    assert told.json["grader"] == "math"
    assert "warning: the grader 'math' does not accept 1 of 4 reference answers against themselves" in told.err
    assert "warning: 1 reference answer is empty and match" in told.err
    assert oneshot("eval", tiny, *words, "--quiet").err == ""
    run = train("--steps", "1", "--allow-unsolved", "--evals.source", pool)
    assert "does not accept 1 of 4 reference answers" in run.err
    assert run.run.read_eval("held", "base")[0]["unmatchable"] == told.json["unmatchable"]
    pool = write_pool(tmp_path / "none.jsonl", rows[1:3])
    told = oneshot("eval", tiny, "--data", pool)
    assert told.code == 4
    assert "E302 the grader 'math' accepts none of the 2 reference answers" in told.err


def test_a_run_with_a_function_of_a_file(train: OneShot, oneshot: OneShot, tmp_path: Path) -> None:
    reward = tmp_path / "mine.py"
    reward.write_text("def score(completions, answer, **kwargs): return [len(c) % 3 / 2 for c in completions]\n")
    pool = write_pool(tmp_path / "held.jsonl", [{"prompt": "1 + 1?", "answer": "2"}, {"prompt": "2?", "answer": "2"}])
    told = train("--reward", f"{reward}:score", "--steps", "1", "--evals.source", pool)
    assert told.code == 0, told.err
    assert f"reward {reward}:score: recognised as the TRL convention: score(completions, answer, **kwargs)" in told.err
    run = told.run
    assert all(row["reward"] == len(row["text"]) % 3 / 2 for row in run.rollouts(0))
    protocol = run.read_eval("held", "checkpoint-1")[0]["protocol"]
    assert (protocol["grader"], protocol["convention"]) == (f"{reward}:score", "TRL")
    assert run.read_eval("held", "checkpoint-1")[0]["found"] == 1.0
    for edited in (False, True):  # once measured, read again; after the function was edited, graded again
        first, second = oneshot("eval", run.path), oneshot("eval", run.path)
        assert (first.code, second.code) == (0, 0)
        assert ("the recorded responses are graded again, and nothing is sampled" in first.err) is edited
        assert "graded again" not in second.err
        assert len({task for task, _ in run.evals()} - {"held"}) == 1
        reward.write_text(reward.read_text() + "# edited\n")
