"""What is the same at one update a batch, where ρ is 1: the identities that `plan` and `study` rely on."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations_with_replacement

import pytest
import torch

from oneshot.algos.algorithm import Algorithm, at_one_update, configured, inert
from oneshot.algos.penalty import k3, rho_k3
from oneshot.algos.schedule import SHAPES, Schedule
from oneshot.algos.weighting import per_row, sequence_mean, token_mean
from oneshot.algos.zoo import ALGORITHMS
from tests import toy

BATCH = toy.batch([1, 0, 0, 0.5, 0, 1, 0, 0], groups=[0] * 4 + [1] * 4)
ONCE = toy.on_policy(BATCH)
KL = {"kl": 0.3, "entropy": 0.1}
VARIANTS: dict[str, Algorithm] = {
    **{name: configured(ALGORITHMS.build(name), KL) for name in ALGORITHMS.names()},
    "grpo by sequence": configured(ALGORITHMS.build("grpo"), {**KL, "weighting": sequence_mean}),
    "grpo, other clip": configured(ALGORITHMS.build("grpo", {"clip_low": 0.0, "clip_high": 9.0}), KL),
    "dr_grpo by token": configured(ALGORITHMS.build("dr_grpo"), {**KL, "weighting": token_mean}),
}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("grpo", "dapo"),
        ("grpo", "cispo"),
        ("grpo", "grpo, other clip"),
        ("gspo", "grpo by sequence"),
    ],
)
def test_equal_at_one_update_and_different_at_two(one: str, other: str) -> None:
    left, right = VARIANTS[one], VARIANTS[other]
    torch.testing.assert_close(toy.gradient_of(left, ONCE), toy.gradient_of(right, ONCE), atol=1e-15, rtol=1e-12)
    near_a_quarter_up = toy.log_probs(toy.START) - math.log(1.25) + 0.2 * toy.NOISE
    off_policy = replace(BATCH, old_logp_BT=near_a_quarter_up)
    assert not torch.allclose(toy.gradient_of(left, off_policy), toy.gradient_of(right, off_policy))


def test_rloo_at_one_update_is_reinforce_with_its_baseline() -> None:
    reinforce = replace(VARIANTS["max_rl"], credit=VARIANTS["rloo"].credit, weighting=per_row)
    torch.testing.assert_close(toy.gradient_of(VARIANTS["rloo"], ONCE), toy.gradient_of(reinforce, ONCE))


@pytest.mark.parametrize(("one", "other"), list(combinations_with_replacement(VARIANTS, 2)))
def test_provably_identical_means_equal_gradients_and_the_other_way(one: str, other: str) -> None:
    left, right = VARIANTS[one], VARIANTS[other]
    same = torch.allclose(toy.gradient_of(left, ONCE), toy.gradient_of(right, ONCE), atol=1e-12, rtol=1e-9)
    assert (at_one_update(left) == at_one_update(right)) is same


def test_more_updates_are_left_as_they_are() -> None:
    for more in ({"updates": 2}, {"minibatches": 2}):
        twice = configured(VARIANTS["grpo"], more)
        assert at_one_update(twice) == twice != at_one_update(configured(VARIANTS["dapo"], more))


def test_at_one_update_a_value_limit_does_nothing_and_a_critic_s_rate_does() -> None:
    one, other, faster = (
        ALGORITHMS.build("ppo", options) for options in ({}, {"value_clip": 0.1, "clip_low": 0.3}, {"critic_lr": 1e-3})
    )
    assert at_one_update(one) == at_one_update(other) != at_one_update(faster)


def test_rho_k3_is_not_k3_even_at_one_update() -> None:
    """The values agree, the gradients do not, so no identity may merge them."""
    left, right = (configured(VARIANTS["grpo"], {"kl_of": kind}) for kind in (k3, rho_k3))
    torch.testing.assert_close(toy.loss_of(left, ONCE, toy.START), toy.loss_of(right, ONCE, toy.START))
    assert not torch.allclose(toy.gradient_of(left, ONCE), toy.gradient_of(right, ONCE))
    assert at_one_update(left) != at_one_update(right)


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("grpo", {"kl": 0.1}, ("clip_low", "clip_high")),
        ("grpo", {}, ("clip_low", "clip_high", "kl_kind")),
        ("grpo", {"kl": 0.1, "updates": 2}, ()),
        ("gspo", {"kl": 0.1}, ("clip_low", "clip_high")),
        ("rloo", {"kl": 0.1}, ("clip_low", "clip_high")),
        ("cispo", {"kl": 0.1}, ("clip_high",)),
        ("max_rl", {"kl": 0.1}, ()),
        ("ppo", {"kl": 0.1}, ("clip_low", "clip_high", "value_clip")),
        ("ppo", {"kl": 0.1, "minibatches": 2}, ()),
        ("grpo", {"kl": 0.1, "minibatches": 2}, ()),
        ("grpo", {"kl": 0.1, "policy": 0.0, "updates": 4}, ("clip_low", "clip_high", "weighting")),
        ("max_rl", {"policy": 0.0, "importance_cap": 2.0}, ("weighting", "importance_cap", "kl_kind")),
    ],
)
def test_inert(name: str, changes: dict[str, float], expected: tuple[str, ...]) -> None:
    assert inert(configured(ALGORITHMS.build(name), changes)) == expected


@pytest.mark.parametrize("name", ALGORITHMS.names())
def test_what_is_called_inert_changes_no_gradient_and_acts_at_two_updates(name: str) -> None:
    options = [option for option in inert(configured(ALGORITHMS.build(name), KL)) if option.startswith("clip")]
    tight, wide = (configured(ALGORITHMS.build(name, dict.fromkeys(options, limit)), KL) for limit in (1e-4, 1e4))
    assert torch.equal(toy.gradient_of(tight, ONCE), toy.gradient_of(wide, ONCE))
    assert torch.equal(toy.gradient_of(tight, BATCH), toy.gradient_of(wide, BATCH)) is not bool(options)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("constant", [0.4, 0.4, 0.4, 0.4]),
        ("linear", [0.4, 0.3, 0.2, 0.0]),
        ("cosine", [0.4, 0.2 + 0.2 * 2**-0.5, 0.2, 0.0]),
    ],
)
def test_schedules_by_hand(shape: str, expected: list[float]) -> None:
    coefficient = Schedule(shape, 0.4, 0.0, 5)
    assert [coefficient(step) for step in (0, 1, 2, 4)] == pytest.approx(expected)
    assert coefficient(9) == coefficient(4)
    assert Schedule(shape, 0.4, 0.0, 1)(0) == 0.4
    assert set(SHAPES) == {"constant", "linear", "cosine"}


def test_the_coefficient_of_a_step_is_a_pure_function_of_it() -> None:
    algorithm = configured(ALGORITHMS.build("grpo"), {"entropy": 0.4, "entropy_of": Schedule("linear", 0.4, 0.0, 5)})
    assert [algorithm.at(step).entropy for step in (4, 0, 2, 0)] == pytest.approx([0.0, 0.4, 0.2, 0.4])
    assert algorithm.at(0).at(4).entropy == 0.4  # a step's algorithm stays that step's
    plain = ALGORITHMS.build("grpo")
    assert plain.at(3) is plain
