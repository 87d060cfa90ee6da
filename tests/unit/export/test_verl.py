"""Data and script for verl: columns, whole batches, settings under verl's names, and what is told as left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.config.schema import AlgorithmConfig, Config, DataConfig, ModelConfig, RewardConfig, RolloutConfig
from oneshot.export import verl
from oneshot.types import Problem

PROBLEM = Problem(id="pi1", prompt="What is 2 + 3?", answer="5", category="add")


def config(**changes: Any) -> Config:
    return replace(Config(rollout=RolloutConfig(groups=128, group_size=8)), **changes)


def test_a_row() -> None:
    asked = config(data=DataConfig(suffix="Think.", system="Be brief."))
    assert verl.rows_of([PROBLEM], asked, "train") == [
        {
            "data_source": "oneshot/math",
            "prompt": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "What is 2 + 3? Think."},
            ],
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": "5"},
            "extra_info": {"split": "train", "index": 0, "id": "pi1", "category": "add"},
        }
    ]


@given(st.integers(1, 40), st.integers(1, 40))
def test_rows_make_whole_batches_with_equal_shares(problems: int, groups: int) -> None:
    rows = verl.repeated([{"id": i} for i in range(problems)], groups)
    assert len(rows) % groups == 0
    assert {sum(row["id"] == i for row in rows) for i in range(problems)} == {len(rows) // problems}


def test_the_papers_settings_under_their_names_there() -> None:
    told = verl.settings(config(), "Qwen/X", epochs=12)
    wanted = {
        "algorithm.adv_estimator": "grpo",
        "data.train_batch_size": 128,
        "actor_rollout_ref.rollout.n": 8,
        "actor_rollout_ref.actor.optim.lr": 5e-6,
        "actor_rollout_ref.actor.use_kl_loss": True,
        "actor_rollout_ref.actor.kl_loss_coef": 0.001,
        "actor_rollout_ref.actor.kl_loss_type": "low_var_kl",
        "actor_rollout_ref.actor.entropy_coeff": 0.001,
        "actor_rollout_ref.actor.loss_agg_mode": "token-mean",
        "actor_rollout_ref.actor.ppo_mini_batch_size": 128,
        "actor_rollout_ref.model.path": "Qwen/X",
    }
    assert wanted.items() <= told.items()


def test_other_settings() -> None:
    dapo = config(algorithm=AlgorithmConfig(name="dapo", kl=0.0, minibatches=8, options={"clip_low": 0.1}))
    told = verl.settings(dapo, "m", epochs=1)
    assert (told["actor_rollout_ref.actor.clip_ratio_low"], told["actor_rollout_ref.actor.clip_ratio_high"]) == (
        0.1,
        0.28,
    )
    assert told["actor_rollout_ref.actor.ppo_mini_batch_size"] == 16
    assert told["actor_rollout_ref.actor.use_kl_loss"] is False
    centred = verl.settings(config(algorithm=AlgorithmConfig(name="dr_grpo")), "m", epochs=1)
    assert centred["algorithm.norm_adv_by_std_in_grpo"] is False
    assert centred["actor_rollout_ref.actor.loss_agg_mode"] == "seq-mean-token-sum-norm"
    lora = verl.settings(config(model=ModelConfig(lora_rank=16)), "m", epochs=1)
    assert lora["actor_rollout_ref.model.lora_alpha"] == 32


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"algorithm": AlgorithmConfig(name="ppo")}, "the algorithm is ppo and not GRPO"),
        ({"reward": RewardConfig(control="shuffled")}, "the control arm 'shuffled'"),
        ({"data": DataConfig(curriculum="mopps")}, "the curriculum 'mopps'"),
        ({"data": DataConfig(corrupt=0.25)}, "corrupted in a share of 0.25"),
        ({"algorithm": AlgorithmConfig(kl_kind="rho_k3")}, "the KL estimator rho_k3"),
        ({"algorithm": AlgorithmConfig(entropy_schedule="linear")}, "the entropy schedule (linear)"),
        ({"algorithm": AlgorithmConfig(minibatches=3)}, "mini-batches of unequal size"),
    ],
)
def test_what_has_no_counterpart_is_named(changes: dict[str, Any], said: str) -> None:
    assert not any(said in text for text in verl.left_out(config()))
    script = verl.script(config(**changes), "m", epochs=1)
    assert any(line.startswith("#   - ") and said in line for line in script.splitlines())


def test_nothing_in_a_setting_can_leave_its_word() -> None:
    script = verl.script(config(), "my model; rm -rf $HOME", epochs=1)
    assert "actor_rollout_ref.model.path='my model; rm -rf $HOME' \\" in script
