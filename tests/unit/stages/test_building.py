"""From the configuration to the learner: what is asked for arrives, and the loop runs with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.config.schema import AlgorithmConfig, OptimConfig
from oneshot.record import RunFolder
from oneshot.stages import loop
from oneshot.stages.loop import TrainParts
from tests.unit.stages.setups import QUESTION, graded_by, tiny_setup


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


def built(folder: Path, tmp_path: Path, algorithm: AlgorithmConfig, optim: OptimConfig) -> tuple[TrainParts, RunFolder]:
    setup = graded_by(tiny_setup(folder, algorithm=algorithm, optim=optim), lambda response: len(response) % 2 == 0)
    run = RunFolder.create(tmp_path, "x", {}, [])
    run.start_attempt()
    return loop.build(setup, [QUESTION], run), run


def test_a_learning_rate_schedule_runs_over_all_optimiser_steps(folder: Path, tmp_path: Path) -> None:
    """2 passes of 2 mini-batches for 3 steps: 12 optimiser steps, of which the last pass's last is recorded."""
    algorithm = AlgorithmConfig(updates=2, minibatches=2)
    optim = OptimConfig(steps=3, lr=1.2e-3, lr_final=1e-4, schedule="linear", term_norms_every=2)
    parts, run = built(folder, tmp_path, algorithm, optim)
    assert parts.learner.settings.steps == 12
    loop.train(parts)
    rates = [row["learning_rate"] for row in run.metrics()]
    assert rates == pytest.approx([1.2e-3 - 1.1e-3 * number / 11 for number in (3, 7, 11)])
    assert rates[-1] == pytest.approx(1e-4)
    assert parts.learner.version == 12
    assert [bool(row.get("grad_norm/policy")) for row in run.metrics()] == [True, False, True]


@pytest.mark.parametrize("critic", ["head", "model"])
def test_ppo_runs_with_its_critic_and_records_it(folder: Path, tmp_path: Path, critic: str) -> None:
    algorithm = AlgorithmConfig(name="ppo", kl_in_reward=0.01, kl=0.0, options={"critic": critic, "lam": 0.95})
    parts, run = built(folder, tmp_path, algorithm, OptimConfig(steps=2))
    loop.train(parts)
    for row in run.metrics():
        assert {"value/loss", "value/clipped", "value/grad_norm", "value/update_norm", "adv_std"} <= row.keys()
        assert row["dropped"] == 0
    assert parts.learner.critic is not None
    assert parts.learner.critic.own is (critic == "model")
