r"""A box is forced where there is none, graded strictly, recorded, and resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oneshot.data.tasks.task import Protocol
from oneshot.rewards.forced import OPENING, completed, needs_box
from oneshot.rollout.native import NativeEngine
from oneshot.stages.evals import asked_alike
from oneshot.stages.evals.forcing import MOST
from oneshot.stages.evals.records import recorded
from oneshot.stages.evals.sampling import measure_task
from oneshot.stages.setup import Setup
from oneshot.types import Sampling
from tests.unit.stages.evaluating import ScriptedEngine, asked_for, folder, samples_of, sums, with_engine
from tests.unit.stages.setups import tiny_setup

TWO = Protocol(samples=2, temperature=0.6, max_new_tokens=8)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return tiny_setup(tmp_path_factory.mktemp("model"))


def said(i: int, s: int) -> str:
    """Problem 0 in a box (the second sample wrong), 1 without, 2 in a box that is never closed."""
    return [f"\\boxed{{{1 + s}}}", "It is 2.", "It is \\boxed{3"][i]


def filled(i: int, s: int) -> str:
    """What the model puts into a forced box: right, wrong, and on into another question; or never closed."""
    return {(1, 0): "2}$.", (1, 1): "9}", (2, 0): "3}\n\nQuestion: 1+1? \\boxed{7}", (2, 1): "3 3 3"}[i, s]


def test_only_responses_without_a_box_get_one(setup: Setup, tmp_path: Path) -> None:
    asked, store = asked_for(sums(3), TWO, forced=True), folder(tmp_path / "e")
    engine = ScriptedEngine(said, filled=filled)
    rows = measure_task(with_engine(setup, engine), asked, store, "base")
    assert engine.forced == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert [(r.meta["boxed"], r.meta["forced"]) for r in rows] == [
        (True, True),
        (False, False),
        (False, True),
        (False, False),
        (False, True),
        (False, False),
    ]
    assert [r.meta.get("forced_text") for r in rows[:3]] == [None, None, "2}$."]
    assert rows[2].response == "It is 2.", "the response stays what was said"
    assert store.read_eval("sums", "base")[0]["forced"]["value"] == pytest.approx(0.5)
    tokens = setup.policy.tokenizer("It is 2." + OPENING)["input_ids"]
    prompt = setup.render_eval(asked.problems[1])
    assert engine.prompts[6] == (*prompt, *tokens)


def test_what_is_graded_ends_with_the_forced_box() -> None:
    assert completed("a", "3} and \\boxed{7}") == "a" + OPENING + "3}"
    assert completed("a", "\\frac{1}{2}} so") == "a" + OPENING + "\\frac{1}{2}}"
    assert completed("a", "3 3") == "a" + OPENING + "3 3"
    assert [needs_box(t) for t in ("", "7", "\\boxed{7", "\\boxed{7}", "\\boxed{}")] == [True, True, True, False, False]


def test_a_finished_evaluation_gets_its_forced_boxes_later(setup: Setup, tmp_path: Path) -> None:
    plain, store = asked_for(sums(3), TWO), folder(tmp_path / "e")
    measure_task(with_engine(setup, ScriptedEngine(said)), plain, store, "base")
    asked, engine = asked_for(sums(3), TWO, forced=True), ScriptedEngine(said, filled=filled)
    assert recorded(asked, store, "base") is None
    rows = measure_task(with_engine(setup, engine), asked, store, "base")
    assert (engine.asked, len(engine.forced)) == ([], 4)
    straight = folder(tmp_path / "straight")
    measure_task(with_engine(setup, ScriptedEngine(said, filled=filled)), asked, straight, "base")
    assert samples_of(store, asked) == samples_of(straight, asked)
    assert recorded(plain, store, "base") == rows, "what is there may be more than was asked for"


def test_forced_boxes_are_kept_and_graded_again(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(now: int) -> None:
        if now == 4:  # two batches of responses, then the second one of forced boxes
            raise KeyboardInterrupt

    def bare(i: int, s: int) -> str:
        return "It is so."

    asked, store = asked_for(sums(50), TWO, forced=True), folder(tmp_path / "e")
    first = ScriptedEngine(bare, filled=lambda i, s: f"{i + 1}}}", on_call=kill)
    with pytest.raises(KeyboardInterrupt):
        measure_task(with_engine(setup, first), asked, store, "base")
    second = ScriptedEngine(bare, filled=lambda i, s: f"{i + 1}}}")
    rows = measure_task(with_engine(setup, second), asked, store, "base")
    assert (second.asked, len(first.forced), len(second.forced)) == ([], 64, 36)
    assert all(r.meta["forced"] and not r.meta["boxed"] for r in rows)
    monkeypatch.setattr(asked_alike, "grader_version", lambda name: "another")
    assert recorded(replace(asked, forced=False), store, "base") == rows


def test_a_long_response_loses_its_end(setup: Setup, tmp_path: Path) -> None:
    """The tiny model has 512 positions: prompt, response, opening and 64 tokens must fit."""
    asked, store = asked_for(sums(1), Protocol(max_new_tokens=450), forced=True), folder(tmp_path / "e")
    engine = ScriptedEngine(lambda i, s: "x" * 450, filled=lambda i, s: "1}")
    measure_task(with_engine(setup, engine), asked, store, "base")
    sampled, forced = engine.prompts
    opening = tuple(setup.policy.tokenizer(OPENING)["input_ids"])
    assert len(forced) == 512 - MOST
    assert forced[: len(sampled)] == sampled
    assert forced[-len(opening) :] == opening


def test_with_the_native_sampler(setup: Setup, tmp_path: Path) -> None:
    asked, store = asked_for(sums(3), forced=True), folder(tmp_path / "e")
    rows = measure_task(replace(setup, eval_engine=NativeEngine(setup.policy)), asked, store, "base")
    row = rows[1]
    assert needs_box(row.response)
    tokens = setup.policy.tokenizer(row.response + OPENING)["input_ids"]
    (expected,) = setup.engine.generate(
        [(*setup.render_eval(asked.problems[1]), *tokens)], Sampling(temperature=0.0, max_new_tokens=MOST), [(0, 0)]
    )
    assert row.meta["forced_text"] == expected.text
