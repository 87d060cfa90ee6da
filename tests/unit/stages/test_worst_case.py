"""The step before step 0: as large as any, and without a trace in the policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from oneshot.config.schema import AlgorithmConfig, OptimConfig, RolloutConfig
from oneshot.errors import MachineError
from oneshot.model.memory import forecast
from oneshot.model.shapes import lookup
from oneshot.rollout.collect import collect
from oneshot.stages.resources import worst_case
from oneshot.stages.resources.worst_case import logprob_gap, run_worst_case, short_decode, speed_of, still_learner
from oneshot.stages.setup import Setup
from oneshot.types import Sampling
from tests.unit.stages.setups import QUESTION, graded_by, tiny_setup

PROMPT = (1, 58, 75, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture
def setup(folder: Path) -> Setup:
    return tiny_setup(folder)


@pytest.mark.parametrize("updates", [1, 3])
def test_it_leaves_weights_gradients_and_random_numbers_alone(folder: Path, updates: int) -> None:
    setup = tiny_setup(folder, algorithm=AlgorithmConfig(kl=0.01, updates=updates))
    before = {name: value.clone() for name, value in setup.policy.model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    learner = still_learner(setup)
    assert run_worst_case(setup, PROMPT, learner, None).tokens
    assert torch.equal(torch.rand(4), expected)
    assert all(torch.equal(value, before[name]) for name, value in setup.policy.model.state_dict().items())
    assert all(p.grad is None for p in setup.policy.model.parameters())
    assert not learner.optimizer.adamw.state


def test_a_backward_pass_was_run(setup: Setup) -> None:
    seen: list[int] = []
    weight = setup.policy.head
    hook = weight.register_hook(lambda grad: seen.append(grad.numel()))
    run_worst_case(setup, PROMPT, still_learner(setup), None)
    hook.remove()
    assert seen == [weight.numel()]


@pytest.mark.parametrize(
    ("micro", "packing", "groups", "responses", "tokens"),
    [
        (1024, True, 2, 8, 4 + 8 * 8),  # no more than the step has
        (44, True, 2, 5, 4 + 5 * 8),  # as many as fit beside the prompt
        (44, False, 2, 3, 3 * (4 + 8)),  # padded: each with its own
        (1, True, 2, 1, 4 + 8),  # a single response may be longer than a micro-batch
    ],
)
def test_a_full_micro_batch(folder: Path, micro: int, packing: bool, groups: int, responses: int, tokens: int) -> None:
    setup = tiny_setup(
        folder,
        optim=OptimConfig(micro_tokens=micro, packing=packing),
        rollout=RolloutConfig(groups=groups, group_size=4, max_new_tokens=8),
    )
    done = run_worst_case(setup, PROMPT, still_learner(setup), None)
    assert (done.prompt, done.responses, done.tokens) == (4, responses, tokens)
    trained = sum(p.numel() for p in setup.policy.model.parameters())
    assert done.moments == 2 * 4 * trained
    assert done.needed == done.peak + done.moments > done.moments
    assert f"{tokens} tokens (prompt 4, {responses} responses" in done.sentence()


def test_memory_that_would_end_is_refused(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worst_case, "_memory", lambda device: (3 * 2**30, 2**30, 2**30))
    shapes = lookup(setup.config.model.name)
    assert shapes is not None
    with pytest.raises(MachineError, match=r"it took 3\.0 GiB, .*; 2\.0 are there") as caught:
        run_worst_case(setup, PROMPT, still_learner(setup), forecast(shapes, setup.config))
    assert (caught.value.code, caught.value.exit_code) == ("E201", 3)
    assert caught.value.tries[0].startswith("--optim.checkpointing on ")
    assert "--optim.micro-tokens 256" in caught.value.tries[1]
    assert caught.value.kept == "Nothing was trained."


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_ends_in_the_step_is_an_error_of_ours(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    learner = still_learner(setup)

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(learner, "update", fail)
    with pytest.raises(MachineError, match="the memory ended in it") as caught:
        run_worst_case(setup, PROMPT, learner, None)
    assert caught.value.code == "E201"


def test_another_error_is_not_taken_for_memory(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = still_learner(setup)

    def fail(*_: Any) -> Iterator[None]:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(learner, "update", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        run_worst_case(setup, PROMPT, learner, None)


def test_a_short_decode_has_the_rows_of_training(folder: Path) -> None:
    setup = tiny_setup(folder, rollout=RolloutConfig(groups=2, group_size=4, max_new_tokens=8, batch=3))
    seconds, tokens, rows = short_decode(setup, PROMPT)
    assert rows == 3
    assert 3 <= tokens <= 24
    done = run_worst_case(setup, PROMPT, still_learner(setup), None)
    speed = speed_of(seconds, tokens, rows, done)
    assert speed.decode == pytest.approx(tokens / seconds)
    assert speed.learn == pytest.approx(done.tokens / done.seconds)


@pytest.mark.parametrize("packing", [True, False])
def test_the_gap_is_rounding_until_the_weights_differ(folder: Path, packing: bool) -> None:
    setup = graded_by(tiny_setup(folder, optim=OptimConfig(packing=packing)), lambda response: False)
    sampling = Sampling(temperature=1.0, max_new_tokens=8)
    groups = collect(setup.engine, [QUESTION], setup.render, setup.names.verify, sampling, 0, group_size=6)
    gap = logprob_gap(setup, groups, still_learner(setup))
    assert gap.tokens == sum(len(c.tokens) for c in groups[0].completions)
    assert gap.mean <= gap.largest < 1e-4
    first = groups[0].completions[0]
    moved = replace(first, logprobs=tuple(value - 0.5 for value in first.logprobs))
    groups = [replace(groups[0], completions=(moved, *groups[0].completions[1:]))]
    off = logprob_gap(setup, groups, still_learner(setup))
    assert off.largest == pytest.approx(0.5, abs=1e-3)
    assert off.mean == pytest.approx(0.5 * len(first.tokens) / gap.tokens, abs=1e-3)
