"""Surrogates: four hand-worked sides of each clip, whole-sequence ratios, and REINFORCE where ρ is 1."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from oneshot.algos.surrogate import (
    Limited,
    Surrogate,
    cispo,
    clipped,
    importance,
    per_sequence,
    reinforce,
    sequence_ratio,
)
from oneshot.errors import UsageError

MASK = torch.tensor([[True, True, True], [True, False, False]])
OLD = torch.tensor([[-1.0, -2.0, -0.5], [-3.0, 0.0, 0.0]], dtype=torch.float64)
LIMITED = [clipped(0.2, 0.2), per_sequence(0.2, 0.2), sequence_ratio(0.2, 0.2), cispo(high=0.2)]
ALL: list[Surrogate] = [*LIMITED, reinforce]


def value_and_slope(ratio: float, advantage: float, surrogate: Surrogate | None = None) -> tuple[float, float]:
    """The loss of one token and its derivative with respect to log p."""
    logp = torch.tensor([[math.log(0.3) + math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    old, mask = torch.tensor([[math.log(0.3)]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.bool)
    loss = (surrogate or clipped(0.2, 0.2))(logp, old, torch.tensor([[advantage]], dtype=torch.float64), mask)
    (slope,) = torch.autograd.grad(loss.sum(), logp)
    return float(loss.detach()), float(slope)


@pytest.mark.parametrize("surrogate", LIMITED[:3])
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
def test_sides_of_the_clip(surrogate: Surrogate, ratio: float, advantage: float, loss: float, slope: float) -> None:
    """For one token a response is its token, so all three are PPO's surrogate."""
    assert value_and_slope(ratio, advantage, surrogate) == pytest.approx((loss, slope), abs=1e-12)


def test_the_two_limits_are_independent() -> None:
    assert value_and_slope(1.25, 1.0, clipped(0.2, 0.28)) == pytest.approx((-1.25, -1.25))
    assert value_and_slope(1.5, 1.0, clipped(0.2, 0.28)) == pytest.approx((-1.28, 0.0))
    assert value_and_slope(0.75, -1.0, clipped(0.3, 0.2)) == pytest.approx((0.75, 0.75))


def test_cispo_shrinks_a_gradient_and_removes_none() -> None:
    log_p = math.log(0.3)
    for ratio, advantage, weight in ((1.5, 1.0, 1.2), (1.5, -1.0, 1.2), (0.5, 1.0, 0.5), (0.01, -2.0, 0.01)):
        expected = (-weight * advantage * (log_p + math.log(ratio)), -weight * advantage)
        assert value_and_slope(ratio, advantage, cispo(high=0.2)) == pytest.approx(expected)


def both(surrogate: Surrogate, logp_BT: Tensor, advantage_BT: Tensor) -> tuple[Tensor, Tensor]:
    leaf = logp_BT.clone().requires_grad_()
    loss_BT = torch.where(MASK, surrogate(leaf, OLD, advantage_BT, MASK), 0.0)
    return loss_BT.detach(), torch.autograd.grad(loss_BT.sum(), leaf)[0]


ADVANTAGE = torch.tensor([[2.0], [-1.0]], dtype=torch.float64).expand(2, 3)
RATIOS = torch.tensor([[1.1, 1.2, 0.9], [0.9, 7.0, 7.0]], dtype=torch.float64)


