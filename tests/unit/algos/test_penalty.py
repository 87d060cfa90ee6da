"""The KL estimators: values and slopes by hand, clamping, and whose gradient they have in expectation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from oneshot.algos.penalty import KL, KLS, k1, k2, k3, rho_k3
from oneshot.errors import UsageError


def at(estimator: KL, d: float, log_ratio: float = 0.0) -> tuple[float, float, bool]:
    """Value at d = reference − log p and ρ = e^`log_ratio`, and its derivative with respect to log p."""
    logp = torch.tensor([[-3.0]], dtype=torch.float64, requires_grad=True)
    reference, old = (torch.tensor([[-3.0 + shift]], dtype=torch.float64) for shift in (d, -log_ratio))
    value, clamped = estimator(logp, reference, old)
    (slope,) = torch.autograd.grad(value.sum() + 0 * logp.sum(), logp)
    assert clamped.dtype == torch.bool
    return float(value.detach()), float(slope), bool(clamped)


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
        (rho_k3, 0.0, 0.0, 0.0),
        (rho_k3, math.log(2), 1 - math.log(2), -math.log(2)),  # slope k3 + 1 − e^d = −d
        (rho_k3, -1.0, math.exp(-1), 1.0),
    ],
)
def test_by_hand(estimator: KL, d: float, value: float, slope: float) -> None:
    assert at(estimator, d) == (pytest.approx(value, abs=1e-12), pytest.approx(slope, abs=1e-12), False)


def test_rho_scales_value_and_slope() -> None:
    assert at(rho_k3, -1.0, math.log(3)) == (pytest.approx(3 * math.exp(-1)), pytest.approx(3.0), False)
    assert at(rho_k3, 1.0, math.log(0.5)) == (pytest.approx((math.e - 2) / 2), pytest.approx(-0.5), False)


@pytest.mark.parametrize("estimator", [k3, k2, rho_k3])
@pytest.mark.parametrize("d", [3.0 + 20, -20.5, 700.0, -700.0, 1e30, math.inf, -math.inf])
def test_clamped_tokens_have_the_limit_and_no_gradient(estimator: KL, d: float) -> None:
    assert at(estimator, d) == (10.0, 0.0, True)


@pytest.mark.parametrize("log_ratio", [20.5, 700.0, math.inf, -20.5, -math.inf])
@pytest.mark.parametrize("d", [0.0, 1e-9, 1.0, 30.0])
def test_a_ratio_out_of_bounds_gives_rho_k3_no_gradient(d: float, log_ratio: float) -> None:
    value, slope, clamped = at(rho_k3, d, log_ratio)
    assert 0 <= value <= 10
    assert (slope, clamped) == (0.0, True)


def test_the_value_clamp_of_k3_begins_where_the_value_passes_ten() -> None:
    assert at(k3, 2.6) == (pytest.approx(math.exp(2.6) - 3.6), pytest.approx(1 - math.exp(2.6)), False)
    assert at(k3, 2.7) == (10.0, 0.0, True)


def expected_gradient(estimator: KL, z_V: Tensor, reference_V: Tensor) -> Tensor:
    """Gradient in the logits of E_{a~π}[estimator(log π(a), log ref(a))], the samples held fixed: by enumeration."""
    logits_V = z_V.clone().requires_grad_()
    logp_V = logits_V.log_softmax(0)
    loss = (logp_V.detach().exp() * estimator(logp_V, reference_V, logp_V.detach())[0]).sum()
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


def test_rho_k3_descends_the_divergence_to_the_reference(five_way: tuple[Tensor, Tensor]) -> None:
    z_V, reference_V = five_way
    expected_V = divergence_gradient(z_V, reference_V, forward=False)
    torch.testing.assert_close(expected_gradient(rho_k3, z_V, reference_V), expected_V, atol=1e-14, rtol=1e-12)


def test_rho_k3_does_so_on_samples_of_an_older_policy_too(five_way: tuple[Tensor, Tensor]) -> None:
    z_V, reference_V = five_way
    old_V = torch.tensor([0.5, 0.1, -0.3, 0.2, 0.9], dtype=torch.float64).log_softmax(0)
    logits_V = z_V.clone().requires_grad_()
    loss = (old_V.exp() * rho_k3(logits_V.log_softmax(0), reference_V, old_V)[0]).sum()
    (gradient_V,) = torch.autograd.grad(loss, logits_V)
    expected_V = divergence_gradient(z_V, reference_V, forward=False)
    torch.testing.assert_close(gradient_V, expected_V, atol=1e-14, rtol=1e-12)


def test_the_two_divergences_differ_here_and_k1_would_do_nothing(five_way: tuple[Tensor, Tensor]) -> None:
    """The two tests above can tell the estimators apart; k1 as a loss has expected gradient zero."""
    z_V, reference_V = five_way
    ahead_V, back_V = (divergence_gradient(z_V, reference_V, forward=forward) for forward in (True, False))
    assert float((ahead_V - back_V).norm()) > 0.1

    def loss_of_k1(logp_V: Tensor, reference_V: Tensor, old_V: Tensor) -> tuple[Tensor, Tensor]:
        return k1(logp_V, reference_V), torch.zeros_like(logp_V, dtype=torch.bool)

    assert float(expected_gradient(loss_of_k1, z_V, reference_V).norm()) < 1e-14


def test_k1_is_in_expectation_the_divergence_and_bounded(five_way: tuple[Tensor, Tensor]) -> None:
    logp_V, reference_V = five_way[0].log_softmax(0), five_way[1]
    divergence = (logp_V.exp() * (logp_V - reference_V)).sum()
    torch.testing.assert_close((logp_V.exp() * k1(logp_V, reference_V)).sum(), divergence)
    far = torch.tensor([math.inf, -math.inf, 3.0])
    assert k1(torch.tensor([0.0, 0.0, 1.0]), far).tolist() == [-10.0, 10.0, -2.0]


@pytest.mark.parametrize("estimator", [k3, k2])
def test_both_are_never_negative(estimator: KL) -> None:
    d_BT = torch.linspace(-25, 25, 2001, dtype=torch.float64)[None]
    assert 0.0 <= float(estimator(torch.zeros_like(d_BT), d_BT, torch.zeros_like(d_BT))[0].min()) < 1e-12


def test_names() -> None:
    assert KLS.names() == ["k1", "k2", "k3", "rho_k3"]
    assert [KLS.build(name) for name in ("k2", "k3", "rho_k3")] == [k2, k3, rho_k3]


def test_k1_in_the_loss_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="expected gradient of zero") as caught:
        KLS.build("k1")
    assert caught.value.code == "E105"
