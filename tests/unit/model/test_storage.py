"""The disk forecast: by hand, against a real run folder, and refused where it does not fit."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from oneshot.config.schema import (
    AlgorithmConfig,
    Config,
    EvalsConfig,
    ModelConfig,
    OptimConfig,
    RolloutConfig,
    SaveConfig,
)
from oneshot.errors import MachineError
from oneshot.model.storage import BYTES_A_TOKEN, BYTES_READ, DiskForecast, _times, check_room, disk_forecast
from oneshot.record import RunFolder
from oneshot.types import Completion, EvalRow, Group, Problem

GIB = 1024**3
ROLLOUT = RolloutConfig(groups=2, group_size=4, max_new_tokens=10)


def test_by_hand() -> None:
    config = Config(rollout=ROLLOUT, optim=OptimConfig(steps=5), save=SaveConfig(every=2, keep=2))
    plan = disk_forecast(1000, config)  # saved after 2, 4 and 5
    assert plan == DiskForecast(
        checkpoint=4000, kept=2, optimizer=8000, spare=12_000, rollouts=5 * 8 * 10 * BYTES_A_TOKEN
    )
    assert plan.total == 2 * 4000 + 8000 + 12_000 + 400 * BYTES_A_TOKEN


@pytest.mark.parametrize(
    ("save", "kept", "optimizer", "spare"),
    [
        (SaveConfig(), 1, 8000, 0),  # one save, nothing to keep beside it
        (SaveConfig(every=1, keep=9), 5, 8000, 12_000),  # never more than there are
        (SaveConfig(every=1, keep=1, optimizer=False), 1, 0, 4000),
    ],
)
def test_what_is_saved(save: SaveConfig, kept: int, optimizer: int, spare: int) -> None:
    plan = disk_forecast(1000, Config(optim=OptimConfig(steps=5), save=save))
    assert (plan.kept, plan.optimizer, plan.spare) == (kept, optimizer, spare)


@pytest.mark.parametrize(
    ("save", "source", "every", "kept", "saves"),
    [
        (SaveConfig(), "x.jsonl", 2, 2, True),  # after 2, 4 and 5 if each is the best so far; the last one beside
        (SaveConfig(keep=1), "x.jsonl", 4, 2, True),
        (SaveConfig(best=False), "x.jsonl", 2, 1, False),
        (SaveConfig(), "x.jsonl", 0, 1, False),  # nothing to choose from
        (SaveConfig(), "", 2, 1, False),
    ],
)
def test_the_best_checkpoint_is_one_more(save: SaveConfig, source: str, every: int, kept: int, saves: bool) -> None:
    config = Config(optim=OptimConfig(steps=5), save=replace(save, keep=1), evals=EvalsConfig(source, every=every))
    plan = disk_forecast(1000, config)
    assert (plan.kept, plan.spare > 0) == (kept, saves)


@pytest.mark.parametrize("steps", range(1, 13))
@pytest.mark.parametrize("every", [(0, 0), (2, 0), (0, 5), (4, 6), (3, 3), (20, 1)])
def test_how_often_something_is_done(steps: int, every: tuple[int, int]) -> None:
    one_by_one = {steps, *(step for step in range(1, steps + 1) if any(each and step % each == 0 for each in every))}
    assert _times(steps, *every) == len(one_by_one)


def test_what_the_test_tasks_leave() -> None:
    """Read before step 0 and after 2, 4 and 5."""
    config = Config(rollout=ROLLOUT, optim=OptimConfig(steps=5), evals=EvalsConfig(every=2))
    plan, without = disk_forecast(1000, config, 300), disk_forecast(1000, config)
    assert (plan.readings, without.readings) == (300 * 4 * BYTES_READ, 0)
    assert plan.total == without.total + plan.readings
    assert "evaluations" in plan.sentence()
    assert "evaluations" not in without.sentence()


def test_a_recorded_response_of_an_evaluation_takes_less_than_is_said(tmp_path: Path) -> None:
    """Of random words, one a token, which compress worst."""
    draw = random.Random(0)
    words = [f"{draw.randrange(10**4)} " for _ in range(200)]
    rows = [
        EvalRow(
            id=str(i), category="", prompt="?", answer="1", response="".join(draw.choice(words) for _ in range(500)),
            extracted="1", correct=True, status="ok", cut=False, tokens=500,
        )
        for i in range(20)
    ]  # fmt: skip
    run = RunFolder.create(tmp_path, "x", {}, [])
    run.write_eval("t", "base", {}, rows)
    size = (run.eval_dir("t", "base") / "samples.jsonl.gz").stat().st_size
    assert 0.2 < size / (20 * 500 * BYTES_READ) < 1


def test_bfloat16_without_masters_halves_the_checkpoint() -> None:
    half = Config(model=ModelConfig(dtype="bfloat16"))
    pure = replace(half, optim=OptimConfig(masters=False))
    found = [disk_forecast(1000, config).checkpoint for config in (Config(), half, pure)]
    assert found == [4000, 4000, 2000]


def test_a_critic_is_part_of_the_state() -> None:
    """Its weights and its two moments beside the policy's two."""
    for options, expected in (({"critic": "model"}, 20_000), ({"critic": "head"}, 8000), ({}, 8000)):
        config = Config(algorithm=AlgorithmConfig(name="ppo", options=options))
        assert disk_forecast(1000, config).optimizer == expected


