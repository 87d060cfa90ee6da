"""Advantages per token: whitening, KL in the reward, GAE, pooled groups; and that masked places say nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from oneshot.algos.algorithm import Algorithm
from oneshot.algos.credit import (
    Credit,
    advantages_and_returns,
    centred,
    gae,
    leave_one_out,
    less_kl,
    moments,
    needs_of,
    pooled,
    relative_to_mean,
    spread_before_whitening,
    whiten,
    whitened,
    z_scored,
)
from oneshot.algos.surrogate import reinforce
from oneshot.algos.weighting import token_mean
from oneshot.types import TokenBatch
from tests import toy
from tests.parts import batch_of, group

MASK = torch.tensor([[True, True, True], [True, False, False]])
EVEN = torch.ones(8, 3, dtype=torch.bool)


def f64(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def small(**changes: Tensor) -> TokenBatch:
    """Two responses, of three tokens and of one, with rewards 1 and 0; log p less reference is .5, .25, −1 and 2."""
    tensors = {
        "mask_BT": MASK,
        "rewards_B": torch.tensor([1.0, 0.0], dtype=torch.float64),
        "group_B": torch.tensor([0, 0]),
        "old_logp_BT": f64([-1.0, -1.0, -1.0], [-1.0, 0.0, 0.0]),
        "reference_logp_BT": f64([-1.5, -1.25, 0.0], [-3.0, 0.0, 0.0]),
    }
    return replace(toy.batch(), **tensors | changes)


def test_whitening_by_hand() -> None:
    """Tokens 1, 1, 1, 0: mean 3/4, squares 3/16 + 9/16 = 3/4, unbiased variance 1/4, std 1/2."""
    values_BT = f64([1, 1, 1], [0, float("nan"), float("nan")])
    assert [float(x) for x in moments(values_BT, MASK)] == pytest.approx([0.75, 0.5])
    torch.testing.assert_close(whiten(values_BT, MASK), f64([0.5, 0.5, 0.5], [-1.5, 0, 0]))
    torch.testing.assert_close(whiten(values_BT, MASK, floor=2.0), f64([0.125] * 3, [-0.375, 0, 0]))
    assert not whiten(f64([0.1] * 3, [0.1] * 3), MASK).any()  # all equal: no noise is blown up


def test_reinforce_pp_by_hand() -> None:
    """Without KL every token has its response's reward: the whitening above. A group baseline takes 1/2 off first."""
    torch.testing.assert_close(whitened()(small()), f64([0.5, 0.5, 0.5], [-1.5, 0, 0]))
    torch.testing.assert_close(whitened(group=True)(small()), f64([0.5, 0.5, 0.5], [-1.5, 0, 0]))
    apart = whitened(group=True)(small(rewards_B=torch.tensor([1.0, 0.5]), group_B=torch.tensor([0, 1])))
    assert not apart.any()  # each alone in its group


def test_a_tokens_kl_counts_for_it_and_for_those_before() -> None:
    """β = .2: tokens earn −.1, −.05, 1 + .2 and −.4; to go 1.05, 1.15, 1.2 and −.4."""
    to_go_BT = f64([1.05, 1.15, 1.2], [-0.4, 0, 0])
    torch.testing.assert_close(less_kl(whitened(), 0.2)(small()), whiten(to_go_BT, MASK))


def test_credits_per_response_see_the_sum() -> None:
    """1 − .2·(.5 + .25 − 1) = 1.05 and −.4: half the difference is .725."""
    for credit, expected in ((centred, [0.725, -0.725]), (leave_one_out, [1.45, -1.45])):
        assert less_kl(credit, 0.2)(small()).tolist() == pytest.approx(expected)
    mean = 0.325
    assert less_kl(relative_to_mean, 0.2)(small()).tolist() == pytest.approx([0.725 / mean, -0.725 / mean])


def test_the_samplers_log_probs_stand_in_where_the_learner_scored_none() -> None:
    scored = small(sampler_logp_BT=f64([-1.0, -1.0, -1.0], [-1.0, 0.0, 0.0]))
    torch.testing.assert_close(less_kl(centred, 0.2)(toy.on_policy(scored)), less_kl(centred, 0.2)(scored))


@pytest.mark.parametrize("credit", [z_scored, centred, leave_one_out, relative_to_mean, whitened(), gae()])
def test_a_coefficient_of_zero_changes_nothing(credit: Credit) -> None:
    torch.testing.assert_close(less_kl(credit, 0.0)(toy.batch()), credit(toy.batch()))


def test_at_equal_lengths_reinforce_pp_is_grpo_with_one_pooled_group_up_to_ddof() -> None:
    """8 rewards against 24 tokens: variances over 7 and over 23 (times 3)."""
    scored = toy.batch([1, 0, 0, 1, 0, 0, 0, 0], groups=[0] * 4 + [1] * 4)
    scored = replace(scored, mask_BT=EVEN, old_logp_BT=None)
    found_BT, expected_B = whitened()(scored), pooled(z_scored)(scored)
    ratio = (7 * 3 / 23) ** -0.5 * (1 + 1e-6 / float(scored.rewards_B.std()))  # GRPO adds 1e-6 to the std
    torch.testing.assert_close(found_BT, expected_B[:, None].expand(8, 3) * ratio)


