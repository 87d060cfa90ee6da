"""The disk forecast: by hand, against a real run folder, and refused where it does not fit."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from oneshot.config.schema import AlgorithmConfig, Config, ModelConfig, OptimConfig, RolloutConfig, SaveConfig
from oneshot.errors import MachineError
from oneshot.model.storage import BYTES_A_TOKEN, DiskForecast, check_room, disk_forecast
from oneshot.record import RunFolder
from oneshot.types import Completion, Group, Problem

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
