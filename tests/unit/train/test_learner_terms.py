"""What the learner hands to the algorithm and records: the reference where asked for, this step's coefficients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from oneshot.algos.algorithm import configured
from oneshot.algos.credit import less_kl, pooled, whitened, z_scored
from oneshot.algos.schedule import Schedule
from oneshot.algos.zoo import ALGORITHMS
from tests.parts import apart, batch_of, gradients, grpo, learner_of, one_step, ragged_groups, tiny_policy


def test_the_entropy_coefficient_follows_the_schedule_by_batches_done() -> None:
    algorithm = grpo(entropy=0.4, entropy_of=Schedule("linear", 0.4, 0.0, 5), updates=2)
    learner = learner_of(tiny_policy(), algorithm)
    assert [one_step(learner, batch_of(ragged_groups()))["entropy_coef"] for _ in range(3)] == pytest.approx(
        [0.4, 0.3, 0.2]
    )
    late = learner_of(tiny_policy(), algorithm)
    late.batches = 4  # as a resumed run would have it
    assert one_step(late, batch_of(ragged_groups()))["entropy_coef"] == pytest.approx(0.0)


def test_a_scheduled_coefficient_acts_as_the_constant_one() -> None:
    scheduled, constant = (
        learner_of(tiny_policy(), grpo(**changes), grad_clip=0)
        for changes in ({"entropy": 9.0, "entropy_of": Schedule("linear", 0.2, 0.1, 3)}, {"entropy": 0.2})
    )
    for learner in (scheduled, constant):
        one_step(learner, batch_of(ragged_groups()))
    assert torch.equal(gradients(scheduled), gradients(constant))


def test_kl_in_the_reward_needs_the_initial_weights_and_no_kl_term() -> None:
    algorithm = configured(ALGORITHMS.build("reinforce_pp"), {"credit": less_kl(whitened(), 0.5)})
    learner = learner_of(tiny_policy(), algorithm)
    assert learner.reference is not None
    batch = learner.score(batch_of(ragged_groups()), algorithm.needs)
    assert batch.reference_logp_BT is not None
    first = one_step(learner, batch_of(ragged_groups()))
    assert "kl" not in first
    assert first["adv_std"] > 0
    without = learner_of(tiny_policy(), ALGORITHMS.build("reinforce_pp"))
    one_step(without, batch_of(ragged_groups()))
    # The groups' sampler log-probs are made up, so each token has a KL of its own from the first step on.
    assert apart(gradients(learner), gradients(without)) > 1e-3
    assert without.reference is None


def test_the_importance_weight_is_the_learner_over_the_sampler() -> None:
    """Sampler log-probs of −1 lie far above the learner's, so every weight is small; a tiny cap is smaller still."""
    norms = [
        one_step(learner_of(tiny_policy(), grpo(importance_cap=cap), grad_clip=0), batch_of(ragged_groups()))[
            "grad_norm"
        ]
        for cap in (0.0, 1e9, 1e-6)
    ]
    assert norms[0] > norms[1] > norms[2] > 0


def test_pooled_groups_pool_the_occurrences_of_one_problem() -> None:
    """Two groups of one problem: 3 of 8 right, variance 8/7 · 3/8 · 5/8. The other problem's group stays its own."""
    first, other, second = ragged_groups()
    right, wrong = (value / (15 / 56) ** 0.5 for value in (5 / 8, -3 / 8))
    found = pooled(z_scored)(batch_of([first, other, replace(second, problem=first.problem)])).tolist()
    own = z_scored(batch_of([other])).tolist()
    assert found == pytest.approx([right, wrong, wrong, right, *own, right, wrong, wrong, wrong], abs=1e-5)
    batch = batch_of(ragged_groups())
    torch.testing.assert_close(pooled(z_scored)(batch), z_scored(batch))  # three problems: nothing to pool


def test_clip_ratios_are_zero_at_one_update_and_shares_after() -> None:
    algorithm = configured(ALGORITHMS.build("grpo", {"clip_low": 1e-4, "clip_high": 1e-4}), {"updates": 2, "kl": 0.1})
    seen = one_step(learner_of(tiny_policy(), algorithm), batch_of(ragged_groups()))
    assert 0 < seen["clip_ratio/region_mean"] <= 1
    assert seen["clip_ratio/region_mean"] == pytest.approx(seen["clip_ratio/low_mean"] + seen["clip_ratio/high_mean"])
    assert seen["kl/clamped"] == 0.0
    once = one_step(learner_of(tiny_policy(), grpo()), batch_of(ragged_groups()))
    assert (once["clip_ratio/region_mean"], once["clip_ratio/low_mean"], once["clip_ratio/high_mean"]) == (
        0.0,
        0.0,
        0.0,
    )
    assert "clip_ratio/region_mean" not in one_step(
        learner_of(tiny_policy(), ALGORITHMS.build("max_rl")), batch_of(ragged_groups())
    )


def test_with_every_term_off_only_weight_decay_moves_the_weights() -> None:
    learner = learner_of(tiny_policy(), grpo(policy=0.0), weight_decay=0.1)
    seen = one_step(learner, batch_of(ragged_groups()))
    assert (seen["loss"], seen["grad_norm"]) == (0.0, 0.0)
    assert seen["update_norm"] > 0
    assert (
        one_step(learner_of(tiny_policy(), grpo(policy=0.0), weight_decay=0.0), batch_of(ragged_groups()))[
            "update_norm"
        ]
        == 0
    )
