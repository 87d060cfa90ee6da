"""Weights of a pair: by hand, where they do nothing, and that they stand outside everything else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from oneshot.algos.credit import (
    Credit,
    centred,
    gae,
    less_kl,
    needs_of,
    pooled,
    returns_of,
    spread_before_whitening,
    whitened,
    z_scored,
)
from oneshot.algos.pairs import paired
from oneshot.types import TokenBatch
from tests import toy

ONE_OF_8, SEVEN_OF_8 = (1, 0, 0, 0, 0, 0, 0, 0), (1, 1, 1, 1, 1, 1, 1, 0)
CREDITS: tuple[Credit, ...] = (z_scored, centred, whitened(), gae(), pooled(z_scored), less_kl(whitened(), 0.1))


def with_role(role: int, rewards: tuple[float, ...] = ONE_OF_8) -> TokenBatch:
    return replace(toy.batch(rewards), pair_B=torch.full((8,), role))


@pytest.mark.parametrize(
    ("role", "rewards", "success", "failure"),
    [
        (1, ONE_OF_8, 4.949734, -0.353552),  # w⁺ = 2 on q⁺
        (-1, SEVEN_OF_8, 0.353552, -7.424601),  # w⁻ = 3 on q⁻
        (1, SEVEN_OF_8, 0.707104, -2.474867),  # a failure on q⁺ is not weighed
        (-1, ONE_OF_8, 2.474867, -1.060656),
        (0, ONE_OF_8, 2.474867, -0.353552),
    ],
)
def test_by_hand(role: int, rewards: tuple[float, ...], success: float, failure: float) -> None:
    found = paired(z_scored, 2.0, 3.0)(with_role(role, rewards))
    assert found.tolist() == pytest.approx([success if r else failure for r in rewards], abs=1e-5)


def test_both_examples_of_a_pair_in_one_batch() -> None:
    batch = replace(
        toy.batch((1, 0, 0, 0, 1, 1, 1, 0), groups=(0,) * 4 + (1,) * 4), pair_B=torch.tensor([1] * 4 + [-1] * 4)
    )
    plain = centred(batch)
    assert plain.tolist() == [0.75, -0.25, -0.25, -0.25, 0.25, 0.25, 0.25, -0.75]
    assert paired(centred, 2.0, 4.0)(batch).tolist() == [1.5, -0.25, -0.25, -0.25, 0.25, 0.25, 0.25, -3.0]


@pytest.mark.parametrize("inner", CREDITS)
def test_without_a_pair_and_with_weights_of_1_it_is_the_inner_credit(inner: Credit) -> None:
    assert torch.equal(paired(inner, 2.0, 3.0)(toy.batch()), inner(toy.batch()))
    for role in (-1, 0, 1):
        assert torch.equal(paired(inner)(with_role(role)), inner(toy.batch()))


@pytest.mark.parametrize("inner", CREDITS)
def test_weights_come_after_the_credit_per_response_and_per_token(inner: Credit) -> None:
    plain, found = inner(with_role(1)), paired(inner, 2.0, 3.0)(with_role(1))
    assert torch.equal(found[0], 2 * plain[0])
    assert plain[0].any()
    assert torch.equal(found[1:], plain[1:])


def test_only_a_reward_of_1_or_more_is_a_success() -> None:
    batch = with_role(1, (1.5, 1, 0.5, 0, 0, 0, 0, 0))
    ratio = paired(centred, 2.0, 1.0)(batch) / centred(batch)
    assert ratio.tolist() == pytest.approx([2, 2, 1, 1, 1, 1, 1, 1])


def test_what_it_needs_and_what_is_recorded_are_the_inner_credit_s() -> None:
    batch = with_role(1)
    assert needs_of(paired(z_scored)) == frozenset()
    assert needs_of(paired(less_kl(gae(), 0.5), 2.0, 1.0)) == {"reference", "values"}
    for inner in (whitened(), less_kl(whitened(), 0.5), gae()):
        spread = spread_before_whitening(inner, batch)
        assert spread is not None
        assert spread_before_whitening(paired(inner, 5.0, 5.0), batch) == spread
    assert spread_before_whitening(paired(z_scored, 5.0, 5.0), batch) is None
    critic = less_kl(gae(0.9, 0.8), 0.5)  # what it should have said has no weights
    assert torch.equal(returns_of(paired(critic, 5.0, 5.0), batch), returns_of(critic, batch))


def test_two_of_them_can_be_compared() -> None:
    assert paired(z_scored, 2.0) == paired(z_scored, 2.0, 1.0)
    assert paired(z_scored, 2.0) != paired(z_scored, 1.0, 2.0)
