"""The critic's loss by hand, its gradient by differences, and what it does not look at."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from oneshot.algos.credit import gae, less_kl, pooled, returns_of
from oneshot.algos.values import ValueFunction, explained_variance, value_loss
from oneshot.algos.weighting import token_mean
from oneshot.algos.zoo import ALGORITHMS
from oneshot.errors import UsageError
from tests import toy

WEIGHT = token_mean(toy.MASK, toy.LIMIT).double()
GENERATOR = torch.Generator().manual_seed(3)
OLD, RETURNS, VALUES = torch.randn(3, *toy.MASK.shape, generator=GENERATOR, dtype=torch.float64).unbind()


def test_the_limit_by_hand() -> None:
    """V_old = 0, limit ½. Errors ½(V−R)², and with V cut to ±½: the larger counts."""
    values = torch.tensor([[0.25, 0.75, 0.75, 1.5]], dtype=torch.float64)
    returns = torch.tensor([[1.0, 1.0, 0.0, 1.0]], dtype=torch.float64)
    mask = torch.ones_like(values, dtype=torch.bool)
    loss, clipped = value_loss(values, torch.zeros_like(values), returns, mask, torch.ones_like(values) / 4, 0.5)
    # .75² unlimited · (½ − 1)² over .25² · .75² over ½² · equal, ½²
    assert float(loss) == pytest.approx((0.5625 + 0.25 + 0.5625 + 0.25) / 2 / 4)
    assert float(clipped) == 0.25  # only where the limit makes the loss larger
    free, none = value_loss(values, torch.zeros_like(values), returns, mask, torch.ones_like(values) / 4, 0.0)
    assert float(free) == pytest.approx((0.5625 + 0.0625 + 0.5625 + 0.25) / 2 / 4)
    assert float(none) == 0.0


def test_a_value_that_has_moved_far_enough_towards_its_return_moves_no_further() -> None:
    values = torch.tensor([[0.75, 0.75]], dtype=torch.float64, requires_grad=True)
    returns, weight = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.full((1, 2), 0.5, dtype=torch.float64)
    value_loss(values, torch.zeros(1, 2), returns, torch.ones(1, 2, dtype=torch.bool), weight, 0.5)[0].backward()
    assert values.grad is not None
    assert values.grad.tolist() == [[0.0, 0.375]]  # ½ · (V − R) where the limit does not act


@pytest.mark.parametrize("clip", [0.0, 0.3, 1.0])
def test_gradient_by_differences(clip: float) -> None:
    leaf = VALUES.clone().requires_grad_()

    def loss(values_BT: Tensor) -> Tensor:
        return value_loss(values_BT, OLD, RETURNS, toy.MASK, WEIGHT, clip)[0]

    (found_BT,) = torch.autograd.grad(loss(leaf), leaf)
    assert not found_BT[~toy.MASK].any()
    step = 1e-6
    for place in toy.MASK.nonzero().tolist():
        up, down = VALUES.clone(), VALUES.clone()
        up[tuple(place)] += step
        down[tuple(place)] -= step
        slope = float(loss(up) - loss(down)) / (2 * step)
        assert float(found_BT[tuple(place)]) == pytest.approx(slope, abs=1e-8)


def test_at_the_first_step_the_limit_does_not_act() -> None:
    limited, clipped = value_loss(OLD, OLD, RETURNS, toy.MASK, WEIGHT, 1e-9)
    assert float(clipped) == 0.0
    torch.testing.assert_close(limited, value_loss(OLD, OLD, RETURNS, toy.MASK, WEIGHT, 0.0)[0])


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 1e300])
def test_masked_places_change_nothing(poison: float) -> None:
    clean, dirty = (
        [tensor.masked_fill(~toy.MASK, value) for tensor in (VALUES, OLD, RETURNS)] for value in (0.0, poison)
    )
    results = []
    for values, old, returns in (clean, dirty):
        leaf = values.clone().requires_grad_()
        loss, clipped = value_loss(leaf, old, returns, toy.MASK, WEIGHT, 0.3)
        (gradient,) = torch.autograd.grad(loss, leaf)
        explained = explained_variance(values, returns, toy.MASK)
        assert explained is not None
        results.append([loss.detach(), clipped, gradient, torch.tensor(explained)])
    assert all(map(torch.equal, *results))


def test_explained_variance_by_hand() -> None:
    """Returns 0, 2, 4; values 1, 2, 3 leave −1, 0, 1: a quarter of the variance. A constant explains nothing."""
    returns, mask = torch.tensor([[0.0, 2.0, 4.0, 9.0]]), torch.tensor([[True, True, True, False]])
    assert explained_variance(torch.tensor([[1.0, 2.0, 3.0, 0.0]]), returns, mask) == pytest.approx(0.75)
    assert explained_variance(returns, returns, mask) == 1.0
    assert explained_variance(torch.full((1, 4), 7.0), returns, mask) == 0.0
    assert explained_variance(-returns, returns, mask) == pytest.approx(-3.0)
    assert explained_variance(returns, torch.ones(1, 4), mask) is None


def test_returns_are_advantages_and_values_whatever_stands_around_gae() -> None:
    scored = toy.batch()
    assert scored.values_BT is not None
    plain = gae(0.9, 0.8, whitening=False)
    for credit, inner in ((gae(0.9, 0.8), plain), (pooled(gae(0.9, 0.8)), plain)):
        expected_BT = inner(scored) + torch.where(scored.mask_BT, scored.values_BT, 0.0)
        torch.testing.assert_close(returns_of(credit, scored), expected_BT)
    with_kl = returns_of(less_kl(gae(), 0.5), scored)
    assert not torch.allclose(with_kl, returns_of(gae(), scored))
    torch.testing.assert_close(returns_of(less_kl(gae(), 0.0), scored), returns_of(gae(), scored))


def test_with_gamma_and_lambda_one_the_return_is_the_reward() -> None:
    scored = toy.batch()
    expected_BT = torch.where(scored.mask_BT, scored.rewards_B[:, None], 0.0)
    torch.testing.assert_close(returns_of(gae(), scored), expected_BT)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"critic": "twin"}, "none of: auto, model, head"),
        ({"critic_lr": -1.0}, "critic_lr = -1 must be at least 0"),
        ({"value_clip": float("nan")}, "value_clip = nan"),
        ({"gamma": 1.5}, "gamma = 1.5 must be between 0 and 1"),
        ({"lam": -0.1}, "lam = -0.1 must be"),
    ],
)
def test_a_wrong_option(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        ALGORITHMS.build("ppo", options)
    assert caught.value.code == "E103"


def test_options_reach_the_critic() -> None:
    made = ALGORITHMS.build("ppo", {"critic": "model", "critic_lr": "2e-5", "value_clip": 0, "lam": 0.95, "floor": 0.1})
    assert made.critic == ValueFunction("model", 2e-5, 0.0)
    assert made.credit == gae(1.0, 0.95, floor=0.1)