def test_gae_by_hand() -> None:
    """γ = .5, λ = .5; rewards 0, 0, 1 and values .5, .25, .75: δ = −.375, .125, .25, backwards in quarters."""
    rewards_BT, values_BT = f64([0, 0, 1], [2, 0, 0]), f64([0.5, 0.25, 0.75], [1.5, 7, 7])
    advantages_BT, returns_BT = advantages_and_returns(rewards_BT, values_BT, MASK, gamma=0.5, lam=0.5)
    first = [-0.375 + 0.25 * (0.125 + 0.25 * 0.25), 0.125 + 0.25 * 0.25, 0.25]
    torch.testing.assert_close(advantages_BT, f64(first, [0.5, 0, 0]))
    torch.testing.assert_close(returns_BT, f64([first[0] + 0.5, first[1] + 0.25, 1.0], [2.0, 0, 0]))


def test_gae_with_gamma_and_lambda_one_is_what_was_earned_less_the_value() -> None:
    values_BT = f64([0.5, 0.25, 0.75], [1.5, 7, 7])
    found_BT = gae(whitening=False)(small(values_BT=values_BT))
    torch.testing.assert_close(found_BT, f64([0.5, 0.75, 0.25], [-1.5, 0, 0]))
    torch.testing.assert_close(gae()(small(values_BT=values_BT)), whiten(found_BT, MASK))


def test_lambda_zero_is_the_one_step_error() -> None:
    values_BT = f64([0.5, 0.25, 0.75], [1.5, 7, 7])
    found_BT = gae(lam=0.0, whitening=False)(small(values_BT=values_BT))
    torch.testing.assert_close(found_BT, f64([-0.25, 0.5, 0.25], [-1.5, 0, 0]))


def test_a_constant_value_at_equal_lengths_is_the_pooled_z_score() -> None:
    scored = replace(toy.batch([1, 0, 0, 1, 0, 0, 0, 0]), mask_BT=EVEN, values_BT=torch.full((8, 3), 0.3))
    torch.testing.assert_close(gae()(scored), whitened()(scored))


def test_the_spread_before_whitening() -> None:
    """Tokens 1, 1, 1, 0: 1/2; with the KL of above 1.05, 1.15, 1.2 and −.4; none where nothing is whitened."""
    assert spread_before_whitening(whitened(floor=9.0), small()) == pytest.approx(0.5)
    with_kl = torch.tensor([1.05, 1.15, 1.2, -0.4]).std()
    assert spread_before_whitening(less_kl(whitened(), 0.2), small()) == pytest.approx(float(with_kl))
    assert spread_before_whitening(gae(), small(values_BT=f64([1, 1, 1], [0, 7, 7]))) == 0.0
    assert spread_before_whitening(less_kl(z_scored, 0.2), small()) is None


def test_pooling_by_hand() -> None:
    """One of 4 right and 3 of 4 right pool to 4 of 8: ±.935413. Two problems stay apart."""
    scored = replace(toy.batch([1, 0, 0, 0, 1, 1, 1, 0], groups=[0] * 4 + [1] * 4))
    expected = [0.935413 if r else -0.935413 for r in scored.rewards_B.tolist()]
    assert pooled(z_scored)(scored).tolist() == pytest.approx(expected, abs=2e-6)
    two = replace(scored, problem_B=scored.group_B)
    torch.testing.assert_close(pooled(z_scored)(two), z_scored(two))


def test_a_rare_failure_weighs_more_in_a_pooled_group() -> None:
    """One wrong of 100 in groups of 10: −2.846 among its ten, −9.9 among the hundred."""
    rewards = torch.ones(100, dtype=torch.float64)
    rewards[5] = 0
    scored = replace(
        toy.batch(), rewards_B=rewards, group_B=torch.arange(100) // 10, problem_B=torch.zeros(100, dtype=torch.long)
    )
    assert float(z_scored(scored)[5]) == pytest.approx(-2.846, abs=1e-3)
    assert float(pooled(z_scored)(scored)[5]) == pytest.approx(-9.9, abs=1e-3)


def test_packing_numbers_the_problems() -> None:
    groups = [group(0, (1, 2), [(3,), (4,)], [0, 1]), group(1, (1, 2), [(5,)], [1]), group(2, (9,), [(6,)], [0])]
    again = replace(groups[1], problem=groups[0].problem)
    found = batch_of([groups[0], again, groups[2]]).problem_B
    assert found is not None
    assert found.tolist() == [0, 0, 0, 1]


def test_needs() -> None:
    assert needs_of(z_scored) == frozenset()
    assert needs_of(pooled(gae())) == {"values"}
    assert needs_of(less_kl(gae(), 0.1)) == {"reference", "values"}
    assert Algorithm(less_kl(gae(), 0.1), reinforce, token_mean, updates=2).needs == {"reference", "values", "old"}


WITH_TOKENS = ("sampler_logp_BT", "old_logp_BT", "reference_logp_BT", "values_BT", "token_rewards_BT")


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.parametrize(
    "credit",
    [
        z_scored,
        less_kl(z_scored, 0.1),
        less_kl(leave_one_out, 0.1),
        less_kl(whitened(group=True), 0.1),
        less_kl(gae(0.9, 0.8), 0.1),
        gae(whitening=False),
        whitened(),
    ],
)
@pytest.mark.parametrize("scored", [toy.batch(), toy.on_policy(toy.batch())])
def test_masked_places_change_no_advantage(credit: Credit, poison: float, scored: TokenBatch) -> None:
    found = []
    for value in (0.0, poison):
        given = {name: getattr(scored, name) for name in WITH_TOKENS if getattr(scored, name) is not None}
        places = {name: tensor.masked_fill(~toy.MASK, value) for name, tensor in given.items()}
        found.append(credit(replace(scored, **places)))
    assert torch.equal(*found)
    assert bool(found[0].isfinite().all())
    assert found[0].dim() == 1 or not found[0][~toy.MASK].any()
