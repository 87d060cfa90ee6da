"""Attention over a prefix tree: against attention with a mask, and as transformers calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from oneshot.data.packing import attending, dense_mask, pack, tree_of
from oneshot.model import attention
from oneshot.train.forward import states
from tests.parts import group, ragged_groups

IDS: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": 0}


def drawn(heads: int, length: int, seed: int) -> Tensor:
    """[1, heads, L, 8] in float64, laid out as a model's queries and keys are."""
    made = torch.randn(1, length, heads, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return made.transpose(1, 2).requires_grad_()


@given(
    prompt=st.integers(1, 7),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=7),
    heads=st.sampled_from([(4, 4), (4, 2), (6, 2), (3, 1)]),
    scaling=st.sampled_from([None, 0.3]),
)
def test_values_and_gradients_are_those_of_masked_attention(
    prompt: int, lengths: list[int], heads: tuple[int, int], scaling: float | None
) -> None:
    length = prompt + sum(lengths)
    inputs = [drawn(heads[0], length, 0), drawn(heads[1], length, 1), drawn(heads[1], length, 2)]
    tree, slope = tree_of(prompt, lengths), drawn(heads[0], length, 3).detach().transpose(1, 2)
    q, k, v = inputs
    k_all, v_all = (x.repeat_interleave(heads[0] // heads[1], 1) for x in (k, v))
    masked = scaled_dot_product_attention(q, k_all, v_all, attn_mask=dense_mask(tree, length), scale=scaling)
    masked = masked.transpose(1, 2)
    found = attention.over_tree(q, k, v, tree, scaling)
    assert found.shape == (1, length, heads[0], 8)
    torch.testing.assert_close(found, masked, rtol=1e-10, atol=1e-10)
    sides = [torch.autograd.grad((slope * out).sum(), inputs) for out in (found, masked)]
    for one, other in zip(*sides, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def small(kind: str) -> Any:
    """A model of two layers in float32, attending as `policy.load` makes it."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 64, "num_key_value_heads": 2,
    }  # fmt: skip
    made = cast(Any, CONFIG_MAPPING[kind])(**sizes, attn_implementation="sdpa", **IDS)
    return cast(Any, AutoModelForCausalLM).from_config(made).eval()


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gpt_neox", "mistral", "phi3"])
def test_a_model_computes_the_same_with_a_tree_as_with_a_mask(kind: str) -> None:
    made = [[5, 6, 7, 8], [9], [5, 6, 7], [1, 2, 3, 4]]
    (micro,) = pack([group(0, (11, 12, 13), made, [1, 0, 0, 1])], max_response=4, micro_tokens=99).micro
    model = small(kind).double()
    decoder = model.get_decoder()
    assert not attention.installed(decoder)
    masked_NH = states(decoder, micro, torch.device("cpu"))
    assert attention.install(model)
    assert attention.install(model), "a second time nothing changes"
    assert attention.installed(decoder)
    found_NH = states(decoder, micro, torch.device("cpu"))
    torch.testing.assert_close(found_NH, masked_NH, rtol=1e-9, atol=1e-9)
    attention.remove(model)
    assert torch.equal(states(decoder, micro, torch.device("cpu")), masked_NH)


def test_a_layer_that_took_the_mask_beside_a_tree_would_be_found_out() -> None:
    model = small("llama")
    (micro,) = pack(ragged_groups()[:1], max_response=9, micro_tokens=99).micro
    given_mask = attending(micro, torch.device("cpu"), tree=True)["attention_mask"]
    with torch.no_grad():
        masked = states(model.get_decoder(), micro, torch.device("cpu"))
        out = model.get_decoder()(
            input_ids=micro.input_ids, position_ids=micro.position_ids, attention_mask=given_mask, use_cache=False
        )
    blind_NH = out.last_hidden_state.flatten(0, 1)[micro.predict_N]
    assert not bool((blind_NH - masked).abs().max() < 1e-3)  # far off, or not numbers at all


def test_without_a_tree_nothing_changes() -> None:
    """The sampler shares the model: prefill with a mask, and one token over a cache without one."""
    model = small("llama")
    ids = torch.tensor([[3, 4, 5, 6]])
    mask = torch.ones(4, 4, dtype=torch.bool).tril()[None, None]
    with torch.no_grad():
        before = model(input_ids=ids, attention_mask=mask).logits, model(input_ids=ids).logits
        attention.install(model)
        after = model(input_ids=ids, attention_mask=mask).logits, model(input_ids=ids).logits
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_a_saved_model_says_nothing_of_it(tmp_path: Path) -> None:
    model = small("llama")
    attention.install(model)
    model.save_pretrained(tmp_path)
    assert attention.NAME not in json.dumps(json.loads((tmp_path / "config.json").read_text()))
    opened = cast(Any, AutoModelForCausalLM).from_pretrained(tmp_path)
    assert not attention.installed(opened)


def test_a_model_whose_attention_cannot_be_exchanged_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small("llama")
    monkeypatch.setattr(type(model), "_supports_attention_backend", False)
    assert not attention.install(model)
    assert model.config._attn_implementation == "sdpa"
