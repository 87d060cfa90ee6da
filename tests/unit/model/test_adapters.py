"""LoRA: what an adapter changes and what it leaves as it is, its gradient, merging, and layers that are not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from oneshot.errors import UsageError
from oneshot.model import adapters
from oneshot.model.lora import adapt, merged
from oneshot.model.policy import Policy, save
from tests.adapted import IDS, loaded, logits, moved, tiny_qwen2
from tests.parts import tiny_policy
from tests.tiny import save_tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "tiny")


@pytest.mark.parametrize("family", ["llama", "qwen2"])
@pytest.mark.parametrize("targets", ["all-linear", "q_proj,v_proj", "model.layers.1.mlp.down_proj"])
def test_a_new_adapter_changes_nothing_and_a_moved_one_does(folder: Path, family: str, targets: str) -> None:
    if family == "qwen2":
        tiny_qwen2(folder)
    before = logits(loaded(folder))
    policy = adapt(loaded(folder), rank=4, targets=targets, seed=1)
    assert torch.equal(logits(policy), before)
    assert not torch.equal(logits(moved(policy)), before)
    assert policy.adapted
    assert not policy.model.training


def test_what_is_trained_by_hand(folder: Path) -> None:
    policy = adapt(loaded(folder), rank=4, targets="q_proj, v_proj", seed=1)
    trained = {name: tuple(p.shape) for name, p in policy.model.named_parameters() if p.requires_grad}
    layer = {
        "q_proj.lora_A": (4, 32), "q_proj.lora_B": (32, 4), "v_proj.lora_A": (4, 32), "v_proj.lora_B": (16, 4),
    }  # fmt: skip
    expected = {f"model.layers.{i}.self_attn.{k}.default.weight": v for i in range(2) for k, v in layer.items()}
    assert trained == expected
    assert sum(p.numel() for p in policy.saved) == 2 * 4 * (32 + 32 + 32 + 16)
    assert policy.model.peft_config["default"].lora_alpha == 8  # 0 means 2 x rank


def test_decoder_and_head_are_found_by_their_names(folder: Path) -> None:
    policy = adapt(loaded(folder), rank=4)
    assert policy.head is policy.model.get_input_embeddings().weight  # tied, and frozen
    assert not policy.head.requires_grad
    assert policy.decoder is policy.model.model
    kinds = {name.rpartition(".")[2] for name, _ in adapters.layers(policy.model)}
    assert kinds == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_the_seed_alone_decides_a_new_adapter(folder: Path) -> None:
    def made(seed: int) -> list[Tensor]:
        return [p.detach().clone() for p in adapt(loaded(folder), rank=4, seed=seed).saved]

    torch.manual_seed(1)
    first = made(0)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    again = made(0)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(map(torch.equal, first, again))
    other = made(1)
    assert not torch.equal(first[0], other[0])
    wide = first[0]  # A of a layer with 32 inputs
    assert float(wide.abs().max()) <= 32**-0.5
    assert float(wide.std()) == pytest.approx(32**-0.5 / 3**0.5, rel=0.2)  # of a uniform number


def test_under_a_bfloat16_model_the_adapter_is_float32(folder: Path, tmp_path: Path) -> None:
    policy = moved(adapt(loaded(folder, dtype="bfloat16"), rank=4))
    assert {p.dtype for p in policy.saved} == {torch.float32}
    assert policy.head.dtype == policy.model.dtype == torch.bfloat16
    assert logits(policy).dtype == torch.bfloat16
    save(policy, tmp_path / "adapter")
    again = loaded(tmp_path / "adapter", dtype="bfloat16")
    assert {p.dtype for p in again.saved} == {torch.float32}
    assert torch.equal(logits(again), logits(policy))


def exact(policy: Policy) -> Any:
    """A model in float64, adapter included."""
    model = tiny_policy(dtype=torch.float64).model
    adapters.attach(model, rank=3, alpha=0, asked="q_proj,down_proj", seed=0)
    model.double()
    moved(replace(policy, model=model))
    return model


def test_the_gradient_reaches_the_adapter_alone_and_is_the_finite_difference() -> None:
    model = exact(tiny_policy())

    def loss() -> Tensor:
        found: Tensor = model(input_ids=IDS).logits.log_softmax(-1)[0, :-1].gather(-1, IDS[0, 1:, None]).sum()
        return found

    loss().backward()
    touched = {name for name, p in model.named_parameters() if p.grad is not None}
    assert touched == {name for name, p in model.named_parameters() if p.requires_grad}
    assert all(".lora_" in name for name in touched)
    for name in ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
                 "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"):  # fmt: skip
        weight = adapters.tensors(model)[name]
        assert weight.grad is not None
        place, by = (1, 2), 1e-5
        with torch.no_grad():
            weight[place] += by
            above = float(loss())
            weight[place] -= 2 * by
            below = float(loss())
            weight[place] += by
        assert float(weight.grad[place]) == pytest.approx((above - below) / (2 * by), rel=1e-6, abs=1e-9)


def test_initial_is_the_model_before_the_adapter_to_the_bit(folder: Path) -> None:
    before = logits(loaded(folder))
    policy = moved(adapt(loaded(folder), rank=4))
    after = logits(policy)
    with policy.initial() as model:
        assert model is policy.model
        assert torch.equal(logits(policy), before)
    assert torch.equal(logits(policy), after)
    assert all(p.requires_grad for p in policy.saved)
    with pytest.raises(ZeroDivisionError), policy.initial():
        _ = 1 / 0
    assert torch.equal(logits(policy), after)


def test_a_policy_all_of_whose_weights_are_trained_has_no_initial_model(folder: Path) -> None:
    policy = loaded(folder)
    assert not policy.adapted
    with pytest.raises(AssertionError, match="keeps no initial weights"), policy.initial():
        pass
    assert sum(p.numel() for p in policy.saved) == sum(p.numel() for p in policy.model.parameters())


@pytest.mark.parametrize("keep", [True, False])
def test_merged_is_a_plain_model_with_the_same_logits(folder: Path, tmp_path: Path, keep: bool) -> None:
    policy = moved(adapt(loaded(folder), rank=4))
    expected, names = logits(policy), loaded(folder).model.state_dict().keys()
    plain = merged(policy, keep=keep)
    assert not plain.adapted
    assert plain.model.state_dict().keys() == names
    assert plain.head is plain.model.get_input_embeddings().weight
    assert all(p.requires_grad for p in plain.model.parameters())
    torch.testing.assert_close(logits(plain), expected, atol=1e-5, rtol=1e-5)
    assert policy.adapted is keep
    if keep:
        assert torch.equal(logits(policy), expected)
    save(plain, tmp_path / "plain")
    assert torch.equal(logits(loaded(tmp_path / "plain")), logits(plain))


def test_merging_a_plain_policy_leaves_it_as_it_is(folder: Path) -> None:
    policy = loaded(folder)
    assert merged(policy, keep=False).model is policy.model
    assert torch.equal(logits(merged(policy)), logits(policy))


@pytest.mark.parametrize(
    ("targets", "said", "first"),
    [
        ("q_prj", "names 'q_prj'", "--model.lora-targets q_proj"),
        ("q_proj,experts", "names 'experts'", "--model.lora-targets all-linear"),
        ("lm_head", "names 'lm_head'", "--model.lora-targets all-linear"),
        ("embed_tokens", "names 'embed_tokens'", "--model.lora-targets all-linear"),
        ("layers.7.self_attn.q_proj", "names 'layers.7", "--model.lora-targets q_proj"),
    ],
)
def test_layers_that_are_not_there(folder: Path, targets: str, said: str, first: str) -> None:
    policy = loaded(folder)
    with pytest.raises(UsageError, match=said) as caught:
        adapt(policy, rank=4, targets=targets)
    assert caught.value.code == "E103"
    assert "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in caught.value.message
    assert caught.value.tries[0] == first
    assert not policy.adapted
