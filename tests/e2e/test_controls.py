"""Control arms through the command line: what is learned from, what every output says, what is refused, resuming."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from oneshot.record import RunFolder
from oneshot.rewards.controls import CONTROLS
from oneshot.stages.training import control_arm
from tests.e2e.conftest import OneShot, one_in, write_pool
from tests.e2e.stopping import SAME, recorded, resume, weights

Graded = Callable[[Callable[[str, str], bool]], None]
QUICK = ("--optim.lr", "1e-3", "--steps", "2")
"""Not `--yes`: a control arm is never stopped by a health rule, nor refused for an example it never solves."""


def by_both(response: str, reference: str) -> bool:
    """Right for about one response in three; other ones for another reference."""
    return zlib.crc32((response + reference).encode("utf-8", "replace")) % 3 == 0


def event(run: RunFolder) -> dict[str, Any]:
    (found,) = [e for e in run.events() if e["kind"] == "control"]
    return found


@pytest.mark.parametrize("name", ["shuffled", "random", "wrong", "majority", "rft"])
def test_an_arm_that_is_resumed_is_the_same_to_the_bit(
    train: OneShot, oneshot: OneShot, graded: Graded, name: str
) -> None:
    graded(by_both)
    words = (*SAME, "--control", name)
    whole = train("--steps", "4", *words).run
    half = train("--steps", "2", *words).run
    if name == "rft":  # what is imitated is recorded; nothing is sampled anew
        assert (half.path / "rft.json").read_bytes() == (whole.path / "rft.json").read_bytes()
    told = resume(oneshot, half, "--steps", "4")
    assert told.code == 0, told.err
    assert recorded(half) == recorded(whole)
    assert weights(half, 4) == weights(whole, 4)
    assert event(half)["name"] == name
    if name in ("random", "wrong", "majority"):
        assert any(row["reward"] != row["correct"] for step in range(4) for row in whole.rollouts(step))


@pytest.mark.parametrize("name", CONTROLS)
def test_no_output_of_an_arm_can_be_taken_for_a_normal_run(train: OneShot, graded: Graded, name: str) -> None:
    graded(by_both)
    words = f"control arm: {CONTROLS[name].words}"
    told = train(*QUICK, "--control", name, "--json")
    assert told.code == 0, told.err
    assert told.json["control"] == {"name": name, "meaning": CONTROLS[name].meaning}
    assert told.json["headline"].startswith(f"{words}. ")
    run = told.run
    assert run.summary()["headline"] == told.json["headline"]
    assert run.summary()["limits"][0].startswith("A control arm: its gain is what other arms are measured against")
    assert run.config()["reward"]["control"] == name
    log = run.log_path.read_text()
    assert log.index(words) < log.index("step 1/2")
    assert event(run)["name"] == name
    for step in range(2):
        rows = run.rollouts(step)
        assert all(row["correct"] == by_both(row["text"], "5") for row in rows)  # verdicts are the true ones
        accuracy = sum(row["correct"] for row in rows) / len(rows)
        assert run.metrics()[step]["train/accuracy"] == pytest.approx(accuracy)
        assert run.metrics()[step]["reward"] == pytest.approx(sum(row["reward"] for row in rows) / len(rows))


def test_lines_and_compare_name_the_arm(train: OneShot, oneshot: OneShot, graded: Graded, tmp_path: Path) -> None:
    graded(one_in(3))
    held = write_pool(tmp_path / "held.jsonl", [{"prompt": f"{i} + 1?", "answer": str(i + 1)} for i in range(4)])
    told = train(*QUICK, "--control", "shuffled", "--evals.source", held)
    assert told.err.splitlines()[0].startswith("control arm: shuffled rewards. The real rewards of a step")
    run = told.run
    told = oneshot("compare", f"{run.path}:base", f"{run.path}:checkpoint-2")
    assert told.code == 0, told.err
    assert f"A  {run.path}:base\n" in told.out
    assert f"B  {run.path}:checkpoint-2 (control arm: shuffled rewards)\n" in told.out


def test_shuffled_pays_as_often_as_the_real_reward(train: OneShot, graded: Graded) -> None:
    graded(one_in(3))
    run = train(*QUICK, "--control", "shuffled").run
    moved = 0
    for step in range(2):
        for group in run.read_groups(step):
            right = [float(c.verdict is not None and c.verdict.correct) for c in group.completions]
            assert sorted(right) == sorted(c.reward for c in group.completions)
            moved += right != [c.reward for c in group.completions]
    assert moved


def test_noop_moves_no_weight(train: OneShot, graded: Graded, tiny: Path) -> None:
    graded(one_in(3))
    run = train("--steps", "2", "--control", "noop", "--optim.weight-decay", "0.1", "--optim.warmup", "1").run
    before, after = load_file(tiny / "model.safetensors"), load_file(run.checkpoint_dir(2) / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name].view(torch.int32), after[name].view(torch.int32)) for name in before)
    assert [row["update_norm"] for row in run.metrics()] == [0.0, 0.0]
    assert run.metrics()[0]["grad_norm"] > 0
    assert (run.config()["optim"]["lr"], run.config()["optim"]["weight_decay"]) == (0.0, 0.0)


def test_an_unguessable_answer_has_exactly_no_gradient(train: OneShot) -> None:
    off = ("--algorithm.kl", "0", "--algorithm.entropy", "0", "--optim.weight-decay", "0")
    run = train(*QUICK, "--control", "unguessable", *off).run
    assert [row["grad_norm"] for row in run.metrics()] == [0.0, 0.0]
    assert [row["update_norm"] for row in run.metrics()] == [0.0, 0.0]
    (answer,) = event(run)["labels"].values()
    assert len(answer) == 7
    assert train(*QUICK, *off, "--control", "random").run.metrics()[0]["grad_norm"] > 0


def test_entropy_and_confidence_turn_the_entropy_term_and_nothing_else(train: OneShot) -> None:
    words = ("--optim.lr", "1e-2", "--steps", "4", "--algorithm.entropy", "0.01", "--rollout.groups", "4")
    up, down = (train(*words, "--control", name).run for name in ("entropy", "confidence"))
    assert up.config()["algorithm"]["entropy"] == 0.01
    assert down.config()["algorithm"]["entropy"] == -0.01
    for run in (up, down):
        assert (run.config()["algorithm"]["policy"], run.config()["algorithm"]["kl"]) == (0.0, 0.0)
    assert down.metrics()[-1]["entropy"] < up.metrics()[-1]["entropy"]
    assert train(*words, "--control", "entropy", "--algorithm.kl", "0.5").run.config()["algorithm"]["kl"] == 0.5


def test_wrong_pays_the_bases_wrong_answer_and_refuses_where_there_is_none(train: OneShot, graded: Graded) -> None:
    graded(lambda response, reference: reference == "7")
    run = train(*QUICK, "--control", "wrong").run
    assert event(run)["labels"] == {"example": "7"}
    assert {row["reward"] for row in run.rollouts(0)} == {1.0}
    assert {row["correct"] for row in run.rollouts(0)} == {False}
    graded(lambda response, reference: True)
    told = train(*QUICK, "--control", "wrong")
    assert told.code == 4
    assert told.err.splitlines()[-5].startswith("E306 --control wrong: in 32 samples the base model gave no wrong")
    assert "Nothing was trained." in told.err


def test_the_base_rate_of_the_form_is_told_and_a_common_form_refused(
    train: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = train(*QUICK, "--control", "format")
    rate = event(told.run)["base_rate"]
    assert f"format: {round(32 * rate)} of 32 responses of the base model have the form already" in told.err
    monkeypatch.setattr(control_arm, "MOST_FORM", rate - 0.01)
    told = train(*QUICK, "--control", "format", "--yes")
    assert told.code == 4
    assert "E307 --control format: " in told.err
    assert "paying it teaches nothing" in told.err


def test_rft_imitates_recorded_right_responses_only(train: OneShot, graded: Graded) -> None:
    graded(one_in(5))
    told = train(*QUICK, "--control", "rft")
    run = told.run
    kept = json.loads((run.path / "rft.json").read_text())
    (texts,) = ([row["text"] for row in rows] for rows in kept["responses"].values())
    assert "rft: imitates " in told.err
    assert kept["kept"] == len(texts) <= 64
    assert kept["sampled"] <= 512
    for step in range(2):
        rows = run.rollouts(step)
        assert {row["text"] for row in rows} <= set(texts)
        assert {row["reward"] for row in rows} == {1.0}
    assert run.metrics()[1]["policy"] < run.metrics()[0]["policy"] + 1  # a mean of -log p, not of advantages
    assert run.metrics()[0]["policy"] > 0
    graded(lambda response, reference: False)
    told = train(*QUICK, "--control", "rft")
    assert (told.code, "E303 0 of 512 responses of the base model were right" in told.err) == (4, True)


@pytest.mark.parametrize("name", ["random", "unguessable", "majority", "entropy", "noop"])
def test_an_arm_that_needs_no_success_takes_an_example_that_is_never_solved(train: OneShot, name: str) -> None:
    assert train(*QUICK, "--control", name).code == 0
    assert train(*QUICK).code == 4  # a normal run, and the null that permutes real rewards, do not
    assert train(*QUICK, "--control", "shuffled").code == 4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--control", "shufled"), 2, "is no control arm. Did you mean 'shuffled'?"),
        (("--control", "rft", "--algorithm", "ppo"), 2, "ppo: imitation has no advantages"),
        (("--control", "entropy", "--algorithm.entropy", "0"), 2, "must be above 0"),
        (("--control", "entropy", "--algorithm.entropy", "-0.1"), 2, "must be above 0"),
        (("--control", "confidence", "--algorithm.entropy", "0"), 2, "its sign is turned here"),
        (("--control", "rft", "--rollout.dynamic", "true"), 2, "would sample to the last round"),
        (("--control", "wrong", "--corrupt", "0.5"), 2, "both replace the answer"),
        (("--control", "format", "--reward", "exact"), 2, "it is not known which form it asks for"),
        (("--corrupt", "1.5"), 2, "must be between 0 and 1"),
        (("--corrupt", "nan"), 2, "must be a finite number"),
    ],
)  # fmt: skip
def test_what_is_refused(train: OneShot, words: tuple[str, ...], code: int, said: str) -> None:
    for more in ((), ("--dry-run",)):
        told = train(*words, *more)
        assert told.code == code
        assert said in told.err
        assert told.err.count("\nE1") + told.err.startswith("E1") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", ["format", "wrong", "majority"])
def test_a_users_own_function_has_no_form_and_need_not_say_what_it_read(
    train: OneShot, tmp_path: Path, name: str
) -> None:
    own = tmp_path / "own.py"
    own.write_text("def score(response, reference):\n    return 1.0\n")
    told = train("--reward", f"{own}:score", "--control", name)
    assert told.code == 2
    assert told.err.startswith("E105 reward.control = ")


def test_an_arm_cannot_be_changed_by_resuming_nor_be_asked_of_the_demo(train: OneShot, oneshot: OneShot) -> None:
    run = train("--steps", "1", "--allow-unsolved", "--yes").run
    told = resume(oneshot, run, "--steps", "2", "--control", "wrong")
    assert (told.code, "E107 reward.control was" in told.err) == (2, True)
    Path("arm.toml").write_text('[reward]\ncontrol = "shuffled"\n')
    told = oneshot("demo", "--config", "arm.toml")
    assert told.code == 2, told.err
    assert "E105 control arm: shuffled rewards: oneshot demo has no control arms" in told.err


def test_a_plan_says_what_cannot_act(train: OneShot, oneshot: OneShot, tiny: Path) -> None:
    told = train("--control", "entropy", "--dry-run")
    assert "control arm: entropy up, no policy loss. The policy loss is off" in told.out
    assert "control arm: entropy up, no policy loss: algorithm.policy = 0.0, algorithm.kl = 0.0" in told.out
    assert "cannot act in the control arm entropy: reward.name, algorithm.policy" in told.out
    (line,) = [line for line in told.out.splitlines() if line.startswith("algorithm.policy")]
    assert line.endswith("control entropy")
    words = ("--model", tiny, "--example", "What is 2 + 3?", "--answer", "5", "--reward", "number")
    told = oneshot("plan", *words, "--control", "rft", "--no-step", "--json")
    assert told.code == 0, told.err
    assert told.json["control"]["name"] == "rft"
    assert told.json["inert"][0].startswith("cannot act in the control arm rft: algorithm.name, algorithm.policy")
