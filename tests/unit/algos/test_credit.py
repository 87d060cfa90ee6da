"""Rewards to advantages: hand-worked groups, limiting cases, and what must not depend on order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from oneshot.algos.credit import centred, leave_one_out, relative_to_mean, z_scored
from oneshot.types import TokenBatch

Credit = Callable[[TokenBatch], Tensor]
CREDITS = [centred, z_scored, leave_one_out, relative_to_mean]
REWARDS = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(-100, 100, width=32))


def scored(rewards: Sequence[float], groups: Sequence[int]) -> TokenBatch:
    """A batch of which only rewards and group ids matter."""
    count = len(rewards)
    return TokenBatch(
        micro=(),
        mask_BT=torch.ones(count, 1, dtype=torch.bool),
        rewards_B=torch.tensor(rewards, dtype=torch.float32),
        group_B=torch.tensor(groups),
        sampler_logp_BT=torch.zeros(count, 1),
        max_response=4,
    )


def of_eight(correct: int) -> TokenBatch:
    return scored([1.0] * correct + [0.0] * (8 - correct), [0] * 8)


# By hand for k = 1: mean 1/8, squares (7/8)² + 7/64 = 7/8, variance 1/8, std .353553; .875/.353554 and −.125/.353554.
@pytest.mark.parametrize(
    ("correct", "right", "wrong"),
    [
        (1, 2.474867, -0.353552),
        (2, 1.620182, -0.540061),
        (4, 0.935413, -0.935413),
        (7, 0.353552, -2.474867),
    ],
)
def test_z_scored_by_hand(correct: int, right: float, wrong: float) -> None:
    expected = torch.tensor([right] * correct + [wrong] * (8 - correct))
    torch.testing.assert_close(z_scored(of_eight(correct)), expected, atol=2e-6, rtol=0)


def test_centred_by_hand() -> None:
    assert centred(of_eight(1)).tolist() == [0.875, *[-0.125] * 7]


# r = (1, 0⁷): 1·(8/7)·(7/8) = 1 and −1/8·8/7 = −1/7. Half right: 1/2·8/7 = 4/7. Alone there is nobody to compare with.
@pytest.mark.parametrize(("correct", "right", "wrong"), [(1, 1.0, -1 / 7), (4, 4 / 7, -4 / 7), (7, 1 / 7, -1.0)])
def test_leave_one_out_by_hand(correct: int, right: float, wrong: float) -> None:
    found = leave_one_out(of_eight(correct)).tolist()
    assert found == pytest.approx([right] * correct + [wrong] * (8 - correct))
    assert leave_one_out(scored([3.0], [0])).tolist() == [0.0]


def test_leave_one_out_is_the_reward_less_the_mean_of_the_others() -> None:
    rewards = [0.3, 1.0, 0.0, 0.5, 0.25]
    expected = [r - (sum(rewards) - r) / 4 for r in rewards]
    assert leave_one_out(scored(rewards, [0] * 5)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("correct", "right", "wrong"), [(1, 7.0, -1.0), (4, 1.0, -1.0), (8, 0.0, 0.0), (0, 0.0, 0.0)])
def test_relative_to_mean_by_hand(correct: int, right: float, wrong: float) -> None:
    found = relative_to_mean(of_eight(correct)).tolist()
    assert found == pytest.approx([right] * correct + [wrong] * (8 - correct))


def test_relative_to_mean_is_zero_where_the_mean_is_not_positive() -> None:
    assert relative_to_mean(scored([1.0, -2.0, -1.0, 2.0], [0, 0, 1, 1])).tolist() == pytest.approx([0, 0, -3, 3])


@pytest.mark.parametrize("credit", CREDITS)
@given(reward=st.floats(-1e6, 1e6, width=32), sizes=st.lists(st.integers(1, 13), min_size=1, max_size=4))
def test_equal_rewards_carry_no_signal(credit: Credit, reward: float, sizes: list[int]) -> None:
    ids = [g for g, size in enumerate(sizes) for _ in range(size)]
    assert credit(scored([reward] * len(ids), ids)).tolist() == [0.0] * len(ids)


@pytest.mark.parametrize("credit", CREDITS)
def test_all_right_next_to_a_mixed_group(credit: Credit) -> None:
    found = credit(scored([1, 1, 1, 1, 0, 0], [5, 5, 5, 2, 2, 2]))
    assert found[:3].tolist() == [0.0, 0.0, 0.0]
    torch.testing.assert_close(found[3:], credit(scored([1, 0, 0], [0, 0, 0])))


def test_groups_go_by_id_and_not_by_order() -> None:
    rewards, ids = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0], [40, 3, 40, 3, 3, 40]
    found = centred(scored(rewards, ids))
    # Group 40 holds rewards 1, 0, 0 (mean 1/3); group 3 holds 0, 1, 1 (mean 2/3).
    torch.testing.assert_close(found, torch.tensor([2 / 3, -2 / 3, -1 / 3, 1 / 3, 1 / 3, -1 / 3]))


def test_two_groups_are_not_one_pooled_group() -> None:
    rewards = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]
    apart = z_scored(scored(rewards, [0] * 4 + [1] * 4))
    # k = 1 of 4: std 1/2, so 1.5 and −.5; k = 3 of 4 mirrors it. Pooled, all eight would be ±.935.
    expected = torch.tensor([1.5, -0.5, -0.5, -0.5, 0.5, 0.5, 0.5, -1.5])
    torch.testing.assert_close(apart, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("credit", CREDITS)
@given(data=st.data())
def test_permuting_the_responses_permutes_the_advantages(credit: Credit, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(REWARDS, st.integers(0, 3)), min_size=1, max_size=16))
    order = data.draw(st.permutations(range(len(rows))))
    found = credit(scored([r for r, _ in rows], [g for _, g in rows]))
    moved = credit(scored([rows[i][0] for i in order], [rows[i][1] for i in order]))
    torch.testing.assert_close(moved, found[list(order)], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("credit", CREDITS)
@given(rows=st.lists(st.tuples(REWARDS, st.integers(0, 3)), min_size=1, max_size=16))
def test_every_group_has_mean_zero(credit: Credit, rows: list[tuple[float, int]]) -> None:
    ids = torch.tensor([g for _, g in rows])
    found = credit(scored([r for r, _ in rows], ids.tolist()))
    for number in set(ids.tolist()):
        own = found[ids == number].double()
        assert abs(float(own.mean())) <= 1e-5 * max(1.0, float(own.abs().max()))


@given(rewards=st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=12))
def test_z_scores_have_unit_variance_unless_all_are_equal(rewards: list[float]) -> None:
    spread = float(z_scored(scored(rewards, [0] * len(rewards))).std())
    assert spread == pytest.approx(1.0 if len(set(rewards)) == 2 else 0.0, abs=1e-4)
