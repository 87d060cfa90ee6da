"""Chunked log-probability and entropy against plain log_softmax and autograd."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from oneshot.model import logprobs
from oneshot.model.logprobs import logprob_and_entropy
from tests.parts import apart

N, V, H = 11, 17, 5


def inputs(dtype: torch.dtype = torch.float64, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    hidden_NH = scale * torch.randn(N, H, generator=generator, dtype=torch.float64)
    weight_VH = torch.randn(V, H, generator=generator, dtype=torch.float64)
    target_N = torch.randint(V, (N,), generator=generator)
    return hidden_NH.to(dtype).requires_grad_(), weight_VH.to(dtype).requires_grad_(), target_N


def naive(hidden_NH: Tensor, weight_VH: Tensor, target_N: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    def entropy(logp_NV: Tensor) -> Tensor:
        return -(logp_NV.exp() * logp_NV).sum(-1)

    logits_NV = hidden_NH @ weight_VH.T
    logp_NV = (logits_NV / temperature).log_softmax(-1)
    logp_N = logp_NV.gather(1, target_N[:, None])[:, 0]
    return logp_N, entropy(logp_NV), entropy(logits_NV.log_softmax(-1))


def slopes(function: object, temperature: float, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Values, then gradients of an uneven mixture of log p and entropy."""
    assert callable(function)
    hidden_NH, weight_VH, target_N = inputs(dtype)
    logp_N, entropy_N, entropy1_N = function(hidden_NH, weight_VH, target_N, temperature)
    rising_N = torch.linspace(-1, 2, N, dtype=logp_N.dtype)
    loss = (rising_N * logp_N).sum() + (rising_N.flip(0).square() * entropy_N).sum()
    return [logp_N, entropy_N, entropy1_N, *torch.autograd.grad(loss, (hidden_NH, weight_VH))]


@pytest.mark.parametrize("chunk", [1, 4, N, 256])
@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
def test_values_and_gradients(monkeypatch: pytest.MonkeyPatch, temperature: float, chunk: int) -> None:
    monkeypatch.setattr(logprobs, "CHUNK", chunk)
    for found, expected in zip(slopes(logprob_and_entropy, temperature), slopes(naive, temperature), strict=True):
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-11)


def test_finite_differences() -> None:
    hidden_NH, weight_VH, target_N = inputs()

    def both(hidden_NH: Tensor, weight_VH: Tensor) -> tuple[Tensor, Tensor]:
        return logprob_and_entropy(hidden_NH, weight_VH, target_N, 0.6)[:2]

    assert torch.autograd.gradcheck(both, (hidden_NH, weight_VH))


@pytest.mark.parametrize("alone", [0, 1])
def test_one_of_the_two_outputs_alone(alone: int) -> None:
    hidden_NH, weight_VH, target_N = inputs()
    found = torch.autograd.grad(logprob_and_entropy(hidden_NH, weight_VH, target_N, 0.6)[alone].sum(), hidden_NH)
    expected = torch.autograd.grad(naive(hidden_NH, weight_VH, target_N, 0.6)[alone].sum(), hidden_NH)
    torch.testing.assert_close(found[0], expected[0])


def test_float32_and_bfloat16_accumulate_in_float32() -> None:
    exact = slopes(naive, 0.6)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.06)):
        for found, expected, kind in zip(
            slopes(logprob_and_entropy, 0.6, dtype), exact, [torch.float32] * 3 + [dtype] * 2, strict=True
        ):
            assert found.dtype == kind
            assert apart(found.double(), expected) < tolerance


def test_a_uniform_distribution_has_entropy_log_v() -> None:
    for temperature in (0.6, 1.0):
        logp_N, entropy_N, entropy1_N = logprob_and_entropy(
            torch.zeros(3, H), torch.randn(V, H), torch.tensor([0, 5, 16]), temperature
        )
        torch.testing.assert_close(logp_N, torch.full((3,), -math.log(V)))
        torch.testing.assert_close(entropy_N, torch.full((3,), math.log(V)))
        torch.testing.assert_close(entropy1_N, torch.full((3,), math.log(V)))


