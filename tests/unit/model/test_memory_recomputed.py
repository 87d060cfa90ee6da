"""The forecast with activations computed again, when that is chosen, and the logits term, against what torch takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaModel

from oneshot.config.schema import Config, ModelConfig, OptimConfig, RolloutConfig
from oneshot.errors import MachineError
from oneshot.model.checkpointing import recompute
from oneshot.model.logprobs import logprob_and_entropy
from oneshot.model.memory import check_memory, checkpointed, forecast
from oneshot.model.shapes import TABLE, shapes_of
from tests.live import Live

SMOL = TABLE["smollm2-135m"]
ON = Config(optim=OptimConfig(checkpointing="on"))


def test_by_hand() -> None:
    """One layer's activations and a quarter more, beside the hidden states between the layers."""
    a_layer = 6 * 576 + 5 * 576 + 4 * 1536 + 1024
    assert forecast(SMOL, ON).activations == 4 * 1024 * (30 * 576 + a_layer * 5 // 4)
    plain = forecast(SMOL, Config())
    assert plain.activations == 4 * 1024 * 30 * a_layer
    assert replace(plain, activations=0) == replace(forecast(SMOL, ON), activations=0)
    assert forecast(SMOL, Config(optim=OptimConfig(checkpointing="off"))) == plain


@pytest.mark.parametrize("free", [0, 2 * 2**30, 64 * 2**30])
def test_it_stays_off_where_it_would_not_help_or_is_not_needed(free: int) -> None:
    assert checkpointed(Config(), available=free) == Config()


def test_it_is_on_where_only_that_fits() -> None:
    between = (forecast(SMOL, Config()).total + forecast(SMOL, ON).total) // 2
    assert checkpointed(Config(), available=between) == ON
    assert check_memory(ON, available=between) is not None
    off = Config(optim=OptimConfig(checkpointing="off"))
    assert checkpointed(off, available=between) == off
    with pytest.raises(MachineError) as caught:
        check_memory(off, available=between)
    assert caught.value.tries[0].startswith("--optim.checkpointing on")
    unknown = Config(model=ModelConfig(name="some/model"))
    assert checkpointed(unknown, available=between) == unknown


@pytest.mark.parametrize(
    ("hidden", "mlp", "layers", "tokens"), [(64, 128, 12, 64), (64, 128, 12, 256), (96, 512, 8, 128)]
)
@pytest.mark.parametrize("on", [False, True])
def test_activations_against_what_torch_takes(hidden: int, mlp: int, layers: int, tokens: int, on: bool) -> None:
    """Up to 15 % less or more; the gradients of one layer's weights, which the forecast counts elsewhere, included."""
    config = LlamaConfig(
        hidden_size=hidden, intermediate_size=mlp, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=50, attn_implementation="sdpa",
    )  # fmt: skip
    model = LlamaModel(config).eval()
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    if on:
        recompute(model)
    mask = torch.ones(tokens, tokens, dtype=torch.bool).tril()[None, None]
    with Live() as live:
        out = model(input_ids=torch.zeros(1, tokens, dtype=torch.long), attention_mask=mask, use_cache=False)
        out.last_hidden_state.sum().backward()
    shapes = shapes_of(
        layers=layers, hidden=hidden, heads=4, kv_heads=2, vocab=50, mlp=mlp, tied=True, source="this test"
    )
    rollout = RolloutConfig(max_prompt_tokens=1, max_new_tokens=1, groups=1000)
    settings = Config(rollout=rollout, optim=OptimConfig(micro_tokens=tokens, checkpointing="on" if on else "auto"))
    assert 0.85 < forecast(shapes, settings).activations / live.peak < 1.15


@pytest.mark.parametrize(("vocab", "hidden"), [(20_000, 64), (20_000, 256), (49_152, 64)])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logits_against_what_torch_takes(vocab: int, hidden: int, temperature: float) -> None:
    """The chunk and the head's gradient, and some MiB of pieces: at most a quarter too much, never too little."""
    states_NH = torch.randn(512, hidden, requires_grad=True)
    weight_VH = torch.randn(vocab, hidden, requires_grad=True)
    with Live() as live:
        logp_N, entropy_N, _ = logprob_and_entropy(states_NH, weight_VH, torch.randint(vocab, (512,)), temperature)
        (logp_N.mean() + 0.01 * entropy_N.mean()).backward()
    shapes = shapes_of(layers=1, hidden=hidden, heads=4, kv_heads=2, vocab=vocab, mlp=64, tied=True, source="this test")
    assert live.peak <= forecast(shapes, Config()).logits < 1.25 * live.peak
