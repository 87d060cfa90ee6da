"""What `oneshot eval` measures beside: the baselines of a prompt, a forced box; and the files of other tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from oneshot.record import RunFolder
from tests.e2e.conftest import OneShot, one_in, write_pool


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [{"id": f"t/{i}.json", "problem": f"{i} + 1?", "answer": str(i + 1), "subject": "s"} for i in range(6)]
    write_pool(folder / "math500.jsonl", rows)
    return folder


@pytest.fixture
def run(train: OneShot, graded: Callable[..., None]) -> RunFolder:
    graded(one_in(2))
    return train(
        "--steps", "1", "--allow-unsolved", "--yes", "--optim.lr", "1e-2", "--rollout.max-new-tokens", "48"
    ).run


def test_the_example_in_the_prompt_as_a_baseline(
    oneshot: OneShot, data: Path, run: RunFolder, graded: Callable[..., None]
) -> None:
    words = ("eval", run.path, "--tasks", "math500", "--data-dir", data, "--max-new-tokens", "6", "--icl", run.path)
    told = oneshot(*words, "--json")
    assert told.code == 0, told.err
    answer = told.json
    part = answer["baselines"]["base+icl"]
    assert answer["checkpoint"] == "checkpoint-1"
    assert part["over_base"]["estimate"] == pytest.approx(part["value"] - answer["base"]["value"])
    assert part["trained_over"]["estimate"] == pytest.approx(answer["value"] - part["value"])
    assert all("p_holm" in claim for claim in (answer["paired"], part["over_base"], part["trained_over"]))
    assert {checkpoint for _, checkpoint in run.evals()} >= {"base", "base+icl", "checkpoint-1"}
    text = oneshot(*words).out
    assert [line.split(":")[0].strip() for line in text.splitlines()[1:4]] == ["base", "base+icl", "checkpoint-1"]
    assert "  checkpoint-1 - base+icl " in text
    assert all(len(line) <= 80 for line in text.splitlines()), text


def test_a_baseline_that_cannot_be_had_costs_nothing_else(
    train: OneShot, oneshot: OneShot, data: Path, graded: Callable[..., None]
) -> None:
    graded(lambda response, reference: False)
    run = train("--steps", "1", "--allow-unsolved", "--yes").run
    told = oneshot("eval", run.path, "--tasks", "math500", "--data-dir", data, "--icl", run.path, "--json")
    assert told.code == 2
    answer = told.json
    assert (answer["checkpoint"], answer["n"]) == ("checkpoint-1", 6)
    assert "baselines" not in answer
    assert answer["failed"]["math500, baselines"]["code"] == "E105"
    assert "E105 the base model never solved the example" in told.err


def test_a_forced_box(oneshot: OneShot, tiny: Path, data: Path) -> None:
    words = ("eval", tiny, "--tasks", "math500", "--data-dir", data, "--max-new-tokens", "6", "--model.threads", "1")
    plain = oneshot(*words, "--json").json
    told = oneshot(*words, "--forced-box", "--json")
    assert told.code == 0, told.err
    assert "forced" not in plain
    assert told.json["forced"]["value"] >= told.json["strict"]["value"]
    assert told.json["value"] == plain["value"]  # the same responses
    assert "   forced" in oneshot(*words, "--forced-box").out


def test_exports(oneshot: OneShot, tiny: Path, data: Path) -> None:
    words = ("eval", tiny, "--tasks", "math500", "--data-dir", data, "--max-new-tokens", "6", "--model.threads", "1")
    told = oneshot(*words, "--export", "lm-eval,hub", "--json")
    assert told.code == 0, told.err
    paths = [Path(path) for path in told.json["exports"]]
    assert all(path.is_file() and path.is_relative_to(Path(told.json["folder"]) / "exports") for path in paths)
    results = next(path for path in paths if path.name.startswith("results_"))
    assert told.json["recorded_as"] in json.loads(results.read_text())["results"]
    refused = oneshot("eval", "no-model", "--tasks", "math500", "--export", "lmeval")
    assert refused.code == 2
    assert refused.err.startswith("E102 unknown export 'lmeval'. Did you mean 'lm-eval'?")