def test_by_hand() -> None:
    """Logits ln 1, ln 3 at T = ½ are odds 1 : 9; at T = 1 they are 1 : 3."""
    hidden, weight = torch.tensor([[1.0]]), torch.tensor([[0.0], [math.log(3)]])
    logp, entropy, entropy1 = (float(t) for t in logprob_and_entropy(hidden, weight, torch.tensor([0]), 0.5))
    assert logp == pytest.approx(-math.log(10), rel=1e-6)
    assert entropy == pytest.approx(math.log(10) - 0.9 * math.log(9), rel=1e-6)
    assert entropy1 == pytest.approx(math.log(4) - 0.75 * math.log(3), rel=1e-6)


def test_a_tied_matrix_gets_both_gradients() -> None:
    """With tied embeddings the weight reaches the loss as the input table and as the output matrix."""
    _, weight_VH, target_N = inputs()
    words_N = target_N.roll(1)

    def loss(function: object, weight_VH: Tensor) -> Tensor:
        assert callable(function)
        logp_N, entropy_N, _ = function(weight_VH[words_N].tanh(), weight_VH, target_N, 0.6)
        total: Tensor = logp_N.sum() + 0.1 * entropy_N.sum()
        return total

    found, expected = (torch.autograd.grad(loss(f, weight_VH), weight_VH)[0] for f in (logprob_and_entropy, naive))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-11)
    once = weight_VH.detach()
    output_only = torch.autograd.grad(naive(once[words_N].tanh(), weight_VH, target_N, 0.6)[0].sum(), weight_VH)[0]
    assert float((found - output_only).norm()) > 0.1


def test_extreme_logits_stay_finite() -> None:
    hidden_NH, weight_VH, target_N = inputs(torch.float32, scale=1e4)
    logp_N, entropy_N, _ = logprob_and_entropy(hidden_NH, weight_VH, target_N, 0.6)
    gradients = torch.autograd.grad(logp_N.sum() + entropy_N.sum(), (hidden_NH, weight_VH))
    for values in (logp_N, entropy_N, *gradients):
        assert bool(values.isfinite().all())


def test_entropy_at_temperature_one_carries_no_gradient() -> None:
    assert not logprob_and_entropy(*inputs(), 0.6)[2].requires_grad


@pytest.mark.parametrize("cached", [1, 3 * V, 1 << 20])
def test_how_many_rows_are_worked_on_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch, cached: int) -> None:
    expected = slopes(logprob_and_entropy, 0.6)
    monkeypatch.setattr(logprobs, "CACHED", cached)
    for found, before in zip(slopes(logprob_and_entropy, 0.6), expected, strict=True):
        torch.testing.assert_close(found, before, atol=1e-14, rtol=1e-13)


def test_a_frozen_head_or_frozen_states_get_no_gradient() -> None:
    for frozen in (0, 1):
        hidden_NH, weight_VH, target_N = inputs()
        both = [hidden_NH, weight_VH]
        both[frozen].requires_grad_(False)
        logp_N, entropy_N, _ = logprob_and_entropy(*both, target_N, 0.6)
        (logp_N.sum() + entropy_N.sum()).backward()
        assert both[frozen].grad is None
        expected = naive(*both, target_N, 0.6)
        (slope,) = torch.autograd.grad(expected[0].sum() + expected[1].sum(), both[1 - frozen])
        torch.testing.assert_close(both[1 - frozen].grad, slope)


def test_no_tokens_at_all() -> None:
    hidden_NH, weight_VH, _ = inputs()
    found = logprob_and_entropy(hidden_NH[:0], weight_VH, torch.zeros(0, dtype=torch.long), 1.0)
    assert [len(values) for values in found] == [0, 0, 0]
