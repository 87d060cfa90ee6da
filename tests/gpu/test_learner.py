"""The learner on CUDA: packed and padded, float32 masters, resuming to the bit, memory that runs out.

These tests have never run on a GPU.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from oneshot.model.logprobs import fast_head
from oneshot.model.policy import Policy
from oneshot.record import RunFolder
from oneshot.stages.resources.room import Room
from oneshot.train.learner import Learner
from tests.parts import (
    apart,
    batch_of,
    gradients,
    grpo,
    learner_of,
    lowered,
    one_step,
    ragged_groups,
    tiny_policy,
)
from tests.unit.train import runs

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU, and torch sees none")

FULL = {"kl": 0.05, "entropy": 0.01}


def on_gpu(policy: Policy) -> Policy:
    policy.model.cuda()
    return policy


def masters(learner: Learner) -> list[Tensor]:
    """The float32 weights, on the CPU."""
    return [m.detach().float().cpu().clone() for m in learner.optimizer.masters]


def flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([t.flatten() for t in tensors])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_kernels_compute_the_head(dtype: torch.dtype) -> None:
    for words in (260, 49_152, 151_936):
        assert fast_head(torch.device("cuda"), dtype, words) == "triton kernels"
    assert fast_head("cuda", torch.float64).startswith("torch chunks: there is no kernel")


@pytest.mark.parametrize("kl", [0.0, 0.05])
def test_packed_is_padded(kl: float) -> None:
    found = []
    for packed in (True, False):
        learner = learner_of(on_gpu(tiny_policy()), grpo(kl=kl, entropy=0.01), temperature=0.6, grad_clip=0)
        metrics = one_step(learner, batch_of(ragged_groups(), packed=packed, micro_tokens=32))
        found.append((metrics, gradients(learner)))
    (packed_metrics, packed_slope), (padded_metrics, padded_slope) = found
    assert apart(packed_slope, padded_slope) < 1e-4
    for name in ("loss", "entropy", "entropy_t1", "grad_norm"):
        assert packed_metrics[name] == pytest.approx(padded_metrics[name], rel=1e-4, abs=1e-6), name


def test_the_same_step_twice_is_the_same_to_the_bit() -> None:
    found = []
    for _ in range(2):
        learner = learner_of(on_gpu(tiny_policy()), grpo(**FULL), temperature=0.6)
        metrics = one_step(learner, batch_of(ragged_groups(), micro_tokens=32))
        found.append((metrics, gradients(learner), flat(masters(learner))))
    assert torch.equal(found[0][1], found[1][1]), f"gradients are {apart(found[0][1], found[1][1]):.1e} apart"
    assert torch.equal(found[0][2], found[1][2])
    assert found[0][0] == found[1][0]


def test_masters_move_as_float32_weights_on_a_cpu_do() -> None:
    rough = tiny_policy()
    exact = learner_of(tiny_policy(), grpo(**FULL), temperature=0.6, lr=1e-5, grad_clip=0)
    precise = lowered(rough)
    on_gpu(rough)
    learner = learner_of(
        rough, grpo(**FULL), temperature=0.6, lr=1e-5, grad_clip=0, masters={p: m.cuda() for p, m in precise.items()}
    )
    starts = flat(masters(exact)), flat(masters(learner))
    assert torch.equal(*starts)  # the masters are what was rounded, not what was left of it
    expected = one_step(exact, batch_of(ragged_groups(), micro_tokens=32))
    found = one_step(learner, batch_of(ragged_groups(), micro_tokens=32))
    slopes = [flat([m.grad.float().cpu() for m in each.optimizer.masters if m.grad is not None]) for each in (exact, learner)]  # fmt: skip # noqa: E501
    print(f"gradients are {apart(slopes[1], slopes[0]):.1e} apart, grad_norm {found['grad_norm']:.4g}")
    assert apart(slopes[1], slopes[0]) < 0.1  # bfloat16 forward and backward
    assert found["grad_norm"] == pytest.approx(expected["grad_norm"], rel=0.05)
    moves = [flat(masters(each)) - start for each, start in zip((exact, learner), starts, strict=True)]
    # AdamW's first step is lr · sign(gradient): what is small against bfloat16's rounding may turn.
    assert float(((moves[0] > 0) == (moves[1] > 0)).double().mean()) > 0.9
    assert found["update_norm"] == pytest.approx(expected["update_norm"], rel=0.02)


def test_the_working_copy_is_the_rounded_masters_at_the_same_address() -> None:
    rough = tiny_policy()
    precise = lowered(rough)
    on_gpu(rough)
    learner = learner_of(rough, grpo(**FULL), lr=1e-6, masters={p: m.cuda() for p, m in precise.items()})
    places = [p.data_ptr() for p in learner.parameters]
    before = [p.detach().clone() for p in learner.parameters], masters(learner)
    one_step(learner, batch_of(ragged_groups()))
    assert [p.data_ptr() for p in learner.parameters] == places  # recorded decode steps read these places
    for parameter, master in zip(learner.parameters, learner.optimizer.masters, strict=True):
        assert parameter.dtype == torch.bfloat16
        assert torch.equal(parameter, master.to(torch.bfloat16))
    moved = [
        float((flat(a).cpu() != flat(b).cpu()).double().mean())
        for a, b in zip(before, ([p.detach() for p in learner.parameters], masters(learner)), strict=True)
    ]
    print(f"at lr 1e-6 a step moves {moved[1]:.1%} of the masters and {moved[0]:.1%} of the working copy")
    assert moved[1] > 0.5 > moved[0]


@pytest.mark.parametrize("variant", [False, True], ids=["float32", "masters"])
def test_three_and_three_steps_are_six_to_the_bit(
    tmp_path: Path, variant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_cuda(**options: Any) -> Policy:
        return on_gpu(tiny_policy(**options))

    def lowered_there(policy: Policy) -> dict[Any, Tensor]:
        return {p: m.cuda() for p, m in lowered(policy).items()}

    monkeypatch.setattr(runs, "tiny_policy", on_cuda)
    monkeypatch.setattr(runs, "lowered", lowered_there)
    straight, broken = runs.new_run(tmp_path / "straight"), runs.new_run(tmp_path / "broken")
    parts = runs.trained(straight, steps=6, save_at=(3, 6), masters=variant)
    runs.trained(broken, steps=3, save_at=(3,), masters=variant)
    again = RunFolder(broken.path)
    again.start_attempt()
    resumed = runs.trained(again, steps=6, save_at=(3, 6), masters=variant)
    runs.assert_equal_runs(straight, parts, broken, resumed, 6)
    assert all(row["grad_norm"] > 1e-3 for row in broken.metrics())


def test_memory_that_runs_out_in_a_step_is_tried_again_with_smaller_parts(tmp_path: Path) -> None:
    policy = on_gpu(tiny_policy())
    plain = learner_of(Policy(**{**vars(policy), "model": copy.deepcopy(policy.model)}), grpo(**FULL))
    learner, tried, said = learner_of(policy, grpo(**FULL)), list[int](), list[str]()
    room = Room(runs.new_run(tmp_path), learner, 64, said.append)

    def attempt(micro_tokens: int) -> dict[str, float]:
        tried.append(micro_tokens)
        calls = [0]

        def check() -> None:
            calls[0] += 1
            if micro_tokens == 64 and calls[0] == 4:  # in the middle: some gradients are there already
                torch.empty(1 << 45, dtype=torch.uint8, device="cuda")

        learner.check = check
        return one_step(learner, batch_of(ragged_groups(), micro_tokens=micro_tokens))

    found = room.learn(0, attempt)
    assert tried == [64, 16]
    assert "memory ran out" in said[0]
    expected = one_step(plain, batch_of(ragged_groups(), micro_tokens=16))
    assert found["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-5)
    assert apart(flat(masters(learner)), flat(masters(plain))) < 1e-6
