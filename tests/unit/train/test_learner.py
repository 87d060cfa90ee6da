"""One optimiser step, by hand where that is possible: schedule, clip, AdamW, reference, old log-probs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from oneshot.algos.zoo import ALGORITHMS
from oneshot.train.learner import Learner
from oneshot.types import TokenBatch
from tests.parts import apart, batch_of, gradients, grpo, learner_of, one_step, ragged_groups, tiny_policy


def scored(learner: Learner, batch: TokenBatch) -> Tensor:
    with torch.no_grad():
        return learner._scored(batch, learner.policy.model)


def weights_of(learner: Learner) -> Tensor:
    return torch.cat([p.detach().flatten().clone() for p in learner.parameters])


def test_warm_up_is_linear_to_a_constant() -> None:
    learner = learner_of(tiny_policy(), grpo(), lr=4e-4, warmup=4)
    seen = [one_step(learner, batch_of(ragged_groups()))["learning_rate"] for _ in range(6)]
    assert seen == pytest.approx([1e-4, 2e-4, 3e-4, 4e-4, 4e-4, 4e-4])
    assert learner.optimizer.adamw.param_groups[0]["lr"] == 4e-4
    assert learner.version == 6


def test_without_warm_up_the_first_step_has_the_whole_rate() -> None:
    assert one_step(learner_of(tiny_policy(), grpo(), lr=3e-4), batch_of(ragged_groups()))["learning_rate"] == 3e-4


def test_a_long_gradient_is_shortened_and_a_short_one_is_not() -> None:
    batch = batch_of(ragged_groups())
    free = learner_of(tiny_policy(), grpo(), grad_clip=0)
    norm = one_step(free, batch)["grad_norm"]
    assert norm == pytest.approx(float(gradients(free).norm()))
    short = learner_of(tiny_policy(), grpo(), grad_clip=norm / 10)
    assert one_step(short, batch)["grad_norm"] == pytest.approx(norm)  # reported before the clip
    torch.testing.assert_close(gradients(short), gradients(free) / 10)
    long = learner_of(tiny_policy(), grpo(), grad_clip=norm * 10)
    one_step(long, batch)
    torch.testing.assert_close(gradients(long), gradients(free))


def test_two_steps_of_adamw_by_hand() -> None:
    lr, decay, beta1, beta2, eps = 1e-2, 0.1, 0.8, 0.95, 1e-5
    learner = learner_of(
        tiny_policy(dtype=torch.float64), grpo(), lr=lr, weight_decay=decay, betas=(beta1, beta2), eps=eps, grad_clip=0
    )
    parameter = learner.policy.model.get_decoder().layers[1].mlp.down_proj.weight
    w, m, v = float(parameter[2, 3].detach()), 0.0, 0.0
    for step in (1, 2):
        one_step(learner, batch_of(ragged_groups()))
        g = float(parameter.grad[2, 3])
        assert abs(g) > 1e-6
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        w -= lr * decay * w
        w -= lr * (m / (1 - beta1**step)) / (math.sqrt(v / (1 - beta2**step)) + eps)
        assert float(parameter[2, 3].detach()) == pytest.approx(w, rel=1e-12)


def test_the_update_norm_is_how_far_the_weights_moved() -> None:
    learner = learner_of(tiny_policy(), grpo())
    before = weights_of(learner)
    moved = one_step(learner, batch_of(ragged_groups()))["update_norm"]
    assert moved == pytest.approx(float((weights_of(learner) - before).norm()), rel=1e-4)
    assert moved > 0


def test_a_learning_rate_of_zero_changes_no_bit() -> None:
    learner = learner_of(tiny_policy(), grpo(kl=0.1, entropy=0.1), lr=0.0)
    before = weights_of(learner)
    assert one_step(learner, batch_of(ragged_groups()))["update_norm"] == 0.0
    assert torch.equal(weights_of(learner), before)


def test_kl_begins_at_zero_and_the_reference_stays() -> None:
    policy, batch = tiny_policy(), batch_of(ragged_groups())
    learner = learner_of(policy, grpo(kl=0.1), grad_clip=0)
    without = learner_of(tiny_policy(), grpo(), grad_clip=0)
    initial = {name: tensor.clone() for name, tensor in policy.model.state_dict().items()}
    first = one_step(learner, batch)
    one_step(without, batch)
    assert first["kl"] == 0.0
    torch.testing.assert_close(gradients(learner), gradients(without))  # k3 is flat where it begins
    second = one_step(learner, batch)
    assert second["kl"] > 1e-6
    assert learner.reference is not None
    for name, tensor in learner.reference.state_dict().items():
        assert torch.equal(tensor, initial[name]), name
    assert not any(p.requires_grad or p.grad is not None for p in learner.reference.parameters())


def test_a_strong_kl_term_holds_the_policy_near_the_reference() -> None:
    drift = []
    for kl in (0.0, 10.0):
        learner = learner_of(tiny_policy(), grpo(kl=kl))
        batch = batch_of(ragged_groups())
        start = scored(learner, batch)
        for _ in range(5):
            one_step(learner, batch)
        drift.append(float((scored(learner, batch) - start).abs().mean()))
    assert drift[1] < 0.5 * drift[0]


def test_no_reference_is_kept_where_no_kl_is_asked_for() -> None:
    learner = learner_of(tiny_policy(), grpo())
    assert learner.reference is None
    batch = learner.score(batch_of(ragged_groups()), learner.algorithm.needs)
    assert batch.reference_logp_BT is None
    assert batch.old_logp_BT is None


def test_a_second_update_compares_with_the_log_probs_before_the_first() -> None:
    batch = batch_of(ragged_groups())
    one, two = (learner_of(tiny_policy(), grpo(updates=updates)) for updates in (1, 2))
    before = scored(one, batch)
    first, last = one_step(one, batch), one_step(two, batch)
    assert first["ratio/mean"] == pytest.approx(1.0)
    ratio_BT = (scored(one, batch) - before).exp()  # `one` is where `two` was between its updates
    assert last["ratio/mean"] == pytest.approx(float(ratio_BT[batch.mask_BT].mean()), rel=1e-5)
    assert abs(last["ratio/mean"] - 1) > 1e-4
    assert (one.version, two.version) == (1, 2)
    # The sampler is compared with the weights that sampled, whatever came after.
    assert last["mismatch/logprob"] == first["mismatch/logprob"]
    expected = (before - batch.sampler_logp_BT).abs()[batch.mask_BT].mean()
    assert first["mismatch/logprob"] == pytest.approx(float(expected), rel=1e-5)


def test_the_clip_acts_in_the_second_update() -> None:
    """With a clip of nothing, tokens that moved the way their advantage points give no more gradient."""
    norms = []
    for clip in (0.0, 1e9):
        algorithm = ALGORITHMS.build("grpo", {"clip_low": clip, "clip_high": clip})
        learner = learner_of(tiny_policy(), algorithm, lr=3e-3, grad_clip=0)
        batch = learner.score(batch_of(ragged_groups()), frozenset({"old"}))
        advantages = algorithm.credit(batch)
        learner.update(batch, advantages)
        norms.append(learner.update(batch, advantages)["grad_norm"])
    assert norms[0] < 0.5 * norms[1]


def test_advantages_per_token_and_per_response_agree() -> None:
    batch = batch_of(ragged_groups())
    one, two = (learner_of(tiny_policy(), grpo(), grad_clip=0) for _ in range(2))
    advantages_B = one.algorithm.credit(batch)
    one.update(batch, advantages_B)
    two.update(batch, torch.where(batch.mask_BT, advantages_B[:, None], float("nan")))
    torch.testing.assert_close(gradients(two), gradients(one))


def test_equal_rewards_change_no_bit_and_mixed_ones_do() -> None:
    flat = batch_of(ragged_groups())
    flat.rewards_B.fill_(1.0)
    for batch, moves in ((flat, False), (batch_of(ragged_groups()), True)):
        learner = learner_of(tiny_policy(), grpo(), weight_decay=0.0)
        before = weights_of(learner)
        assert (one_step(learner, batch)["grad_norm"] > 0) is moves
        assert torch.equal(weights_of(learner), before) is not moves


def test_temperature_scales_log_probs_and_entropy() -> None:
    batch = batch_of(ragged_groups())
    cold, warm = (learner_of(tiny_policy(), grpo(entropy=0.01), temperature=t) for t in (0.6, 1.0))
    seen_cold, seen_warm = one_step(cold, batch), one_step(warm, batch)
    assert seen_cold["entropy"] < seen_warm["entropy"] == pytest.approx(seen_warm["entropy_t1"])
    assert seen_cold["entropy_t1"] == pytest.approx(seen_warm["entropy_t1"], rel=1e-5)
    assert apart(gradients(cold), gradients(warm)) > 0.01
