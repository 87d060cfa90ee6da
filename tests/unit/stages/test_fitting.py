"""What must fit: positions, a token that ends a response, memory with activations computed again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from oneshot.config.schema import Config, EvalsConfig, ModelConfig, OptimConfig, RolloutConfig
from oneshot.errors import DataError, OneshotError, UsageError
from oneshot.model import memory
from oneshot.model.checkpointing import recomputes
from oneshot.model.memory import forecast
from oneshot.model.shapes import lookup
from oneshot.stages.resources import fitting
from oneshot.stages.resources.fitting import (
    check_eos,
    check_head,
    check_length,
    check_limits,
    decide_checkpointing,
    recomputed,
)
from oneshot.stages.setup import load_setup, resolve_names
from tests.parts import tiny_policy
from tests.tiny import save_tiny
from tests.unit.stages.setups import QUESTION, tiny_setup

CONTEXT = 512  # of the tiny model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "tiny")


def asked(folder: Path, *, train: int = 8, read: int = 8, source: str = "") -> Config:
    return Config(
        model=ModelConfig(name=str(folder), threads=1),
        rollout=RolloutConfig(max_new_tokens=train),
        evals=EvalsConfig(max_new_tokens=read, source=source),
    )


def refused(error: pytest.ExceptionInfo[OneshotError]) -> str:
    assert (error.value.code, error.value.exit_code) == ("E105", 2)
    assert error.value.kept == "Nothing was trained."
    return error.value.message


def test_a_limit_that_leaves_no_room_for_a_prompt_is_refused_before_loading(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        check_limits(asked(folder, train=CONTEXT), training=True)
    assert "rollout.max_new_tokens = 512 and a prompt of 1 token make 513" in refused(caught)
    assert f"{folder} was made for 512 positions." in caught.value.message
    assert caught.value.tries == ("--rollout.max-new-tokens 511",)
    check_limits(asked(folder, train=CONTEXT), training=False)  # an evaluation does not read it
    check_limits(asked(folder, read=CONTEXT), training=True)  # nothing is evaluated
    for config, training in ((asked(folder, read=CONTEXT, source="x"), True), (asked(folder, read=CONTEXT), False)):
        with pytest.raises(UsageError, match=r"^evals\.max_new_tokens = 512 "):
            check_limits(config, training=training)
    check_limits(replace(asked(folder, train=10**9), model=ModelConfig(name="some/model")), training=True)


def test_the_longest_response_and_its_prompt_must_fit_to_the_token(folder: Path) -> None:
    policy = tiny_policy()
    prompt = tuple(range(17))
    config = asked(folder, train=CONTEXT - 17)
    assert check_length(policy, config, fitting.TRAINING, prompt) == prompt
    with pytest.raises(UsageError) as caught:
        check_length(policy, config, fitting.TRAINING, (*prompt, 3))
    assert "and a prompt of 18 tokens make 513" in refused(caught)
    assert caught.value.tries == ("--rollout.max-new-tokens 494",)
    with pytest.raises(UsageError) as caught:
        check_length(policy, config, fitting.EVALUATION, tuple(range(600)))
    assert caught.value.tries == ("--model another-model   (one made for more positions)",)


def test_every_prompt_of_a_setup_is_checked(folder: Path) -> None:
    config = asked(folder, train=CONTEXT - 17, read=CONTEXT - 16)
    setup = load_setup(config, resolve_names(config), offline=True)
    assert len(setup.render(QUESTION)) == 17
    with pytest.raises(UsageError, match=r"evals\.max_new_tokens"):
        setup.render_eval(QUESTION)


@pytest.mark.parametrize("ids", [(), (260,), (-1, 10**6)])
def test_a_model_that_can_never_end_a_response(ids: tuple[int, ...]) -> None:
    policy = replace(tiny_policy(), eos_ids=frozenset(ids))
    with pytest.raises(DataError, match="would be cut at the limit") as caught:
        check_eos(policy)
    assert (caught.value.code, caught.value.exit_code) == ("E304", 4)
    assert caught.value.tries
    check_eos(replace(policy, eos_ids=frozenset({*ids, 259})))


def test_activations_are_computed_again_where_only_that_fits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = lookup(str(folder))
    assert shapes is not None
    config = replace(asked(folder), optim=OptimConfig(micro_tokens=4096), rollout=RolloutConfig(max_new_tokens=200))
    on = replace(config, optim=replace(config.optim, checkpointing="on"))
    free = (forecast(shapes, config).total + forecast(shapes, on).total) // 2
    decided, said = decide_checkpointing(config, available=free)
    assert decided == on
    assert said.startswith("memory: activations are computed again in the backward pass (optim.checkpointing = on)")
    assert decide_checkpointing(config, available=2**50) == (config, "")
    monkeypatch.setattr(memory, "available_memory", lambda: free)
    setup = load_setup(config, resolve_names(config), offline=True)
    assert setup.config.optim.checkpointing == "on"
    assert setup.notes == (said,)
    assert recomputes(setup.policy.model)


def test_otherwise_nothing_is_computed_again(folder: Path) -> None:
    setup = tiny_setup(folder)
    assert setup.config.optim.checkpointing == "auto"
    assert setup.notes == ()
    assert not recomputes(setup.policy.model)
    assert recomputed(setup.policy, setup.config) == ""


def test_on_for_an_architecture_without_such_layers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "recompute", lambda model: 0)
    policy = tiny_policy()
    said = recomputed(policy, Config(optim=OptimConfig(checkpointing="on")))
    assert said.startswith(f"warning: optim.checkpointing = on does nothing: {policy.name}")


@pytest.mark.parametrize(
    ("kind", "more", "right"),
    [("granite", {"logits_scaling": 8.0}, False), ("granite", {}, True), ("cohere", {"logit_scale": 0.5}, False)],
)
def test_logits_that_are_more_than_a_product_are_refused(kind: str, more: dict[str, float], right: bool) -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    ids = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": 0}
    made = cast(Any, CONFIG_MAPPING[kind])(**sizes, **heads, **ids, **more)
    policy = replace(tiny_policy(), model=cast(Any, AutoModelForCausalLM).from_config(made).eval())
    if right:
        check_head(policy)
        return
    with pytest.raises(DataError, match=f"{kind}.* more than its last states times its output matrix") as caught:
        check_head(policy)
    assert caught.value.code == "E304"
