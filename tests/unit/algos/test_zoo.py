"""Named algorithms: what they are made of, what they need scored, and what a wrong option says."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
import torch

from oneshot.algos import credit, penalty, surrogate, weighting
from oneshot.algos.algorithm import configured, policy_loss
from oneshot.algos.zoo import ALGORITHMS
from oneshot.errors import UsageError
from tests import toy

COMPOSITIONS = {
    "grpo": (credit.z_scored, surrogate.clipped(0.2, 0.2), weighting.token_mean),
    "dr_grpo": (credit.centred, surrogate.clipped(0.2, 0.2), weighting.fixed_length),
    "dapo": (credit.z_scored, surrogate.clipped(0.2, 0.28), weighting.token_mean),
    "rloo": (credit.leave_one_out, surrogate.sequence_ratio(0.2, 0.2), weighting.per_row),
    "reinforce_pp": (credit.whitened(), surrogate.clipped(0.2, 0.2), weighting.token_mean),
    "gspo": (credit.z_scored, surrogate.per_sequence(3e-4, 4e-4), weighting.sequence_mean),
    "cispo": (credit.z_scored, surrogate.cispo(high=4.0), weighting.token_mean),
    "max_rl": (credit.relative_to_mean, surrogate.reinforce, weighting.token_mean),
    "ppo": (credit.gae(1.0, 1.0), surrogate.clipped(0.2, 0.2), weighting.token_mean),
}


@pytest.mark.parametrize("name", ALGORITHMS.names())
def test_compositions(name: str) -> None:
    found = ALGORITHMS.build(name)
    assert (found.credit, found.surrogate, found.weighting) == COMPOSITIONS[name]
    assert (found.policy, found.kl, found.entropy, found.updates, found.minibatches) == (1.0, 0.0, 0.0, 1, 1)
    assert (found.critic is not None) is (name == "ppo") is ("values" in found.needs)


@pytest.mark.parametrize("name", ALGORITHMS.names())
def test_one_function_of_at_most_ten_lines(name: str) -> None:
    assert len(inspect.getsource(ALGORITHMS.factory(name)).splitlines()) <= 12  # with decorator and docstring


def test_the_group_baseline_of_reinforce_pp_has_k2() -> None:
    found = ALGORITHMS.build("reinforce_pp", {"baseline": "group", "floor": 0.1})
    assert found.credit == credit.whitened(group=True, floor=0.1)
    assert (found.kl_of, ALGORITHMS.build("reinforce_pp").kl_of) == (penalty.k2, penalty.k3)
    with pytest.raises(UsageError, match="neither none nor group"):
        ALGORITHMS.build("reinforce_pp", {"baseline": "batch"})


LENGTHS = torch.tensor([3, 1, 4, 2, 1, 2, 3, 4])
Z, REST = 2.4748667, -0.3535524
ADVANTAGES = {
    "grpo": (Z, REST),
    "dr_grpo": (0.875, -0.125),
    "dapo": (Z, REST),
    "rloo": (1.0, -1 / 7),
    # 3 of 20 tokens have reward 1: mean .15, unbiased variance 20/19 · .15 · .85.
    "reinforce_pp": (0.85 / (20 / 19 * 0.1275) ** 0.5, -0.15 / (20 / 19 * 0.1275) ** 0.5),
    "gspo": (Z, REST),
    "cispo": (Z, REST),
    "max_rl": (7.0, -1.0),
    "ppo": (0.85 / (20 / 19 * 0.1275) ** 0.5, -0.15 / (20 / 19 * 0.1275) ** 0.5),  # with values of 0
}
TOTAL = int(LENGTHS.sum())
SHARES = {  # weight of a token, by its response's length
    **dict.fromkeys(("grpo", "dapo", "cispo", "max_rl", "reinforce_pp", "ppo"), lambda length: 1 / TOTAL),
    "dr_grpo": lambda length: 1 / (8 * toy.LIMIT),
    "rloo": lambda length: 1 / 8,
    "gspo": lambda length: 1 / (8 * length),
}


@pytest.mark.parametrize("name", ALGORITHMS.names())
def test_one_right_of_eight_at_unequal_lengths_by_hand(name: str) -> None:
    """r = (1, 0⁷), one update: the slope of each token's log p is −weight × advantage, whatever the surrogate."""
    assert tuple(LENGTHS.tolist()) == toy.LENGTHS
    scored, algorithm = toy.on_policy(toy.batch()), ALGORITHMS.build(name)
    scored = replace(scored, values_BT=torch.zeros(scored.shape, dtype=torch.float64))
    terms = toy.terms_of(algorithm, scored, toy.START)
    leaf = terms.logp_BT.clone().requires_grad_()
    loss, _ = policy_loss(algorithm, replace(terms, logp_BT=leaf))
    (slope_BT,) = torch.autograd.grad(loss, leaf)
    right, wrong = ADVANTAGES[name]
    for row, length in enumerate(toy.LENGTHS):
        expected = -SHARES[name](length) * (right if row == 0 else wrong)
        assert slope_BT[row].tolist() == pytest.approx([expected] * length + [0.0] * (4 - length), abs=1e-6)


