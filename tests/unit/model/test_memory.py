from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from transformers import LlamaModel

from oneshot.config.schema import AlgorithmConfig, Config, EvalsConfig, ModelConfig, OptimConfig, RolloutConfig
from oneshot.errors import MachineError
from oneshot.model.memory import (
    CACHE_GROWTH,
    LOGIT_CHUNK,
    LOGIT_PIECES,
    MIN_ROWS,
    RUNTIME,
    check_memory,
    forecast,
)
from oneshot.model.shapes import TABLE, shapes_of
from tests.unit.model.kept import kept_by_autograd, llama_config

SMOL = TABLE["smollm2-135m"]
GIB = 1024**3


def test_by_hand() -> None:
    config = Config(
        algorithm=AlgorithmConfig(kl=0.001),
        rollout=RolloutConfig(groups=4, group_size=8, max_new_tokens=64, batch=64),
        optim=OptimConfig(micro_tokens=1024),
    )
    plan = forecast(SMOL, config)
    assert (plan.weights, plan.gradients, plan.optimizer, plan.reference) == (
        538_060_032,
        538_060_032,
        1_076_120_064,
        538_060_032,
    )
    assert plan.activations == 4 * 1024 * 30 * (6 * 576 + 5 * 576 + 4 * 1536 + 1024)
    assert plan.logits == (256 + 576) * 49152 * 4 + 8 * 2**20
    assert plan.kv_cache == 32 * (128 + 64 + 128) * 30 * 2 * 3 * 64 * 4
    assert plan.drawing == 32 * 49152 * 28
    assert plan.lasting == RUNTIME + 2_690_300_160
    assert plan.total == plan.lasting + plan.activations + plan.logits


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"algorithm": AlgorithmConfig(kl=0.0)}, "reference"),
        ({"optim": OptimConfig(micro_tokens=256)}, "activations"),
        ({"rollout": RolloutConfig(batch=16)}, "kv_cache"),
        ({"rollout": RolloutConfig(max_new_tokens=32)}, "kv_cache"),
        ({"model": ModelConfig(dtype="bfloat16")}, "weights"),
    ],
)
def test_smaller_settings_take_less(changes: dict[str, Any], part: str) -> None:
    before, after = forecast(SMOL, Config()), forecast(SMOL, replace(Config(), **changes))
    assert getattr(after, part) < getattr(before, part)
    assert after.total <= before.total


def test_an_evaluation_alone_trains_nothing() -> None:
    config = Config(evals=EvalsConfig(batch=40, max_new_tokens=128))
    plan = forecast(SMOL, config, training=False)
    assert (plan.gradients, plan.optimizer, plan.reference, plan.activations, plan.logits) == (0, 0, 0, 0, 0)
    assert plan.kv_cache == 40 * (128 + 128 + 128) * 30 * 2 * 3 * 64 * 4
    assert plan.total == RUNTIME + plan.weights + plan.kv_cache + plan.drawing


def test_bfloat16_weights_have_float32_masters_gradients_and_moments() -> None:
    number = SMOL.params
    for masters, (weight, master, gradient, moments) in ((True, (2, 4, 4, 8)), (False, (2, 0, 2, 4))):
        plan = forecast(SMOL, Config(model=ModelConfig(dtype="bfloat16"), optim=OptimConfig(masters=masters)))
        found = (plan.weights, plan.masters, plan.gradients, plan.optimizer, plan.reference)
        assert found == (weight * number, master * number, gradient * number, moments * number, 2 * number)
    assert forecast(SMOL, Config()).masters == 0
    assert "float32 masters" in forecast(SMOL, Config(model=ModelConfig(dtype="bfloat16"))).lines()[0]


@pytest.mark.parametrize(("model", "a_weight"), [(ModelConfig(), 16), (ModelConfig(dtype="bfloat16"), 18)])
def test_a_critic_of_its_own_is_a_second_model_in_training(model: ModelConfig, a_weight: int) -> None:
    """Weights, gradients and two moments; in bfloat16 a working copy more. A head alone takes next to nothing."""
    plans = {
        critic: forecast(SMOL, Config(model=model, algorithm=AlgorithmConfig(name="ppo", options={"critic": critic})))
        for critic in ("model", "head", "auto")
    }
    assert plans["model"].critic == a_weight * SMOL.params
    assert plans["head"].critic == plans["auto"].critic == 0
    assert plans["model"].lasting - plans["head"].lasting == plans["model"].critic
    untied = replace(SMOL, tied=False, params=SMOL.params + SMOL.vocab * SMOL.hidden)
    config = Config(model=model, algorithm=AlgorithmConfig(name="ppo", options={"critic": "model"}))
    assert forecast(untied, config).critic == plans["model"].critic  # it has no output matrix
    assert forecast(SMOL, config, training=False).critic == 0