def test_gspo_by_hand() -> None:
    """exp(mean log ratio): (1.1·1.2·.9)^⅓ on all three tokens; .9 on the single one."""
    mean = (1.1 * 1.2 * 0.9) ** (1 / 3)
    loss_BT, slope_BT = both(per_sequence(0.2, 0.2), OLD + RATIOS.log(), ADVANTAGE)
    expected = torch.tensor([[-2 * mean] * 3, [0.9, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(loss_BT, expected)
    torch.testing.assert_close(slope_BT, expected)  # ρA per token: the gradient goes straight through


def test_rloo_by_hand() -> None:
    """The product 1.1·1.2·.9 = 1.188; its loss is shared by three tokens, its gradient goes to each whole."""
    loss_BT, slope_BT = both(sequence_ratio(0.2, 0.2), OLD + RATIOS.log(), ADVANTAGE)
    expected = torch.tensor([[-2 * 1.188] * 3, [0.9, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(loss_BT, expected / torch.tensor([[3.0], [1.0]], dtype=torch.float64))
    torch.testing.assert_close(slope_BT, expected)
    clipped_BT, flat_BT = both(sequence_ratio(0.2, 0.1), OLD + RATIOS.log(), ADVANTAGE)
    assert float(clipped_BT[0].sum()) == pytest.approx(-2.2)
    assert not flat_BT[0].any()


@pytest.mark.parametrize("kind", [per_sequence, sequence_ratio])
def test_straight_through_is_the_gradient_of_the_responses_loss(kind: type[Limited]) -> None:
    """Against autograd through the response's own ratio, unclipped and clipped."""
    for high in (0.2, 0.01):
        leaf = (OLD + RATIOS.log()).requires_grad_()
        length_B = MASK.sum(1)
        total_B = torch.where(MASK, leaf - OLD, 0.0).sum(1)
        ratio_B = (total_B / length_B if kind is per_sequence else total_B).exp()
        objective_B = torch.minimum(ratio_B * ADVANTAGE[:, 0], ratio_B.clamp(0.8, 1 + high) * ADVANTAGE[:, 0])
        (expected_BT,) = torch.autograd.grad(-objective_B.sum(), leaf)
        _, slope_BT = both(kind(0.2, high), leaf.detach(), ADVANTAGE)  # type: ignore[arg-type]
        share_B1 = 1 / length_B[:, None] if kind is per_sequence else 1.0
        torch.testing.assert_close(slope_BT * share_B1, expected_BT)


@pytest.mark.parametrize("surrogate", ALL)
def test_at_ratio_one_the_gradient_is_reinforces(surrogate: Surrogate) -> None:
    generator = torch.Generator().manual_seed(0)
    advantage_BT = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    _, slope_BT = both(surrogate, OLD, advantage_BT)
    torch.testing.assert_close(slope_BT, torch.where(MASK, -advantage_BT, 0.0))


@pytest.mark.parametrize("surrogate", ALL)
@pytest.mark.parametrize("shift", [800.0, -800.0])
def test_a_ratio_that_overflows_gives_no_nan(surrogate: Surrogate, shift: float) -> None:
    for advantage in (0.0, 1.0, -1.0):
        for found in both(surrogate, OLD.float() + shift, torch.full((2, 3), advantage)):
            assert bool(found.isfinite().all())


def test_sides_say_where_a_limit_acts() -> None:
    logp_BT = OLD + torch.tensor([[1.5, 0.5, 0.5], [1.5, 9.0, 9.0]], dtype=torch.float64).log()
    advantage_BT = torch.tensor([[1.0, 1.0, -1.0], [-1.0, 1.0, 1.0]], dtype=torch.float64)
    low_BT, high_BT = clipped(0.2, 0.2).sides(logp_BT, OLD, advantage_BT, MASK)
    assert low_BT.tolist() == [[False, False, True], [False, False, False]]
    assert high_BT.tolist() == [[True, False, False], [False, False, False]]
    assert not cispo(high=0.2).sides(logp_BT, OLD, advantage_BT, MASK)[0].any()


def test_the_importance_weight_is_truncated_and_has_no_gradient() -> None:
    learner = torch.tensor([-1.0, -1.0, -1.0], requires_grad=True)
    weight = importance(learner, torch.tensor([-1.0, -1.0 - math.log(1.5), -9.0]), 2.0)
    assert weight.tolist() == pytest.approx([1.0, 1.5, 2.0])
    assert not weight.requires_grad


def test_surrogates_are_values_and_refuse_negative_limits() -> None:
    assert clipped(0.2, 0.3) == clipped(0.2, 0.3) != clipped(0.2, 0.2)
    assert clipped(0.2, 0.3) != per_sequence(0.2, 0.3)
    for wrong in (-0.1, float("nan")):
        with pytest.raises(UsageError, match="must be at least 0") as caught:
            clipped(0.2, wrong)
        assert caught.value.code == "E103"