@pytest.mark.parametrize("name", sorted(set(ALGORITHMS.names()) - {"ppo"}))
@pytest.mark.parametrize("rewards", [[0.0] * 8, [1.0] * 8])
def test_a_group_of_equal_rewards_gives_no_gradient(name: str, rewards: list[float]) -> None:
    assert not toy.gradient_of(ALGORITHMS.build(name), toy.on_policy(toy.batch(rewards))).any()


def test_an_option_reaches_the_surrogate() -> None:
    assert ALGORITHMS.build("grpo", {"clip_high": 0.28}).surrogate == surrogate.clipped(0.2, 0.28)
    assert ALGORITHMS.build("dr_grpo", {"clip_low": "0.4"}).surrogate == surrogate.clipped(0.4, 0.2)
    assert ALGORITHMS.build("cispo", {"clip_high": 1}).surrogate == surrogate.cispo(high=1.0)
    assert ALGORITHMS.build("rloo", {"clip_low": 0.1}).surrogate == surrogate.sequence_ratio(0.1, 0.2)
    assert ALGORITHMS.build("gspo", {"clip_high": 0.1}).surrogate == surrogate.per_sequence(3e-4, 0.1)


def test_needs() -> None:
    algorithm = ALGORITHMS.build("grpo")
    assert algorithm.needs == frozenset()
    assert configured(algorithm, {"kl": 0.001}).needs == {"reference"}
    assert configured(algorithm, {"updates": 2}).needs == configured(algorithm, {"minibatches": 2}).needs == {"old"}
    assert configured(algorithm, {"updates": 2, "kl": 0.1}).needs == {"old", "reference"}


def test_configured_changes_only_what_it_is_told() -> None:
    before = ALGORITHMS.build("grpo")
    after = configured(before, {"kl_of": penalty.k2, "entropy": 0.5, "weighting": weighting.sequence_mean})
    assert (after.kl_of, after.entropy, after.weighting) == (penalty.k2, 0.5, weighting.sequence_mean)
    assert (after.credit, after.surrogate, after.policy, after.kl) == (before.credit, before.surrogate, 1.0, 0.0)
    assert before.entropy == 0.0


@pytest.mark.parametrize(
    ("name", "options", "code", "said"),
    [
        ("drgrpo", {}, "E102", "Did you mean 'dr_grpo'?"),
        ("nothing-like-it", {}, "E102", "Known: "),
        ("grpo", {"clip_hi": 0.3}, "E101", "Did you mean 'clip_high'?"),
        ("grpo", {"zzz": 1}, "E101", "It takes: clip_low, clip_high."),
        ("grpo", {"clip_low": "wide"}, "E103", "option 'clip_low': 'wide' is not a float"),
        ("grpo", {"clip_low": True}, "E103", "True is not a float"),
        ("cispo", {"clip_low": 0.1}, "E101", "It takes: clip_high."),
        ("max_rl", {"clip_low": 0.1}, "E101", "It takes: no options."),
        ("gspo", {"clip_low": -1.0}, "E103", "must be at least 0"),
        ("maxrl", {}, "E102", "Did you mean 'max_rl'?"),
        ("grpo", {"clip_low": None}, "E103", "None is not a float"),
    ],
)
def test_a_wrong_name_or_option_says_what_is_near(name: str, options: dict[str, object], code: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        ALGORITHMS.build(name, options)
    assert caught.value.code == code
    assert caught.value.exit_code == 2
    assert said in caught.value.message
