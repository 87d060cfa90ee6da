"""AdamW over one set of parameters: schedules by hand, and float32 masters behind bfloat16 weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from oneshot.train.optimizer import AdamWSettings, Optimizer
from tests.parts import batch_of, grpo, learner_of, lowered, one_step, ragged_groups, tiny_policy

BF16 = torch.bfloat16


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("constant", [0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3]),
        ("linear", [0.1, 0.2, 0.3, 0.25, 0.2, 0.15, 0.1]),
        ("cosine", [0.1, 0.2, 0.3, 0.2 + 0.1 * 2**-0.5, 0.2, 0.2 - 0.1 * 2**-0.5, 0.1]),
    ],
)
def test_warm_up_then_a_schedule_by_hand(shape: str, expected: list[float]) -> None:
    settings = AdamWSettings(lr=0.3, warmup=3, schedule=shape, lr_final=0.1, steps=7)
    assert [settings.rate(number) for number in range(7)] == pytest.approx(expected)
    assert settings.rate(20) == pytest.approx(expected[-1])  # a run that goes on stays at the end


@pytest.mark.parametrize("warmup", [0, 1])
def test_without_warm_up_the_first_step_has_the_whole_rate_and_the_last_the_final_one(warmup: int) -> None:
    settings = AdamWSettings(lr=0.3, warmup=warmup, schedule="linear", lr_final=0.0, steps=4)
    assert [settings.rate(number) for number in range(4)] == pytest.approx([0.3, 0.2, 0.1, 0.0])


def test_a_warm_up_as_long_as_the_run_ends_at_the_whole_rate() -> None:
    settings = AdamWSettings(lr=0.4, warmup=4, schedule="cosine", lr_final=0.0, steps=4)
    assert [settings.rate(number) for number in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_float32_weights_are_their_own_masters() -> None:
    weight = nn.Parameter(torch.ones(3))
    place = weight.data_ptr()
    optimizer = Optimizer([weight], AdamWSettings(lr=0.1))
    assert optimizer.masters[0] is weight
    with optimizer.accumulating():
        (weight * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert weight.grad is not None
    optimizer.step()
    with optimizer.precise():
        assert weight.data_ptr() == place
    assert optimizer.bytes == 12


def test_gradients_of_micro_batches_are_added_in_float32() -> None:
    """256 + 1 is 256 in bfloat16 and 257 in float32."""
    weight = nn.Parameter(torch.zeros(1, dtype=BF16))
    optimizer = Optimizer([weight], AdamWSettings(lr=0.1, grad_clip=0))
    for slope in (256.0, 1.0, 1.0):
        with optimizer.accumulating():
            (weight * slope).sum().backward()
        assert weight.grad is None  # freed at once
    (master,) = optimizer.masters
    assert master.grad is not None
    assert (master.grad.dtype, float(master.grad)) == (torch.float32, 258.0)
    assert optimizer.clip() == 258.0
    (weight * 3.0).sum().backward()
    assert float(master.grad) == 258.0  # the hooks are gone outside
    optimizer.zero()
    assert (weight.grad, master.grad) == (None, None)


def test_steps_too_small_for_bfloat16_add_up_in_the_masters() -> None:
    """At 1 the next bfloat16 numbers are 1/128 up and 1/256 down: a hundred steps of 1e-4 make two or three."""
    weight = nn.Parameter(torch.ones(1, dtype=BF16))
    pure = nn.Parameter(torch.ones(1, dtype=BF16))
    settings = {"lr": 1e-4, "weight_decay": 0.0}
    kept = Optimizer([weight], AdamWSettings(**settings))
    plain = Optimizer([pure], AdamWSettings(**settings, masters=False))
    for _ in range(100):
        for optimizer, parameter in ((kept, weight), (plain, pure)):
            optimizer.zero()
            with optimizer.accumulating():
                parameter.sum().backward()
            optimizer.step()
    assert kept.masters[0].item() == pytest.approx(0.99, abs=1e-4)
    assert weight.item() == 1 - 3 / 256  # the bfloat16 number nearest to .99
    assert plain.masters[0] is pure
    assert pure.item() == 1.0  # nothing has happened at all


def test_a_step_is_that_of_float32_weights_with_the_same_gradient() -> None:
    start, slopes = torch.randn(2, 50, generator=torch.Generator().manual_seed(0)).unbind()
    working, reference = nn.Parameter(start.to(BF16)), nn.Parameter(start.clone())
    given: dict[nn.Parameter, Tensor] = {working: start.clone()}
    settings = AdamWSettings(lr=1e-2, grad_clip=0.5)
    kept, expected = Optimizer([working], settings, masters=given), Optimizer([reference], settings)
    place = working.data_ptr()
    for _ in range(5):
        for optimizer, parameter in ((kept, working), (expected, reference)):
            optimizer.zero()
            with optimizer.accumulating():
                (parameter * slopes.to(BF16)).sum().backward()
        assert kept.clip() == expected.clip()
        assert kept.step() == expected.step() > 0
    assert torch.equal(kept.masters[0], reference)  # begun from what was given, not from what was rounded
    assert torch.equal(working, reference.detach().to(BF16))
    assert (working.dtype, working.data_ptr()) == (BF16, place)  # in place: the sampler sees it too


def test_inside_precise_the_parameters_are_the_masters() -> None:
    working = nn.Parameter(torch.ones(2, dtype=BF16))
    optimizer = Optimizer([working], AdamWSettings(lr=0.1))
    place = working.data_ptr()
    with optimizer.precise():
        assert working.dtype == torch.float32
        with torch.no_grad():
            working.copy_(torch.tensor([1.001, 2.001]))
    assert optimizer.masters[0].tolist() == pytest.approx([1.001, 2.001])
    assert (working.tolist(), working.dtype, working.data_ptr()) == ([1.0, 2.0], BF16, place)
    with optimizer.accumulating():  # gradients still find their master
        working.sum().backward()
    assert optimizer.masters[0].grad is not None
    with pytest.raises(RuntimeError), optimizer.precise():
        raise RuntimeError
    assert working.dtype == BF16


def test_a_still_optimizer_changes_nothing_and_has_no_moments() -> None:
    weight = nn.Parameter(torch.ones(1))
    optimizer = Optimizer([weight], AdamWSettings(lr=0.1))
    optimizer.still = True
    weight.sum().backward()
    assert optimizer.step() == 0.0
    assert weight.item() == 1.0
    assert not optimizer.adamw.state


def test_a_learner_with_masters_moves_them_and_the_sampler_s_weights_with_them() -> None:
    policy = tiny_policy()
    before = [p.detach().clone() for p in policy.model.parameters()]
    learner = learner_of(policy, grpo(kl=0.01), masters=lowered(policy), lr=1e-6)
    assert all(torch.equal(m, b) for m, b in zip(learner.optimizer.masters, before, strict=True))
    batch = batch_of(ragged_groups(), micro_tokens=24)
    assert len(batch.micro) > 1
    for _ in range(3):
        assert one_step(learner, batch)["update_norm"] > 0
    for parameter, master, start in zip(learner.parameters, learner.optimizer.masters, before, strict=True):
        assert parameter.dtype == BF16
        assert torch.equal(parameter, master.detach().to(BF16))
        assert not torch.equal(master, start)
    moved = sum(int((p != b.to(BF16)).sum()) for p, b in zip(learner.parameters, before, strict=True))
    assert moved < 0.2 * sum(p.numel() for p in learner.parameters)  # most bfloat16 weights are too coarse to move
    assert learner.reference is not None
    assert learner.reference.dtype == BF16
