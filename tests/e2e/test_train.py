"""`oneshot train` from the command line to the run folder, on a tiny random model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from oneshot.record import RunFolder
from tests.e2e.conftest import OneShot, write_pool

METRICS = {
    "reward",
    "reward_std",
    "frac_reward_zero_std",
    "entropy",
    "entropy_t1",
    "kl",
    "completions/mean_length",
    "completions/max_length",
    "completions/clipped_ratio",
    "grad_norm",
    "update_norm",
    "learning_rate",
    "num_tokens",
    "step_time",
    "train/accuracy",
    "signal",
    "found",
    "mismatch/logprob",
    "grader/no_answer",
    "grader/empty",
    "grader/undecided",
    "grader/timeout",
    "grader/memory",
    "grader/error",
    "grader/seconds",
    "time/rollout",
    "time/score",
    "time/update",
}
ROLLOUT = {
    "step",
    "group",
    "sample",
    "problem_id",
    "prompt",
    "answer",
    "prompt_tokens",
    "tokens",
    "logprobs",
    "text",
    "finished",
    "reward",
    "extracted",
    "method",
    "status",
    "policy_version",
}


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    rows = [{"prompt": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(6)]
    return write_pool(tmp_path / "held.jsonl", rows)


def test_three_steps_leave_a_whole_run_folder(train: OneShot, pool: Path) -> None:
    told = train("--steps", "3", "--allow-unsolved", "--evals.source", pool, "--json", "--save.every", "1")
    assert told.code == 0, told.err
    summary, run = told.json, told.run
    assert summary["schema"] == "oneshot.summary/1"
    assert {"headline", "paired", "example", "training", "times", "limits"} <= summary.keys()
    assert summary["paired"]["n"] == 6
    assert run.summary() == {key: value for key, value in summary.items() if key != "run"}
    here = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    assert here >= {
        "config.json",
        "env.json",
        "status.json",
        "summary.json",
        "example.jsonl",
        "history.jsonl",
        "metrics.jsonl",
        "events.jsonl",
        "report.html",
        "README.md",
        "checkpoints/checkpoint-3/model.safetensors",
        "checkpoints/checkpoint-3/config.json",
        "checkpoints/checkpoint-3/tokenizer.json",
        "checkpoints/last_state/state.json",
        "checkpoints/last_state/optimizer.pt",
        "evals/held/base/results.json",
        "evals/held/base/samples.jsonl.gz",
        "evals/held/checkpoint-3/results.json",
        "logs/attempt_1/main.log",
    }
    assert not [path for path in here if ".tmp" in path or "/." in path]
    assert run.status()["state"] == "done"
    assert run.checkpoints() == [2, 3]  # the last two are kept
    assert [e["step"] for e in run.events() if e["kind"] == "save"] == [1, 2, 3]


def test_metrics_and_rollouts_of_every_step(train: OneShot) -> None:
    run = train("--steps", "3", "--allow-unsolved", "--algorithm.kl", "0.01").run
    metrics = run.metrics()
    assert [row["step"] for row in metrics] == [0, 1, 2]
    for row in metrics:
        assert row.keys() >= METRICS
        assert all(math.isfinite(row[key]) for key in METRICS)
        assert row["mismatch/logprob"] < 1e-3  # sampler and learner agree
        assert row["learning_rate"] == 5e-6
        assert row["completions/max_length"] <= 8
    assert metrics[0]["kl"] < 1e-6 < metrics[2]["update_norm"]
    assert run.rollout_steps() == [0, 1, 2]
    tokenizer = AutoTokenizer.from_pretrained(run.checkpoint_dir(3))
    for step in range(3):
        rows = run.rollouts(step)
        assert len(rows) == 8
        assert all(row.keys() >= ROLLOUT for row in rows)
        assert [(row["group"], row["sample"]) for row in rows] == [(g, s) for g in range(2) for s in range(4)]
        assert {row["policy_version"] for row in rows} == {step}
        for row in rows:
            assert len(row["tokens"]) == len(row["logprobs"]) <= 8
            assert tokenizer.decode(row["tokens"], skip_special_tokens=True) == row["text"]
        assert metrics[step]["reward"] == sum(row["reward"] for row in rows) / 8
    assert sum(len(g.completions) for g in run.read_groups(2)) == 8


def test_a_checkpoint_opens_with_transformers_alone(train: OneShot, tiny: Path) -> None:
    run = train("--steps", "2", "--allow-unsolved", "--optim.lr", "1e-3").run
    folder = run.checkpoint_dir(2)
    model = AutoModelForCausalLM.from_pretrained(folder)
    base = AutoModelForCausalLM.from_pretrained(tiny)
    assert model.dtype == torch.float32
    moved = [not torch.equal(a, b) for a, b in zip(model.parameters(), base.parameters(), strict=True)]
    assert any(moved)
    ids = AutoTokenizer.from_pretrained(folder)("What?", return_tensors="pt")["input_ids"]
    assert model.generate(ids, max_new_tokens=2, do_sample=False).shape[1] == ids.shape[1] + 2
    assert model.generation_config.eos_token_id == base.generation_config.eos_token_id


def test_the_same_seed_gives_the_same_run_and_another_one_does_not(train: OneShot) -> None:
    """Nothing of the clock, the folder or earlier runs gets in."""
    weights, texts = [], []
    for seed in ("0", "0", "1"):
        run = train("--steps", "2", "--allow-unsolved", "--seed", seed, "--quiet").run
        weights.append((run.checkpoint_dir(2) / "model.safetensors").read_bytes())
        texts.append([row["text"] for row in run.rollouts(1)])
    assert texts[0] == texts[1] != texts[2]
    assert weights[0] == weights[1] != weights[2]


def test_without_json_the_run_folder_is_on_stdout_and_the_talk_on_stderr(train: OneShot) -> None:
    told = train("--steps", "3", "--allow-unsolved")
    assert told.code == 0
    assert told.out == f"{told.run.path}\n"
    steps = [line for line in told.err.splitlines() if line.startswith("step ")]
    assert [line.split()[1] for line in steps] == ["1/3", "2/3", "3/3"]
    assert "the base model solves the example" in told.err
    assert "nothing held out was measured" in told.err
    assert f"report: {told.run.path / 'report.html'}" in told.err


def test_quiet_and_json_say_nothing_on_stderr(train: OneShot) -> None:
    assert train("--steps", "1", "--allow-unsolved", "--quiet").err == ""
    assert train("--steps", "1", "--allow-unsolved", "--json").err == ""


def test_evaluations_inside_the_run(train: OneShot, pool: Path) -> None:
    words = ("--steps", "4", "--allow-unsolved", "--evals.source", pool, "--evals.every", "2", "--evals.limit", "4")
    told = train(*words)
    assert told.run.evals() == [("held", "base"), ("held", "checkpoint-2"), ("held", "checkpoint-4")]
    results, rows = told.run.read_eval("held", "checkpoint-4")
    assert (results["n"], len(rows)) == (4, 4)
    assert results["protocol"]["max_new_tokens"] == 10
    assert results["protocol"]["grader"] == "number"
    assert "4 held-out problems" in told.err
    assert "kind of problem" not in told.err
    assert any("during training too" in line for line in told.run.summary()["limits"])


def test_a_recipe_and_flags_together(oneshot: OneShot, tiny: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        f'[model]\nname = "{tiny}"\nthreads = 1\n[data]\nexample = "Say 5."\nanswer = "5"\nallow_unsolved = true\n'
        '[reward]\nname = "number"\n[rollout]\ngroups = 1\ngroup_size = 2\nmax_new_tokens = 4\n'
        "[optim]\nsteps = 9\n",
        "utf-8",
    )
    told = oneshot("train", "-c", recipe, "--steps", "1", "--algorithm", "dr_grpo", "--name", "Mine!", "--out", "here")
    assert told.code == 0, told.err
    assert told.run.path.parent == Path("here")
    assert "-mine-" in told.run.path.name
    config = told.run.config()
    assert (config["optim"]["steps"], config["algorithm"]["name"], config["rollout"]["groups"]) == (1, "dr_grpo", 1)


def test_dry_run_loads_and_writes_nothing(oneshot: OneShot, tiny: Path) -> None:
    told = oneshot("train", "--dry-run", "--model", tiny, "--example", "a", "--answer", "1", "--rollout.groups", "3")
    assert told.code == 0
    assert "3 groups x 8 = 24 responses a step, x 12 steps = 288 responses" in told.out
    assert "flag --rollout.groups" in told.out
    assert not Path("runs").exists()
    plan = oneshot("train", "--dry-run", "--model", tiny, "--example", "a", "--answer", "1", "--json").json
    assert plan["schema"] == "oneshot.plan/1"
    assert plan["memory"]["total"] > 0
    assert plan["origins"]["model.name"] == "flag --model.name"


def test_report_again_from_the_folder_alone(train: OneShot, oneshot: OneShot) -> None:
    run = train("--steps", "1", "--allow-unsolved").run
    (run.path / "report.html").unlink()
    told = oneshot("report", "latest")
    assert (told.code, told.out) == (0, f"{run.path / 'report.html'}\n")
    page = (run.path / "report.html").read_text("utf-8")
    assert "What is 2 + 3?" in page
    assert "<script" not in page
    assert oneshot("report", run.path.name, "--json").json["schema"] == "oneshot.report/1"


def test_status_says_how_far_a_run_is(train: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, object]] = []
    record = RunFolder.step

    def step(run: RunFolder, number: int, *rest: object) -> None:
        seen.append(json.loads((run.path / "status.json").read_text()))
        record(run, number, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(RunFolder, "step", step)
    train("--steps", "3", "--allow-unsolved")
    assert [status["state"] for status in seen] == ["running"] * 3
    assert [status["step"] for status in seen] == [0, 1, 2]
    assert seen[1]["steps"] == 3
    assert isinstance(seen[1]["eta"], float)
