"""What `oneshot eval` measures beside: the baselines of a prompt, a forced box; and the files of other tools."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oneshot.record import RunFolder
from tests.e2e.conftest import OneShot, one_in, write_pool
from tests.tiny import save_tiny

FACTORY = """
from dataclasses import dataclass
@dataclass
class Config:
    size: int = 500
    seed: int = 1
class Sums:
    def __getitem__(self, n):
        return {"question": f"{n} + 1?", "answer": str(n + 1), "metadata": {}}
    def score_answer(self, answer, entry):
        return float(answer == entry["answer"])
DATASETS = {"sums": (Sums, Config)}
def create_dataset(name, **options):
    return Sums()
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [{"id": f"t/{i}.json", "problem": f"{i} + 1?", "answer": str(i + 1), "subject": "s"} for i in range(6)]
    write_pool(folder / "math500.jsonl", rows)
    return folder


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of the name `reasoning_gym`, which the grader's process imports too."""
    package = tmp_path / "reasoning_gym"
    package.mkdir()
    (package / "__init__.py").write_text("from .factory import create_dataset\n")
    (package / "factory.py").write_text(FACTORY)
    for name in [name for name in sys.modules if name.partition(".")[0] == "reasoning_gym"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "reasoning_gym"]:
        del sys.modules[name]


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
    words = ("--tasks", "math500", "--data-dir", data, "--max-new-tokens", "6", "--icl", run.path, "--json")
    told = oneshot("eval", run.path, *words)
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


def test_the_best_prompt_of_the_list(
    train: OneShot, oneshot: OneShot, data: Path, tmp_path: Path, graded: Callable[..., None]
) -> None:
    graded(one_in(2))
    dev = write_pool(tmp_path / "dev.jsonl", [{"prompt": f"{i} + 2?", "answer": str(i + 2)} for i in range(4)])
    run = train("--steps", "1", "--allow-unsolved", "--yes", "--optim.lr", "1e-2", "--evals.source", dev).run
    words = ("eval", run.path, "--tasks", "math500", "--data-dir", data, "--max-new-tokens", "6", "--best-prompt")
    told = oneshot(*words, "--json")
    assert told.code == 0, told.err
    assert "prompts: right of 4 development problems" in told.err
    (name, part), *others = told.json["baselines"].items()
    assert others == []
    assert name == f"base+prompt-{part['protocol']['data']['prompt_choice']['chosen']}"
    assert {part["over_base"]["claims"], part["trained_over"]["claims"]} == {3}
    again = oneshot("regrade", run.path, "--grader", "exact", "--json").json["evals"]
    cut = {each["checkpoint"]: each["read_to_run_on"] for each in again}
    assert cut["base"] is False and cut["base+prompt-plain"] is True  # as they were graded


def test_a_model_without_a_chat_template(oneshot: OneShot, data: Path, tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "bare")
    (model / "chat_template.jinja").unlink()
    words = ("eval", model, "--tasks", "math500", "--data-dir", data, "--max-new-tokens", "6", "--model.threads", "1")
    told = oneshot(*words, "--json")
    assert told.code == 0, told.err
    assert "has no chat template: the prompt is the bare question" in told.err
    assert told.json["protocol"]["prompt"] == "0 + 1?\n"


def test_likelihoods_and_a_generated_task(oneshot: OneShot, tiny: Path, data: Path, stand_in: None) -> None:
    choices = {"text": ["ice", "iron"], "label": ["A", "B"]}
    rows = [{"id": f"q{i}", "question": f"{i}?", "choices": choices, "answerKey": "AB"[i % 2]} for i in range(4)]
    write_pool(data / "arc_easy.jsonl", rows)
    words = ("--data-dir", data, "--max-new-tokens", "6", "--model.threads", "1")
    told = oneshot("eval", tiny, "--tasks", "arc_easy,arc_easy:loglikelihood,gym:sums:size=3", *words, "--json")
    assert told.code == 0, told.err
    tasks = told.json["tasks"]
    ranked = tasks["arc_easy-loglikelihood"]
    assert (ranked["n"], ranked["protocol"]["kind"], "acc_norm" in ranked) == (4, "loglikelihood", True)
    assert (ranked["grader"], tasks["arc_easy"]["grader"]) == ("", "choice")
    ignored = "note: arc_easy-loglikelihood compares likelihoods: --evals.max-new-tokens changes nothing in it"
    assert ignored in told.err
    assert (tasks["gym-sums-size3"]["n"], tasks["gym-sums-size3"]["grader"]) == (3, "gym:sums:seed=0:size=3")
    assert "macro" not in told.json
    assert "arc_easy and arc_easy-loglikelihood ask the same problems" in told.json["no_macro"]


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
