"""bfloat16 working copies: rounded from what the files say in float32, which the learner moves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from oneshot.config.schema import AlgorithmConfig, Config, ModelConfig, OptimConfig
from oneshot.errors import UsageError
from oneshot.model import precision
from oneshot.model.lora import adapt
from oneshot.record import RunFolder
from oneshot.stages import loop
from oneshot.stages.resources.worst_case import run_worst_case, still_learner
from oneshot.stages.setup import Setup
from tests.parts import batch_of, grpo, learner_of, lowered, one_step, ragged_groups, tiny_policy
from tests.unit.stages.setups import QUESTION, tiny_setup

BF16, F32 = torch.bfloat16, torch.float32


def test_auto_is_bfloat16_on_cuda_and_written_out() -> None:
    assert precision.settled(Config(), cuda=False, training=True) == Config()
    found = precision.settled(Config(), cuda=True, training=True)
    assert (found.model.dtype, precision.read_as(found, training=True)) == ("bfloat16", "float32")
    assert precision.read_as(found, training=False) == "bfloat16"  # nothing is trained: no float32 is needed
    asked = Config(model=ModelConfig(dtype="float32"))
    assert precision.settled(asked, cuda=True, training=True) == asked
    assert precision.read_as(Config(), training=True) == "auto"


@pytest.mark.parametrize(
    ("name", "options", "cuda", "critic"),
    [
        ("ppo", {}, True, "model"),
        ("ppo", {"critic": "auto", "lam": 0.9}, True, "model"),
        ("ppo", {"critic": "head"}, True, "head"),
        ("ppo", {}, False, None),
        ("grpo", {}, True, None),
    ],
)
def test_a_critic_is_a_model_on_cuda(name: str, options: dict[str, object], cuda: bool, critic: str | None) -> None:
    config = Config(algorithm=AlgorithmConfig(name=name, options=options))
    found = precision.settled(config, cuda=cuda, training=True).algorithm.options
    assert found.get("critic") == critic
    assert found.get("lam") == options.get("lam")


def test_pure_bfloat16_is_refused_on_cuda_at_small_rates_in_training_only() -> None:
    config = Config(optim=OptimConfig(masters=False))
    assert precision.settled(config, cuda=False, training=True) == config
    assert precision.settled(config, cuda=True, training=False).model.dtype == "bfloat16"
    with pytest.raises(UsageError, match=r"optim\.masters = false with optim\.lr = 5e-06") as caught:
        precision.settled(config, cuda=True, training=True)
    assert caught.value.code == "E105"
    assert "--optim.masters true" in caught.value.tries
    fast = Config(optim=OptimConfig(masters=False, lr=1e-4))
    assert precision.read_as(precision.settled(fast, cuda=True, training=True), training=True) == "bfloat16"


def test_parameters_are_rounded_and_buffers_are_not() -> None:
    policy = tiny_policy()
    exact = {name: p.detach().clone() for name, p in policy.model.named_parameters()}
    buffers = {name: b.dtype for name, b in policy.model.named_buffers()}
    masters = lowered(policy)
    assert {name: b.dtype for name, b in policy.model.named_buffers()} == buffers
    assert F32 in buffers.values()
    for name, parameter in policy.model.named_parameters():
        assert torch.equal(parameter, exact[name].to(BF16))
        assert torch.equal(masters[parameter], exact[name])
    assert policy.model.dtype == policy.model.config.dtype == BF16


def test_an_adapter_stays_float32_and_the_weights_under_it_keep_no_masters() -> None:
    policy = adapt(tiny_policy(), rank=2)
    assert lowered(policy) == {}
    assert {p.dtype for p in policy.saved} == {F32}
    assert {p.dtype for p in policy.model.parameters() if not p.requires_grad} == {BF16}
    learner = learner_of(policy, grpo())
    assert learner.optimizer.masters == learner.optimizer.parameters
    assert one_step(learner, batch_of(ragged_groups()))["update_norm"] > 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


def half_setup(folder: Path, **changes: object) -> Setup:
    tiny_setup(folder)
    return tiny_setup(folder, model=ModelConfig(name=str(folder), threads=1, dtype="bfloat16"), **changes)


def test_a_run_begins_from_the_files_float32_values(folder: Path, tmp_path: Path) -> None:
    setup = half_setup(folder)
    saved = load_file(folder / "model.safetensors")
    assert setup.policy.model.dtype == BF16
    names = dict(setup.policy.model.named_parameters())
    assert {id(p) for p in setup.masters} == {id(p) for p in names.values()}
    for name, parameter in names.items():
        assert torch.equal(setup.masters[parameter], saved[name])
        assert torch.equal(parameter, saved[name].to(BF16))
    parts = loop.build(setup, [QUESTION], RunFolder.create(tmp_path, "x", {}, []))
    places = {m.data_ptr() for m in setup.masters.values()}
    assert {m.data_ptr() for m in parts.learner.optimizer.masters} == places  # taken over, not copied
    assert one_step(parts.learner, batch_of(ragged_groups()))["update_norm"] > 0
    assert any(not torch.equal(m, saved[n]) for n, m in zip(names, parts.learner.optimizer.masters, strict=True))


def test_the_worst_case_step_shares_the_masters_and_counts_their_moments(folder: Path) -> None:
    setup = half_setup(folder)
    before = {p: (p.detach().clone(), m.clone()) for p, m in setup.masters.items()}
    learner = still_learner(setup)
    assert {m.data_ptr() for m in learner.optimizer.masters} == {m.data_ptr() for m in setup.masters.values()}
    done = run_worst_case(setup, (1, 58, 75, 2), learner, None)
    assert done.moments == 2 * 4 * sum(p.numel() for p in setup.masters)
    assert all(torch.equal(p, was) and torch.equal(setup.masters[p], m) for p, (was, m) in before.items())
    assert all(p.grad is None for o in learner.optimizers for p in (*o.parameters, *o.masters))


def test_the_worst_case_counts_a_critic_s_moments(folder: Path) -> None:
    counts = {}
    for critic in ("head", "model"):
        setup = tiny_setup(folder, algorithm=AlgorithmConfig(name="ppo", options={"critic": critic}))
        learner = still_learner(setup)
        counts[critic] = run_worst_case(setup, (1, 58, 75, 2), learner, None).moments
        assert all(not o.adamw.state for o in learner.optimizers)
        assert learner.critic is not None
        assert not any(bool(p.any()) for p in learner.critic.head.parameters())
    number = sum(p.numel() for p in setup.policy.model.parameters())
    assert counts == {"head": 8 * (number + 33), "model": 8 * (2 * number + 33)}


def test_without_masters_the_weights_themselves_are_read_and_moved(folder: Path) -> None:
    setup = half_setup(folder, optim=OptimConfig(masters=False, lr=1e-3))
    assert setup.masters == {}
    learner = still_learner(setup)
    assert learner.optimizer.masters == learner.optimizer.parameters
    assert {p.dtype for p in learner.parameters} == {BF16}
