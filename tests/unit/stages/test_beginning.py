"""What each attempt looks at first: the weights are those the run began with, and what is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from oneshot.config.schema import RolloutConfig
from oneshot.errors import UsageError
from oneshot.model.fingerprint import SAMPLE, fingerprint
from oneshot.record import RunFolder
from oneshot.stages.training.beginning import begin
from tests.parts import tiny_policy
from tests.unit.stages.setups import QUESTION, tiny_setup


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "x", {}, [])


def test_other_weights_are_refused_and_the_same_ones_recorded_once(folder: Path, run: RunFolder) -> None:
    setup, notes = tiny_setup(folder), list[str]()
    for _ in range(2):
        begin(setup, [QUESTION], run, notes.append)
    (event,) = [event for event in run.events() if event["kind"] == "model"]
    assert event["name"] == str(folder)
    assert event["sha256"] == fingerprint(setup.policy.model)
    assert notes == []
    assert len([event for event in run.events() if event["kind"] == "checked"]) == 2
    with torch.no_grad():
        setup.policy.head[0, 0] += 0.5
    with pytest.raises(UsageError, match=r"are not those that .* began with") as caught:
        begin(setup, [QUESTION], run, notes.append)
    assert (caught.value.code, caught.value.exit_code) == ("E107", 2)
    assert caught.value.tries[0] == f"put the files of {folder} back"


def test_dynamic_sampling_with_one_example_is_warned_of(folder: Path, run: RunFolder) -> None:
    rollout = RolloutConfig(groups=2, group_size=4, max_new_tokens=8, dynamic=True)
    setup, notes = tiny_setup(folder, rollout=rollout), list[str]()
    begin(setup, [QUESTION, replace(QUESTION, id="other")], run, notes.append)
    assert notes == []
    begin(replace(setup, notes=("something",)), [QUESTION], run, notes.append)
    assert notes[0] == "something"
    assert notes[1].startswith("warning: rollout.dynamic with one example: ")
    assert "up to 4 times" in notes[1]


def test_a_fingerprint_knows_values_names_shapes_and_nothing_else() -> None:
    model = tiny_policy().model
    first = fingerprint(model)
    assert first == fingerprint(tiny_policy().model)
    assert first != fingerprint(tiny_policy(seed=1).model)
    assert first != fingerprint(tiny_policy(layers=3).model)
    assert fingerprint(torch.nn.Linear(2, 3, bias=False)) != fingerprint(torch.nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        model.get_output_embeddings().weight[1] += 1e-3
    assert first != fingerprint(model)


def test_a_large_tensor_is_read_at_evenly_spaced_places() -> None:
    layer = torch.nn.Linear(100, 100, bias=False)
    first, step = fingerprint(layer), 100 * 100 // SAMPLE
    for place, seen in ((step - 1, False), (step, True)):
        with torch.no_grad():
            layer.weight.view(-1)[place] += 1
        assert (fingerprint(layer) != first) == seen