def test_a_critic_that_does_not_fit_may_be_a_head() -> None:
    config = Config(algorithm=AlgorithmConfig(name="ppo", options={"critic": "model"}))
    with pytest.raises(MachineError) as caught:
        check_memory(config, available=4 * GIB)
    assert caught.value.tries[0].startswith("--algorithm.critic head")


def test_a_single_response_may_be_longer_than_a_micro_batch() -> None:
    short = Config(rollout=RolloutConfig(max_new_tokens=896), optim=OptimConfig(micro_tokens=1))
    long = Config(rollout=RolloutConfig(max_new_tokens=896), optim=OptimConfig(micro_tokens=1024))
    assert forecast(SMOL, short).activations == forecast(SMOL, long).activations


def test_lines_add_up_to_the_peak() -> None:
    lines = forecast(SMOL, Config()).lines()
    assert [line.split()[0] for line in lines] == ["lasting", "learning", "sampling", "peak"]
    assert lines[-1].split()[1] == f"{forecast(SMOL, Config()).total / GIB:.1f}"
    assert [line.split()[0] for line in forecast(SMOL, Config(), training=False).lines()] == [
        "lasting",
        "sampling",
        "peak",
    ]


def test_the_paper_model_is_refused_on_a_laptop_with_the_numbers() -> None:
    config = Config(model=ModelConfig(name="Qwen/Qwen2.5-Math-1.5B"))
    with pytest.raises(MachineError, match=r"1,544 M parameters.* 16.0 GiB are free") as caught:
        check_memory(config, available=16 * GIB)
    assert (caught.value.code, caught.value.exit_code) == ("E201", 3)
    assert "--model smollm2-135m" in caught.value.tries
    assert caught.value.kept == "Nothing was downloaded."


@pytest.mark.parametrize(
    ("free", "way"),
    [
        (4 * GIB, "--rollout.batch 16"),  # the model fits, the batches do not
        (int(2.8 * GIB), "--algorithm.kl 0"),  # it fits without a second copy
        (1 * GIB, "close other programs"),
    ],
)
def test_the_way_out_fits_what_is_short(free: int, way: str) -> None:
    with pytest.raises(MachineError) as caught:
        check_memory(Config(), available=free)
    assert caught.value.tries[0].startswith(way)


def test_the_first_way_out_for_batches_does_help() -> None:
    smaller = Config(rollout=RolloutConfig(batch=16), evals=EvalsConfig(batch=16), optim=OptimConfig(micro_tokens=256))
    assert check_memory(smaller, available=4 * GIB) is not None


def test_unknown_shapes_or_unknown_memory_refuse_nothing() -> None:
    assert check_memory(Config(model=ModelConfig(name="some/model")), available=1) is None
    assert check_memory(Config(), available=0) == forecast(SMOL, Config())


def test_constants_are_those_of_the_code_they_forecast() -> None:
    from oneshot.model.logprobs import CACHED, CHUNK
    from oneshot.rollout import cache, native

    assert (LOGIT_CHUNK, CACHE_GROWTH, MIN_ROWS) == (CHUNK, cache.GROWTH, native.MIN_ROWS)
    assert LOGIT_PIECES == 2 * 4 * CACHED


@pytest.mark.parametrize(("hidden", "heads", "kv_heads", "mlp"), [(96, 3, 1, 256), (192, 6, 2, 512), (192, 3, 3, 384)])
@pytest.mark.parametrize("tokens", [128, 384])
def test_activations_are_near_what_autograd_keeps(
    hidden: int, heads: int, kv_heads: int, mlp: int, tokens: int
) -> None:
    shapes = shapes_of(
        layers=4, hidden=hidden, heads=heads, kv_heads=kv_heads, vocab=64, mlp=mlp, tied=True, source="test"
    )
    config = Config(rollout=RolloutConfig(max_new_tokens=tokens, groups=8), optim=OptimConfig(micro_tokens=tokens))
    plan = forecast(
        shapes, replace(config, rollout=replace(config.rollout, max_prompt_tokens=1, max_new_tokens=tokens - 1))
    )
    assert 0.9 < plan.activations / kept_by_autograd(LlamaModel(llama_config(shapes)), tokens) < 1.25
