"""Which layers an adapter goes into, and the memory and disk forecasts that follow from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from oneshot.config.schema import AlgorithmConfig, Config, EvalsConfig, ModelConfig, OptimConfig, RolloutConfig
from oneshot.errors import DataError, MachineError, UsageError
from oneshot.model import adapters
from oneshot.model.memory import RUNTIME, check_memory, forecast
from oneshot.model.shapes import TABLE, lookup, shapes_of
from oneshot.model.storage import disk_forecast
from oneshot.model.targets import adapter_params, chosen, linear_sizes, saved_params, short_names, words
from tests.tiny import save_tiny
from tests.unit.model.kept import kept_by_autograd, llama_config

SMOL = TABLE["smollm2-135m"]
GIB = 1024**3
NAMES = [f"model.layers.{i}.{part}" for i in range(2) for part in ("attn.q", "attn.v", "mlp.up", "mlp.v")]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("all-linear", NAMES),
        ("q", ["model.layers.0.attn.q", "model.layers.1.attn.q"]),
        ("up, q,up", [n for n in NAMES if n.endswith(("up", "q"))]),
        ("attn.v", ["model.layers.0.attn.v", "model.layers.1.attn.v"]),
        ("layers.1.attn.q", ["model.layers.1.attn.q"]),
        ("model.layers.0.mlp.up", ["model.layers.0.mlp.up"]),
    ],
)
def test_chosen(targets: str, expected: list[str]) -> None:
    assert chosen(targets, NAMES) == expected


@pytest.mark.parametrize("word", ["n.q", "layers", "attn", "Q"])
def test_part_of_a_name_is_no_name(word: str) -> None:
    with pytest.raises(UsageError, match=f"names '{word}'") as caught:
        chosen(f"q,{word}", NAMES)
    assert caught.value.code == "E103"


def test_words() -> None:
    assert words(" q_proj ,v_proj,, q_proj,") == ["q_proj", "v_proj"]


def test_short_names_mean_the_same_layers() -> None:
    every = [*NAMES, "lm_head", "router.up"]
    assert short_names(chosen("q", NAMES), every) == ["q"]
    assert short_names(chosen("attn.v", NAMES), every) == ["model.layers.0.attn.v", "model.layers.1.attn.v"]
    assert short_names(chosen("up", NAMES), every) == ["model.layers.0.mlp.up", "model.layers.1.mlp.up"]


def test_adapter_params_by_hand() -> None:
    """SmolLM2: hidden 576, keys 3 x 64 = 192, MLP 1536, 30 layers."""
    each = 2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536)
    assert adapter_params(SMOL, ModelConfig(lora_rank=16)) == 30 * 16 * each == 4_884_480
    assert adapter_params(SMOL, ModelConfig(lora_rank=2, lora_targets="k_proj")) == 30 * 2 * (576 + 192)
    assert adapter_params(SMOL, ModelConfig(lora_rank=2, lora_targets="layers.3.mlp.down_proj")) == 2 * (1536 + 576)
    assert adapter_params(SMOL, ModelConfig()) == 0
    assert saved_params(SMOL, ModelConfig()) == SMOL.params
    assert saved_params(SMOL, ModelConfig(lora_rank=16)) == 4_884_480


def test_the_layers_that_are_counted_are_the_models(tmp_path: Path) -> None:
    from oneshot.model.lora import adapt
    from tests.parts import tiny_policy

    shapes = lookup(str(save_tiny(tmp_path / "tiny")))
    assert shapes is not None
    policy = adapt(tiny_policy(), rank=5)
    assert sum(p.numel() for p in policy.saved) == adapter_params(shapes, ModelConfig(lora_rank=5))
    linear = {name: (m.in_features, m.out_features) for name, m in tiny_policy().model.named_modules()
              if hasattr(m, "in_features") and name != "lm_head"}  # fmt: skip
    assert linear_sizes(shapes) == linear


def lora(**changes: object) -> Config:
    return Config(algorithm=AlgorithmConfig(kl=0.001), model=ModelConfig(lora_rank=16, **changes))  # type: ignore[arg-type]


def test_memory_by_hand() -> None:
    adapter = 4 * 4_884_480
    full, plan = forecast(SMOL, Config()), forecast(SMOL, lora())
    assert (plan.weights, plan.gradients, plan.optimizer, plan.reference) == (
        538_060_032 + adapter,
        adapter,
        2 * adapter,
        0,
    )
    assert plan.lasting == RUNTIME + 538_060_032 + 4 * adapter
    assert plan.activations == full.activations + 4 * 16 * 7 * 30 * 1024
    assert full.logits - plan.logits == 4 * 49152 * 576  # the head has no gradient
    assert (plan.kv_cache, plan.drawing) == (full.kv_cache, full.drawing)
    low = forecast(SMOL, lora(dtype="bfloat16"))
    assert low.gradients == adapter  # float32 whatever the model is
    inputs = 30 * (6 * 576 + 1536)
    bare = forecast(SMOL, Config(model=ModelConfig(dtype="bfloat16")))
    assert low.activations == bare.activations + 4 * (16 * 7 * 30 + inputs) * 1024


def test_an_evaluation_needs_no_adapter_memory() -> None:
    assert forecast(SMOL, lora(), training=False) == forecast(SMOL, Config(), training=False)


def test_disk_by_hand() -> None:
    plan = disk_forecast(saved_params(SMOL, lora().model), lora())
    assert plan.checkpoint == 4 * 4_884_480
    assert plan.optimizer == 8 * 4_884_480
    assert disk_forecast(10, lora(dtype="bfloat16")).checkpoint == 40


def test_an_adapter_is_a_way_out_where_it_fits() -> None:
    """A 1.5 B model: every weight in float32 takes 27 GiB with moments and reference, an adapter about 8."""
    config = Config(model=ModelConfig(name="Qwen/Qwen2.5-Math-1.5B"), evals=EvalsConfig(batch=16))
    with pytest.raises(MachineError) as caught:
        check_memory(config, available=16 * GIB)
    assert "--model.lora-rank 16   (trains an adapter; needs oneshot-rlvr[lora])" in caught.value.tries
    assert check_memory(replace(config, model=replace(config.model, lora_rank=16)), available=16 * GIB) is not None
    for free, changes in ((4 * GIB, {}), (4 * GIB, {"lora_rank": 16})):
        with pytest.raises(MachineError) as caught:
            check_memory(replace(config, model=replace(config.model, **changes)), available=free)
        assert not any("lora" in line for line in caught.value.tries)


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(("hidden", "heads", "kv_heads", "mlp"), [(96, 3, 1, 256), (192, 6, 2, 512)])
@pytest.mark.parametrize("rank", [8, 32])
def test_activations_are_near_what_autograd_keeps(
    hidden: int, heads: int, kv_heads: int, mlp: int, rank: int, bfloat16: bool
) -> None:
    shapes = shapes_of(
        layers=4, hidden=hidden, heads=heads, kv_heads=kv_heads, vocab=64, mlp=mlp, tied=True, source="test"
    )
    config = Config(
        model=ModelConfig(lora_rank=rank, dtype="bfloat16" if bfloat16 else "float32"),
        rollout=RolloutConfig(max_new_tokens=255, groups=8, max_prompt_tokens=1),
        optim=OptimConfig(micro_tokens=256),
    )
    model = LlamaForCausalLM(llama_config(shapes)).to(torch.bfloat16 if bfloat16 else torch.float32)
    adapters.attach(model, rank=rank, alpha=0, asked="all-linear", seed=0)
    assert 1.0 < forecast(shapes, config).activations / kept_by_autograd(model.model, 256) < 1.3


def test_an_adapters_folder_has_the_shapes_of_its_model(tmp_path: Path) -> None:
    tiny, folder = save_tiny(tmp_path / "tiny"), tmp_path / "adapter"
    folder.mkdir()
    file = folder / "adapter_config.json"
    for base, expected in (
        (str(tiny), lookup(str(tiny))),
        ("/gone/models/smollm2-135m", SMOL),
        ("some/model", None),
        (str(folder), None),
    ):
        file.write_text(json.dumps({"base_model_name_or_path": base}))
        assert lookup(str(folder)) == expected
    for text in ("{", "[]", "{}", '{"base_model_name_or_path": null}', '{"base_model_name_or_path": ""}'):
        file.write_text(text)
        with pytest.raises(DataError) as caught:
            lookup(str(folder))
        assert caught.value.code == "E304"
