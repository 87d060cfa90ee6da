"""Runs that train an adapter: exact resume, evaluation, what a checkpoint can be used for, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from oneshot.record import RunFolder
from tests.e2e.conftest import OneShot, Told, write_pool
from tests.e2e.stopping import SAME, recorded, resume

LORA = ("--model.lora-rank", "4", "--optim.lr", "5e-3")


@pytest.fixture
def held(tmp_path: Path) -> Path:
    return write_pool(tmp_path / "held.jsonl", [{"prompt": f"{i} + 1?", "answer": str(i + 1)} for i in range(4)])


def adapter(run: RunFolder, step: int) -> bytes:
    return (run.checkpoint_dir(step) / "adapter_model.safetensors").read_bytes()


def lora_run(train: OneShot, *more: str | Path) -> Told:
    words = ("--steps", "2", "--allow-unsolved", "--yes", "--algorithm.kl", "0.01", *LORA, *more)
    told = train(*words)
    assert told.code == 0, told.err
    return told


def test_three_steps_and_three_more_are_six_to_the_bit(train: OneShot, oneshot: OneShot) -> None:
    whole = lora_run(train, "--steps", "6").run
    half = lora_run(train, "--steps", "3", "--save.every", "1").run
    told = oneshot("train", "--resume", "--steps", "6", "--json", "--yes")
    assert told.code == 0, told.err
    run = told.run
    assert run.path == half.path
    assert adapter(run, 6) == adapter(whole, 6) != adapter(run, 5)
    assert recorded(run) == recorded(whole)
    assert [row["attempt"] for row in run.metrics()] == [1, 1, 1, 2, 2, 2]
    assert whole.metrics()[0]["kl"] == 0.0
    assert whole.metrics()[-1]["kl"] > 0.0


def test_a_run_says_what_it_trains_and_saves_that_alone(train: OneShot, tiny: Path) -> None:
    told = lora_run(train, "--model.lora-targets", "q_proj,v_proj", "--model.lora-alpha", "6")
    run = told.run
    # rank 4, two layers, q: 32 to 32, v: 32 to 16
    trained = 2 * 4 * (32 + 32 + 32 + 16)
    assert f"adapter: rank 4, alpha 6, q_proj,v_proj; {trained:,} weights are trained" in told.err
    (seen,) = [e for e in run.events() if e["kind"] == "preflight"]
    assert seen["adapter"]["trained"] == trained
    assert seen["forecast"]["disk"]["checkpoint"] == 4 * trained
    assert seen["gap"]["mean"] < 1e-5
    assert sorted(p.name for p in run.checkpoint_dir(2).iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "checksums.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    named = json.loads((run.checkpoint_dir(2) / "adapter_config.json").read_text())
    assert named["base_model_name_or_path"] == str(tiny)
    assert (named["r"], named["lora_alpha"], sorted(named["target_modules"])) == (4, 6, ["q_proj", "v_proj"])


def test_a_run_is_evaluated_beside_its_base_and_so_is_a_checkpoint(
    train: OneShot, oneshot: OneShot, held: Path, tiny: Path
) -> None:
    run = lora_run(train).run
    told = oneshot("eval", run.path, "--data", held, "--json")
    assert told.code == 0, told.err
    assert told.json["checkpoint"] == "checkpoint-2"
    assert told.json["paired"]["n"] == told.json["base"]["n"] == 4
    (task,) = {task for task, _ in run.evals()}
    of_the_run = {name: run.read_eval(task, name)[1] for name in ("base", "checkpoint-2")}
    assert [r.response for r in of_the_run["base"]] != [r.response for r in of_the_run["checkpoint-2"]]
    # The adapter's folder alone, which finds the model by itself:
    alone = oneshot("eval", run.checkpoint_dir(2), "--data", held, "--reward", "number", "--json", *LIMITS)
    assert alone.code == 0, alone.err
    assert {k: alone.json[k] for k in ("n", "correct", "cut", "found")} == {
        k: told.json[k] for k in ("n", "correct", "cut", "found")
    }


LIMITS = ("--evals.max-new-tokens", "10")


def test_evaluations_inside_the_run_are_those_made_afterwards(train: OneShot, oneshot: OneShot, held: Path) -> None:
    run = lora_run(train, "--evals.source", held).run
    inside = {name: run.read_eval("held", name)[1] for name in ("base", "checkpoint-2")}
    assert oneshot("eval", run.path, "--data", held).code == 0
    (task,) = {task for task, _ in run.evals()} - {"held"}
    for name, rows in inside.items():
        assert [row.response for row in run.read_eval(task, name)[1]] == [row.response for row in rows]


def test_a_new_run_from_an_adapter_merges_it_or_refuses_a_second_one(
    train: OneShot, oneshot: OneShot, tiny: Path
) -> None:
    run = lora_run(train).run
    merged = train("--steps", "1", *SAME, "--model", run.checkpoint_dir(2))
    assert merged.code == 0, merged.err
    assert (merged.run.checkpoint_dir(1) / "model.safetensors").is_file()
    assert not (merged.run.checkpoint_dir(1) / "adapter_config.json").exists()
    told = train("--steps", "1", *SAME, "--model", run.checkpoint_dir(2), "--model.lora-rank", "4")
    assert told.code == 2
    assert told.err.startswith("E105 ") or "\nE105 " in told.err
    assert f"try: --model {tiny} --model.lora-rank 4   (a new adapter)" in told.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--model.lora-rank", "8"), "E107 model.lora_rank was 4 "),
        (("--model.lora-rank", "0"), "E107 model.lora_rank was 4 "),
        (("--model.lora-rank", "4", "--model.lora-alpha", "2"), "E107 model.lora_alpha was 0.0 "),
        (("--model.lora-rank", "4", "--model.lora-targets", "q_proj"), 'E107 model.lora_targets was "all-linear" '),
    ],
)
def test_another_adapter_is_a_forbidden_change(
    train: OneShot, oneshot: OneShot, more: tuple[str, ...], said: str
) -> None:
    run = lora_run(train).run
    told = resume(oneshot, run, "--steps", "3", *more)
    assert told.code == 2
    assert said in told.err
    assert "Nothing was changed." in told.err


def test_a_plain_checkpoint_in_the_place_of_an_adapter_is_refused(train: OneShot, oneshot: OneShot, tiny: Path) -> None:
    run = lora_run(train).run
    plain = train("--steps", "2", *SAME).run
    shutil.rmtree(run.checkpoint_dir(2))
    shutil.copytree(plain.checkpoint_dir(2), run.checkpoint_dir(2))
    told = resume(oneshot, run, "--steps", "3")
    assert told.code == 2
    assert "E107 " in told.err
    assert "holds a llama" in told.err
    assert "but the run's model is an adapter (rank 4" in told.err


def test_the_plan_of_an_adapter(train: OneShot, oneshot: OneShot, tiny: Path) -> None:
    words = ("plan", "--model", tiny, "--example", "2 + 3?", "--answer", "5", "--model.lora-rank", "4", "--json")
    told = oneshot(*words)
    assert told.code == 0, told.err
    trained = 2 * 4 * ((32 + 32) + 2 * (32 + 16) + (32 + 32) + 3 * (32 + 64))
    assert told.json["memory"]["gradients"] == 4 * trained
    assert told.json["memory"]["reference"] == 0
    assert told.json["disk"]["checkpoint"] == 4 * trained
    assert told.json["worst_case"]["moments"] == 8 * trained
    assert oneshot(*words, "--no-step").json["disk"]["checkpoint"] == 4 * trained


def test_bad_settings(train: OneShot, oneshot: OneShot, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = train("--steps", "1", "--model.lora-rank", "4", "--model.lora-targets", "q_prj")
    assert (told.code, told.err.startswith("E103 ")) == (2, True)
    assert "try: --model.lora-targets q_proj\n" in told.err
    told = train("--dry-run", "--model.lora-rank", "4", "--model.lora-targets", "q_prj")
    assert (told.code, told.err.startswith("E103 ")) == (2, True)
    told = train("--steps", "1", "--model.lora-alpha", "4")
    assert (told.code, told.err.startswith("E105 ")) == (2, True)
    assert "try: --model.lora-rank 16\n" in told.err
    told = train("--steps", "1", "--model.lora-rank", "4", "--model.lora-targets", ",")
    assert (told.code, told.err.startswith("E103 ")) == (2, True)
    told = train("--steps", "1", "--model.lora-rank", "-1")
    assert (told.code, told.err.startswith("E103 ")) == (2, True)
    monkeypatch.setitem(sys.modules, "peft", None)
    told = train("--steps", "1", *LORA)
    assert (told.code, told.err.startswith("E204 ")) == (3, True)
    assert "try: pip install 'oneshot-rlvr[lora]'\n" in told.err
    assert not Path("runs").exists()


def test_an_adapter_whose_model_is_gone(
    train: OneShot, oneshot: OneShot, held: Path, tmp_path: Path, tiny: Path
) -> None:
    shutil.copytree(tiny, tmp_path / "mine")
    run = lora_run(train, "--model", tmp_path / "mine").run
    shutil.rmtree(tmp_path / "mine")
    told = oneshot("eval", run.checkpoint_dir(2), "--data", held)
    assert told.code == 4
    assert told.err.startswith(f"E304 the adapter {run.checkpoint_dir(2)} belongs to {tmp_path / 'mine'}, which cannot")
