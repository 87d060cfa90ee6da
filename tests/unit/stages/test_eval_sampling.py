"""A whole task: what is sampled and kept, going on after a kill, stop signals, and grading from the record alone."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.config.schema import Config
from oneshot.data.tasks.suites import TASKS
from oneshot.data.tasks.task import Protocol
from oneshot.errors import UsageError
from oneshot.rewards.version import grader_version
from oneshot.rollout.native import NativeEngine
from oneshot.stages.evals import asked_alike
from oneshot.stages.evals import work as eval_work
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.records import recorded
from oneshot.stages.evals.sampling import measure_task
from oneshot.stages.probing.sampler import MAX_PROBLEMS, STEPS
from oneshot.stages.setup import Setup
from oneshot.types import Problem, Sampling
from tests.unit.stages.evaluating import ScriptedEngine, asked_for, boxed, folder, sums, with_engine
from tests.unit.stages.setups import tiny_setup

SAMPLED = Protocol(samples=3, temperature=0.6, max_new_tokens=8)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return tiny_setup(tmp_path_factory.mktemp("model"))


def test_greedy_one_response_each(setup: Setup, tmp_path: Path) -> None:
    asked, store = asked_for(sums(5)), folder(tmp_path / "e")
    rows = measure_task(setup, asked, store, "base")
    prompts = [setup.render_eval(p) for p in asked.problems]
    expected = setup.engine.generate(prompts, Sampling(temperature=0.0, max_new_tokens=8), [(0, i) for i in range(5)])
    assert [(r.id, r.sample, r.response) for r in rows] == [(f"p{i}", 0, c.text) for i, c in enumerate(expected)]
    results, read = store.read_eval("sums", "base")
    assert read == rows
    assert results["schema"] == "oneshot.results/2"
    assert (results["n"], results["responses"], results["samples"]) == (5, 5, 1)
    assert not store.partial_path("sums", "base").exists()


def test_results_say_how_it_was_made(setup: Setup, tmp_path: Path) -> None:
    asked, store = asked_for(sums(3), SAMPLED), folder(tmp_path / "e")
    measure_task(setup, asked, store, "checkpoint-12")
    protocol = store.read_eval("sums", "checkpoint-12")[0]["protocol"]
    assert protocol["prompt"] == "<|user|>What is 0 + 1?<|end|><|assistant|>"
    assert protocol["eos_ids"] == [0]
    assert (protocol["samples"], protocol["temperature"], protocol["max_new_tokens"], protocol["seed"]) == (
        3,
        0.6,
        8,
        0,
    )
    assert (protocol["dtype"], protocol["grader"]) == ("float32", "math-lenient")
    assert protocol["grader_version"] == grader_version("math-lenient")
    assert protocol["data"]["digest"] == "d" * 64
    assert set(protocol["libraries"]) == {"torch", "transformers", "oneshot"}
    assert len(protocol["weights"]) == 16


def test_the_texts_depend_on_neither_batch_nor_limit_nor_order(setup: Setup, tmp_path: Path) -> None:
    texts: list[dict[Any, str]] = []
    for number, (count, batch) in enumerate([(40, 16), (40, 64), (7, 32)]):
        own = replace(setup, eval_engine=NativeEngine(setup.policy, batch=batch))
        rows = measure_task(own, asked_for(sums(count), SAMPLED, rows=40), folder(tmp_path / str(number)), "base")
        texts.append({(r.id, r.sample): r.response for r in rows})
    assert len(texts[0]) == 120
    assert len(set(texts[0].values())) > 100, "samples differ"
    assert texts[0] == texts[1]
    assert texts[2] == {key: texts[0][key] for key in texts[2]}
    assert len(texts[2]) == 21


def test_another_seed_gives_other_texts(setup: Setup, tmp_path: Path) -> None:
    asked = asked_for(sums(4), SAMPLED)
    other = replace(setup, config=replace(setup.config, seed=1))
    first = [r.response for r in measure_task(setup, asked, folder(tmp_path / "a"), "base")]
    assert first != [r.response for r in measure_task(other, asked, folder(tmp_path / "b"), "base")]


def test_its_streams_are_nobody_elses() -> None:
    assert max(STEPS.values()) + MAX_PROBLEMS < eval_work.EVAL_STEP


def test_a_finished_evaluation_is_only_read(setup: Setup, tmp_path: Path) -> None:
    asked, store = asked_for(sums(3), SAMPLED), folder(tmp_path / "e")
    assert recorded(asked, store, "base") is None
    rows = measure_task(with_engine(setup, ScriptedEngine(boxed)), asked, store, "base")
    leftover = store.partial_path("sums", "base")
    leftover.write_text("{}\n")  # killed after the results were written
    idle = ScriptedEngine(boxed)
    assert measure_task(with_engine(setup, idle), asked, store, "base") == rows == recorded(asked, store, "base")
    assert idle.calls == 0
    assert not leftover.exists()


def test_another_grader_version_grades_again_and_never_samples(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, store, said = asked_for(sums(4), SAMPLED), folder(tmp_path / "e"), list[str]()
    monkeypatch.setattr(asked_alike, "grader_version", lambda name: "0123456789ab")
    old: Any = copy.copy(asked.strict)  # the version before saw boxes only
    old.name = "math-lenient"
    wrong = replace(asked, verify=old)
    before = measure_task(with_engine(setup, ScriptedEngine(boxed)), wrong, store, "base")
    monkeypatch.undo()
    idle = ScriptedEngine(boxed)
    after = measure_task(with_engine(setup, idle), asked, store, "base", say=said.append)
    assert idle.calls == 0
    assert [r.response for r in after] == [r.response for r in before]
    assert (sum(r.correct for r in before), sum(r.correct for r in after)) == (4, 8)
    assert len(said) == 1
    assert "0123456789ab" in said[0] and "nothing is sampled" in said[0]
    results, rows = store.read_eval("sums", "base")
    assert rows == after
    assert results["correct"] == 8
    assert results["protocol"]["grader_version"] == grader_version("math-lenient")
    assert results["protocol"]["temperature"] == 0.6
    assert recorded(asked, store, "base", say=said.append) == after
    assert len(said) == 1, "once is enough"


def test_the_seed_is_nothing_to_what_is_greedy(setup: Setup, tmp_path: Path) -> None:
    asked, store, idle = asked_for(sums(3)), folder(tmp_path / "e"), ScriptedEngine(boxed)
    rows = measure_task(setup, asked, store, "base")
    other = replace(with_engine(setup, idle), config=replace(setup.config, seed=7))
    assert (measure_task(other, asked, store, "base"), idle.calls) == (rows, 0)
    assert store.read_eval("sums", "base")[0]["protocol"]["seed"] == 0, "it is recorded all the same"


def test_tasks_share_no_streams(setup: Setup, tmp_path: Path) -> None:
    """The same problems under another name are sampled anew."""
    asked = asked_for(sums(4), SAMPLED)
    other = replace(asked, name="totals", task=replace(asked.task, name="totals"))
    one, two = ([r.response for r in measure_task(setup, a, folder(tmp_path / a.name), "base")] for a in (asked, other))
    assert one != two
    tasks = map(TASKS.build, TASKS.names())
    begins = sorted((eval_work.stream_step(task.name), task.count or 10_000) for task in tasks)
    assert all(a + count < b for (a, count), (b, _) in itertools.pairwise(begins))
    assert begins[0][0] >= eval_work.EVAL_STEP
    assert begins[-1][0] + eval_work.MOST_PROBLEMS < 1 << 32


def test_a_temperature_below_zero_is_never_sampled_at(setup: Setup, tmp_path: Path) -> None:
    asked = asked_for(sums(2), replace(SAMPLED, temperature=-0.5))
    with pytest.raises(AssertionError, match="task's own"):
        measure_task(setup, asked, folder(tmp_path / "e"), "base")


def test_strict_and_lenient_grades_stand_beside_the_one_that_counts(setup: Setup, tmp_path: Path) -> None:
    asked = asked_for(sums(2), SAMPLED)
    rows = measure_task(with_engine(setup, ScriptedEngine(boxed)), asked, folder(tmp_path / "e"), "base")
    grades = [(r.id, r.sample, r.correct, r.meta["boxed"], r.meta["lenient"]) for r in rows]
    assert grades == [
        ("p0", 0, True, True, True),
        ("p0", 1, True, True, True),
        ("p0", 2, False, False, False),
        ("p1", 0, True, False, True),
        ("p1", 1, True, False, True),
        ("p1", 2, False, False, False),
    ]
    assert not any(r.meta["repeated"] or "forced" in r.meta or "correct_short" in r.meta for r in rows)


def test_letters_have_no_such_grades(setup: Setup, tmp_path: Path) -> None:
    problems = [Problem(id="q", prompt="Which?", answer="C")]
    asked = asked_for(problems, replace(SAMPLED, grader="choice"))
    rows = measure_task(
        with_engine(setup, ScriptedEngine(lambda i, s: "The answer is (C).")), asked, folder(tmp_path / "e"), "base"
    )
    assert all(r.correct for r in rows)
    assert not any({"boxed", "lenient"} & set(r.meta) for r in rows)


def test_a_grader_is_asked_once_where_two_are_one(setup: Setup, tmp_path: Path) -> None:
    class Counting:
        name = "math"

        def __init__(self, inner: Any) -> None:
            self.inner, self.calls = inner, 0

        def __call__(self, response: str, reference: str) -> Any:
            self.calls += 1
            return self.inner(response, reference)

    asked = asked_for(sums(2), replace(SAMPLED, grader="math"))
    assert asked.verify is asked.strict
    counting = Counting(asked.verify)
    own = replace(asked, verify=counting, strict=counting)
    measure_task(with_engine(setup, ScriptedEngine(boxed)), own, folder(tmp_path / "e"), "base")
    assert counting.calls == 6 + 2, "six responses; two references are checked"


def test_a_model_without_a_chat_template_gets_the_bare_question(tmp_path: Path) -> None:
    own, said = tiny_setup(tmp_path / "model"), list[str]()
    own.policy.tokenizer.chat_template = None
    asked, store = asked_for(sums(2)), folder(tmp_path / "e")
    measure_task(own, asked, store, "base", say=said.append)
    assert store.read_eval("sums", "base")[0]["protocol"]["prompt"] == "What is 0 + 1?\n"
    assert said == [f"{own.config.model.name} has no chat template: the prompt is the bare question"]


def test_another_way_of_asking_has_its_own_folder(setup: Setup, tmp_path: Path) -> None:
    store = folder(tmp_path / "e")

    def render(problem: Problem) -> tuple[int, ...]:
        return (5, 6, 7)

    asked = asked_for(sums(2), render=render, variant="icl")
    engine = ScriptedEngine(boxed)
    measure_task(with_engine(setup, engine), asked, store, "base")
    assert engine.prompts == [(5, 6, 7)] * 2
    assert store.evals() == [("sums", "base+icl")]


def test_too_long_for_the_model_is_said_before_anything_is_sampled(setup: Setup, tmp_path: Path) -> None:
    asked: Asked = asked_for(sums(2), Protocol(max_new_tokens=3072))
    engine = ScriptedEngine(boxed)
    with pytest.raises(UsageError, match="made for 512 positions") as caught:
        measure_task(with_engine(setup, engine), asked, folder(tmp_path / "e"), "base")
    assert (caught.value.code, engine.calls) == ("E105", 0)
    assert setup.config.evals.source_tokens == Config().evals.source_tokens == 128
