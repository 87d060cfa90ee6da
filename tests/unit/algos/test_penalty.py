"""The KL estimators: values and slopes by hand, clamping, and whose gradient they have in expectation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from oneshot.algos.penalty import KL, KLS, k2, k3


def value_and_slope(estimator: KL, d: float) -> tuple[float, float]:
    """Value at d = reference − log p, and its derivative with respect to log p."""
    logp = torch.tensor([[-3.0]], dtype=torch.float64, requires_grad=True)
    value = estimator(logp, torch.tensor([[-3.0 + d]], dtype=torch.float64))
    (slope,) = torch.autograd.grad(value.sum(), logp)
    return float(value.detach()), float(slope)


@pytest.mark.parametrize(
    ("estimator", "d", "value", "slope"),
    [
        (k3, 0.0, 0.0, 0.0),
        (k3, math.log(2), 1 - math.log(2), -1.0),  # 2 − ln 2 − 1; slope 1 − e^d
        (k3, -math.log(2), math.log(2) - 0.5, 0.5),  # ½ + ln 2 − 1
        (k3, 1.0, math.e - 2, 1 - math.e),
        (k2, 0.0, 0.0, 0.0),
        (k2, 1.5, 1.125, -1.5),
        (k2, -2.0, 2.0, 2.0),
    ],
)
def test_by_hand(estimator: KL, d: float, value: float, slope: float) -> None:
    assert value_and_slope(estimator, d) == pytest.approx((value, slope), abs=1e-12)


@pytest.mark.parametrize("estimator", [k3, k2])
@pytest.mark.parametrize("d", [3.0 + 20, -20.5, 700.0, -700.0, 1e30, math.inf, -math.inf])
def test_clamped_tokens_have_the_limit_and_no_gradient(estimator: KL, d: float) -> None:
    assert value_and_slope(estimator, d) == (10.0, 0.0)


def test_the_value_clamp_of_k3_begins_where_the_value_passes_ten() -> None:
    below, above = value_and_slope(k3, 2.6), value_and_slope(k3, 2.7)
    assert below == pytest.approx((math.exp(2.6) - 3.6, 1 - math.exp(2.6)))
    assert above == (10.0, 0.0)


def expected_gradient(estimator: KL, z_V: Tensor, reference_V: Tensor) -> Tensor:
    """Gradient in the logits of E_{a~π}[estimator(log π(a), log ref(a))], the samples held fixed: by enumeration."""
    logits_V = z_V.clone().requires_grad_()
    logp_V = logits_V.log_softmax(0)
    loss = (logp_V.detach().exp() * estimator(logp_V, reference_V)).sum()
    (gradient_V,) = torch.autograd.grad(loss, logits_V)
    return gradient_V


def divergence_gradient(z_V: Tensor, reference_V: Tensor, *, forward: bool) -> Tensor:
    """Gradient in the logits of KL(reference ‖ π) if `forward`, else of KL(π ‖ reference)."""
    logits_V = z_V.clone().requires_grad_()
    logp_V = logits_V.log_softmax(0)
    p_V = reference_V.exp() if forward else logp_V.exp()
    difference_V = reference_V - logp_V if forward else logp_V - reference_V
    (gradient_V,) = torch.autograd.grad((p_V * difference_V).sum(), logits_V)
    return gradient_V


@pytest.fixture
def five_way() -> tuple[Tensor, Tensor]:
    z_V = torch.tensor([0.3, -1.2, 0.8, 0.0, 1.1], dtype=torch.float64)
    other_V = torch.tensor([-0.4, 0.6, 0.1, 1.3, -0.9], dtype=torch.float64)
    return z_V, other_V.log_softmax(0)


def test_k3_descends_the_divergence_from_the_reference(five_way: tuple[Tensor, Tensor]) -> None:
    z_V, reference_V = five_way
    expected_V = divergence_gradient(z_V, reference_V, forward=True)
    torch.testing.assert_close(expected_gradient(k3, z_V, reference_V), expected_V, atol=1e-14, rtol=1e-12)


def test_k2_descends_the_divergence_to_the_reference(five_way: tuple[Tensor, Tensor]) -> None:
    z_V, reference_V = five_way
    expected_V = divergence_gradient(z_V, reference_V, forward=False)
    torch.testing.assert_close(expected_gradient(k2, z_V, reference_V), expected_V, atol=1e-14, rtol=1e-12)


def test_the_two_divergences_differ_here_and_k1_would_do_nothing(five_way: tuple[Tensor, Tensor]) -> None:
    """The two tests above can tell the estimators apart; k1 as a loss has expected gradient zero."""
    z_V, reference_V = five_way
    ahead_V, back_V = (divergence_gradient(z_V, reference_V, forward=forward) for forward in (True, False))
    assert float((ahead_V - back_V).norm()) > 0.1

    def k1(logp_V: Tensor, reference_V: Tensor) -> Tensor:
        return logp_V - reference_V

    assert float(expected_gradient(k1, z_V, reference_V).norm()) < 1e-14


@pytest.mark.parametrize("estimator", [k3, k2])
def test_both_are_never_negative(estimator: KL) -> None:
    d_BT = torch.linspace(-25, 25, 2001, dtype=torch.float64)[None]
    assert 0.0 <= float(estimator(torch.zeros_like(d_BT), d_BT).min()) < 1e-12


def test_names() -> None:
    assert KLS.names() == ["k2", "k3"]
    assert KLS.build("k3") is k3
    assert KLS.build("k2") is k2