def test_a_recorded_token_takes_less_than_is_said(tmp_path: Path) -> None:
    """Random tokens and log-probs compress worst."""
    draw = random.Random(0)
    words = [f"{draw.randrange(10**4)} " for _ in range(200)]
    completions = tuple(
        Completion(
            tokens=tuple(draw.randrange(50_000) for _ in range(500)),
            logprobs=tuple(-draw.expovariate(1.0) for _ in range(500)),
            text="".join(draw.choice(words) for _ in range(500)),
            finished=False,
        )
        for _ in range(8)
    )
    run = RunFolder.create(tmp_path, "x", {}, [])
    problem = Problem(id="p", prompt="?", answer="1")
    run.step(0, {}, [Group(id=0, problem=problem, prompt_tokens=(1,), completions=completions, policy_version=0)])
    (file,) = (run.path / "rollouts").iterdir()
    assert 0.5 < file.stat().st_size / (8 * 500 * BYTES_A_TOKEN) < 1


def test_a_disk_that_is_too_small_is_refused_with_the_numbers_and_the_ways_out(tmp_path: Path) -> None:
    plan = DiskForecast(checkpoint=GIB, kept=2, optimizer=2 * GIB, spare=3 * GIB, rollouts=0)
    with pytest.raises(
        MachineError, match=r"needs up to 7\.0 GiB but only 6\.0 GiB are .* 2 checkpoints of 1\.0 GiB"
    ) as caught:
        check_room(plan, tmp_path, free=6 * GIB)
    assert (caught.value.code, caught.value.exit_code) == ("E202", 3)
    assert [line.split("   ")[0] for line in caught.value.tries] == [
        "--save.keep 1",
        "--save.optimizer false",
        "--out FOLDER",
    ]
    assert check_room(plan, tmp_path, free=7 * GIB) == 7 * GIB


def test_small_models_are_told_in_mebibytes() -> None:
    plan = DiskForecast(checkpoint=2**20, kept=1, optimizer=2**21, spare=0, rollouts=2**19)
    assert plan.sentence() == (
        "3.5 MiB = 1 checkpoint of 1.0 MiB + optimiser state 2.0 MiB + responses 0.5 MiB if each runs to its limit"
    )


def test_a_folder_that_is_not_there_yet_lies_on_some_disk(tmp_path: Path) -> None:
    plan = DiskForecast(checkpoint=1, kept=1, optimizer=0, spare=0, rollouts=0)
    assert check_room(plan, tmp_path / "a" / "b") > 0
