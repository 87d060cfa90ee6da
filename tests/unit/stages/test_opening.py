"""What is said and recorded before step 0, and what stops a run there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from oneshot.config.schema import DataConfig, EvalsConfig, RolloutConfig
from oneshot.errors import DataError, MachineError
from oneshot.model.storage import DiskForecast
from oneshot.stages.resources.worst_case import Gap
from oneshot.stages.setup import Setup
from oneshot.stages.training import opening as stage
from oneshot.stages.training.opening import GAP_LIMIT, Opening, opening
from oneshot.types import Problem
from tests.unit.stages.setups import QUESTION, graded_by, tiny_setup

LONG = Problem(id="long", prompt="What is 2 + 3 and then 1 more?", answer="6")


class Told:
    """Collects what the checks say and record."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.events: list[dict[str, Any]] = []

    def event(self, kind: str, **details: Any) -> None:
        self.events.append({"kind": kind, **details})

    @property
    def facts(self) -> dict[str, Any]:
        (found,) = [e for e in self.events if e["kind"] == "preflight"]
        return found

    def run(self, setup: Setup, tmp_path: Path, **changes: Any) -> Any:
        given = Opening(
            setup=setup, problems=[QUESTION], held_out=3, note=self.notes.append, event=self.event, folder=tmp_path
        )
        return opening(replace(given, **changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture
def setup(folder: Path) -> Setup:
    """About every second response is right."""
    return graded_by(tiny_setup(folder), lambda response: len(response) % 2 == 0)


def test_few_lines_and_one_event_with_everything(setup: Setup, tmp_path: Path) -> None:
    told = Told()
    rate = told.run(setup, tmp_path)
    assert 0 < rate.successes < rate.samples == 32
    assert len(told.notes) <= 8
    starts = ("prompt: 17 tokens", "sample: right", "the base model solves", "sampler/learner log-prob gap:")
    starts += ("worst-case step: ", "time: ", "memory: ")
    said = [note for note in told.notes if not note.startswith("warning")]
    assert all(note.startswith(start) for note, start in zip(said, starts, strict=True))
    assert "stops at 0 <|end|>" in told.notes[0]
    facts = told.facts
    assert (facts["value"], facts["n"]) == (rate.successes / 32, 32)  # what a resumed run reads
    assert (facts["prompt_tokens"], len(facts["prompt_ids"])) == (17, 17)
    assert facts["prompt"] == "<|user|>What is 2 + 3?<|end|><|assistant|>"
    assert facts["stops"] == {"0": "<|end|>"}
    assert facts["sample"]["correct"] is True
    assert facts["zero_signal"] == rate.zero_signal(4)
    assert facts["gap"]["mean"] < facts["gap"]["limit"] == 1e-3
    assert facts["worst_case"]["responses"] == 8
    assert facts["forecast"]["time"]["steps"] == 3
    assert facts["forecast"]["disk"]["total"] > 0
    assert facts["forecast"]["memory"] == facts["worst_case"]["needed"]


def test_the_prompt_is_shown_when_asked_for(setup: Setup, tmp_path: Path) -> None:
    told = Told()
    told.run(setup, tmp_path, verbose=True)
    assert told.notes[1] == "prompt, special tokens shown: '<|user|>What is 2 + 3?<|end|><|assistant|>'"


def test_the_longest_of_several_prompts_makes_the_worst_case(setup: Setup, tmp_path: Path) -> None:
    told = Told()
    told.run(setup, tmp_path, problems=[QUESTION, LONG])
    longest = len(setup.render(LONG))
    assert f"17 tokens (the longest {longest})" in told.notes[0]
    assert told.facts["worst_case"]["prompt"] == longest


def test_a_long_response_is_cut_and_every_one_is_on_one_line(folder: Path, tmp_path: Path) -> None:
    rollout = RolloutConfig(groups=1, group_size=2, max_new_tokens=300)
    setup = graded_by(tiny_setup(folder, rollout=rollout), lambda response: len(response) % 2 == 0)
    told = Told()
    told.run(setup, tmp_path)
    text = told.facts["sample"]["response"]
    assert len(text) <= 203
    assert all(note.isprintable() for note in told.notes)


def test_mostly_cut_samples_are_a_warning_before_they_stop_the_run(setup: Setup, tmp_path: Path) -> None:
    never = replace(setup.policy, eos_ids=frozenset({setup.policy.model.config.vocab_size + 5}))
    endless = replace(setup, policy=never, engine=type(setup.engine)(never, batch=64))
    told = Told()
    told.run(endless, tmp_path)
    assert any("100% of the samples were cut at 8 tokens" in note for note in told.notes)


def test_an_unsolved_example_stops_before_anything_expensive(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = graded_by(tiny_setup(folder), lambda response: False)
    monkeypatch.setattr(stage, "run_worst_case", None)
    told = Told()
    with pytest.raises(DataError) as caught:
        told.run(setup, tmp_path)
    assert caught.value.code == "E303"
    assert told.facts["value"] == 0
    assert "gap" not in told.facts
    assert told.facts["sample"]["correct"] is False


def test_an_unsolved_example_may_be_allowed(folder: Path, tmp_path: Path) -> None:
    setup = graded_by(tiny_setup(folder, data=DataConfig(allow_unsolved=True)), lambda response: False)
    assert Told().run(setup, tmp_path).successes == 0


def test_sampler_and_learner_that_disagree_stop_the_run(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "logprob_gap", lambda *_: Gap(mean=0.0011, largest=0.4, tokens=77))
    told = Told()
    with pytest.raises(
        DataError, match=r"mean 1\.1e-03, at most 4\.0e-01 over 77 tokens, where 0\.001 is the"
    ) as caught:
        told.run(setup, tmp_path)
    assert (caught.value.code, caught.value.exit_code) == ("E304", 4)
    assert told.facts["gap"]["mean"] == 0.0011  # recorded all the same
    assert "worst_case" not in told.facts


def test_in_lower_precision_a_gap_is_a_warning(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "GAP_LIMIT", {torch.float64: 1.0})  # as if float32 were a lower precision
    monkeypatch.setattr(stage, "logprob_gap", lambda *_: Gap(mean=0.03, largest=0.4, tokens=77))
    told = Told()
    told.run(setup, tmp_path)
    assert any(note.startswith("warning: sampler and learner disagree") for note in told.notes)
    assert torch.bfloat16 not in GAP_LIMIT


def test_a_full_disk_is_refused_after_the_rest_was_recorded(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = DiskForecast(checkpoint=2**60, kept=1, optimizer=0, spare=0, rollouts=0)
    monkeypatch.setattr(stage, "disk_forecast", lambda *_: huge)
    told = Told()
    with pytest.raises(MachineError) as caught:
        told.run(setup, tmp_path)
    assert caught.value.code == "E202"
    assert told.facts["forecast"]["disk"]["total"] == 2**60


def test_more_rows_than_samples_are_timed_themselves(folder: Path, tmp_path: Path) -> None:
    wide = RolloutConfig(groups=5, group_size=8, max_new_tokens=4, batch=40)
    setup = graded_by(tiny_setup(folder, rollout=wide, evals=EvalsConfig()), lambda response: len(response) % 2 == 0)
    told = Told()
    told.run(setup, tmp_path, held_out=0)
    assert told.facts["forecast"]["time"]["speed"]["decode_rows"] == 40
    narrow = Told()
    narrow.run(graded_by(tiny_setup(folder), lambda response: len(response) % 2 == 0), tmp_path)
    assert narrow.facts["forecast"]["time"]["speed"]["decode_rows"] == 32
