"""Another grader costs no sampling: responses that were asked alike are graded again, and only those."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.config.schema import Config, EvalsConfig
from oneshot.data.tasks.task import Protocol
from oneshot.stages.evals import asked_alike
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.records import take_over
from oneshot.stages.evals.sampling import measure_task
from oneshot.stages.setup import Setup
from oneshot.types import Problem
from tests.unit.stages.evaluating import ScriptedEngine, asked_for, boxed, folder, sums, with_engine
from tests.unit.stages.setups import tiny_setup

SAMPLED = Protocol(samples=3, temperature=0.6, max_new_tokens=8)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return tiny_setup(tmp_path_factory.mktemp("model"))


def graded_by(grader: str, protocol: Protocol = SAMPLED, count: int = 4) -> Asked:
    """Its protocol changed to this grader, as a command does it."""
    return asked_for(
        sums(count), protocol, config=Config(evals=EvalsConfig(grader=grader)), given=lambda key: key == "evals.grader"
    )


def test_another_grader_grades_what_was_sampled(setup: Setup, tmp_path: Path) -> None:
    asked, store, said, idle = asked_for(sums(4), SAMPLED), folder(tmp_path / "e"), list[str](), ScriptedEngine(boxed)
    before = measure_task(with_engine(setup, ScriptedEngine(boxed)), asked, store, "base")
    strict = graded_by("math")
    assert strict.name != asked.name
    after = measure_task(with_engine(setup, idle), strict, store, "base", say=said.append)
    assert idle.calls == 0
    assert [(r.id, r.sample, r.response) for r in after] == [(r.id, r.sample, r.response) for r in before]
    assert (sum(r.correct for r in before), sum(r.correct for r in after)) == (8, 4)
    assert len(said) == 1
    assert "(grader math-lenient) are graded by math, and nothing is sampled" in said[0]
    protocol = store.read_eval(strict.name, "base")[0]["protocol"]
    assert (protocol["grader"], protocol["responses_of"], protocol["temperature"]) == ("math", "sums", 0.6)
    assert store.read_eval("sums", "base")[1] == before
    assert measure_task(with_engine(setup, idle), strict, store, "base", say=said.append) == after
    assert (idle.calls, len(said)) == (0, 1)


def test_without_a_model_what_is_known_must_be_the_same(setup: Setup, tmp_path: Path) -> None:
    asked, store, files = asked_for(sums(4), SAMPLED), folder(tmp_path / "e"), {"config.json": "0" * 16}
    measure_task(with_engine(setup, ScriptedEngine(boxed)), asked, store, "base", files=files)
    strict = graded_by("math")
    known: dict[str, Any] = {"seed": 0, "files_now": files}
    assert asked_alike.of_other_grader(strict, store, "base", **known) == "sums"
    for changed in ({"seed": 1}, {"files_now": {}}, {"files_now": {"config.json": "1" * 16}}):
        assert asked_alike.of_other_grader(strict, store, "base", **{**known, **changed}) == ""
    assert asked_alike.of_other_grader(strict, store, "checkpoint-2", **known) == ""
    assert asked_alike.of_other_grader(asked, store, "base", **known) == "", "it is there itself"
    take_over(strict, store, "base", "sums")
    assert store.has_eval(strict.name, "base")


@pytest.mark.parametrize(
    "other",
    [
        graded_by("math", replace(SAMPLED, temperature=1.0)),
        graded_by("math", replace(SAMPLED, max_new_tokens=7)),
        graded_by("math", replace(SAMPLED, samples=2)),
        graded_by("math", replace(SAMPLED, suffix="Think.")),
        graded_by("math", count=3),
        replace(graded_by("math"), data={"digest": "d" * 64, "limit": 4}),
        replace(graded_by("math"), name="totals"),
        replace(graded_by("math"), data={"digest": "e" * 64, "limit": 0}),
        replace(graded_by("math"), problems=tuple(replace(p, id=f"q{p.id}") for p in sums(4))),
    ],
)
def test_responses_that_were_asked_otherwise_are_not_taken(setup: Setup, tmp_path: Path, other: Asked) -> None:
    store = folder(tmp_path / "e")
    measure_task(with_engine(setup, ScriptedEngine(boxed)), asked_for(sums(4), SAMPLED), store, "base")
    assert asked_alike.of_other_grader(other, store, "base", seed=0) == ""


def test_with_a_model_its_weights_and_prompts_must_be_the_same(setup: Setup, tmp_path: Path) -> None:
    asked, strict = asked_for(sums(4), SAMPLED), graded_by("math")
    others = {
        "seed": replace(setup, config=replace(setup.config, seed=1)),
        "weights": tiny_setup(tmp_path / "other"),
    }
    next(iter(others["weights"].policy.model.parameters())).data += 1e-3
    for name, other in others.items():
        store, engine = folder(tmp_path / name), ScriptedEngine(boxed)
        measure_task(with_engine(setup, ScriptedEngine(boxed)), asked, store, "base")
        measure_task(with_engine(other, engine), strict, store, "base")
        assert len(engine.asked) == 12, name

    def render(problem: Problem) -> tuple[int, ...]:
        return (5, 6, 7)

    store, engine = folder(tmp_path / "render"), ScriptedEngine(boxed)
    measure_task(with_engine(setup, ScriptedEngine(boxed)), replace(asked, variant="icl"), store, "base")
    measure_task(with_engine(setup, engine), replace(strict, variant="icl", render=render), store, "base")
    assert len(engine.asked) == 12, "another prompt"


def test_forced_boxes_stay_and_missing_ones_are_all_that_is_sampled(setup: Setup, tmp_path: Path) -> None:
    def plain(i: int, s: int) -> str:
        return f"It is {i + 1}."

    def filled(i: int, s: int) -> str:
        return f"{i + 1}}}."

    asked, store = asked_for(sums(2), SAMPLED, forced=True), folder(tmp_path / "e")
    measure_task(with_engine(setup, ScriptedEngine(plain, filled=filled)), asked, store, "base")
    strict, idle = graded_by("math", count=2), ScriptedEngine(plain, filled=filled)
    rows = measure_task(with_engine(setup, idle), replace(strict, forced=True), store, "base")
    assert idle.calls == 0
    assert [(r.correct, r.meta["forced"]) for r in rows] == [(False, True)] * 6

    bare, engine = folder(tmp_path / "bare"), ScriptedEngine(plain, filled=filled)
    measure_task(with_engine(setup, ScriptedEngine(plain)), asked_for(sums(2), SAMPLED), bare, "base")
    again = measure_task(with_engine(setup, engine), replace(strict, forced=True), bare, "base")
    assert (engine.asked, len(engine.forced)) == ([], 6)
    assert [(r.correct, r.meta["forced"]) for r in again] == [(False, True)] * 6


def test_what_was_begun_under_this_grader_is_continued(setup: Setup, tmp_path: Path) -> None:
    asked, strict, store = asked_for(sums(4), SAMPLED), graded_by("math"), folder(tmp_path / "e")

    def stop(call: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_task(with_engine(setup, ScriptedEngine(boxed, on_call=stop)), strict, store, "base")
    measure_task(with_engine(setup, ScriptedEngine(boxed)), asked, store, "base")
    engine = ScriptedEngine(boxed)
    measure_task(with_engine(setup, engine), strict, store, "base")
    assert len(engine.asked) == 12
