"""The clipped surrogate: REINFORCE at ρ = 1, and four hand-worked sides of the clip."""

from __future__ import annotations

import math

import pytest
import torch

from oneshot.algos.surrogate import clipped


def value_and_slope(ratio: float, advantage: float, low: float = 0.2, high: float = 0.2) -> tuple[float, float]:
    """The loss of one token and its derivative with respect to log p."""
    logp = torch.tensor([[math.log(0.3) + math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    old = torch.tensor([[math.log(0.3)]], dtype=torch.float64)
    loss = clipped(low, high)(logp, old, torch.tensor([[advantage]], dtype=torch.float64))
    (slope,) = torch.autograd.grad(loss.sum(), logp)
    return float(loss.detach()), float(slope)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.5, 1.0, -1.2, 0.0),  # already pushed up far enough
        (1.5, -1.0, 1.5, 1.5),  # went up although it is bad: not clipped
        (0.5, 1.0, -0.5, -0.5),  # went down although it is good: not clipped
        (0.5, -1.0, 0.8, 0.0),  # already pushed down far enough
        (1.1, 2.0, -2.2, -2.2),  # inside the region
    ],
)
def test_sides_of_the_clip(ratio: float, advantage: float, loss: float, slope: float) -> None:
    assert value_and_slope(ratio, advantage) == pytest.approx((loss, slope), abs=1e-12)


def test_the_two_limits_are_independent() -> None:
    assert value_and_slope(1.25, 1.0, low=0.2, high=0.28) == pytest.approx((-1.25, -1.25))
    assert value_and_slope(1.5, 1.0, low=0.2, high=0.28) == pytest.approx((-1.28, 0.0))
    assert value_and_slope(0.75, -1.0, low=0.3, high=0.2) == pytest.approx((0.75, 0.75))


def test_at_ratio_one_it_is_reinforce() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    advantage_BT = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    logp_BT = start.clone().requires_grad_()
    loss_BT = clipped(0.2, 0.2)(logp_BT, start, advantage_BT)
    (slope_BT,) = torch.autograd.grad(loss_BT.sum(), logp_BT)
    torch.testing.assert_close(loss_BT, -advantage_BT)
    torch.testing.assert_close(slope_BT, -advantage_BT)  # the gradient of −A·log p
