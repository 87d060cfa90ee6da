"""PPO's critic: where it reads, what it learns, and what cannot matter to it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from oneshot.algos.algorithm import configured
from oneshot.algos.credit import less_kl, pooled, whitened, z_scored
from oneshot.train.learner import Learner
from oneshot.types import Group, TokenBatch
from tests.parts import apart, batch_of, gradients, group, learner_of, one_step, ragged_groups, tiny_policy
from tests.unit.train.with_critic import KINDS, critic_of, ppo, second_step, told_apart


def values(learner: Learner, batch: TokenBatch) -> Tensor:
    found = learner.score(batch, frozenset({"values"})).values_BT
    assert found is not None
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_read_where_its_token_is_predicted(kind: str) -> None:
    """Against one plain forward a response: V_t at the state before token t, the first at the prompt's last place."""
    groups = ragged_groups()
    learner = learner_of(tiny_policy(dtype=torch.float64), ppo(kind))
    told_apart(learner, constant=0.25)
    found_BT, row = values(learner, batch_of(groups, micro_tokens=40)), 0
    head = critic_of(learner).head
    for each in groups:
        for completion in each.completions:
            ids = torch.tensor([[*each.prompt_tokens, *completion.tokens]])
            with torch.no_grad():
                hidden = learner.policy.decoder(input_ids=ids).last_hidden_state[0, len(each.prompt_tokens) - 1 : -1]
                expected = hidden @ head.weight[0] + head.bias
            count = len(completion.tokens)
            torch.testing.assert_close(found_BT[row, :count], expected)
            assert not found_BT[row, count:].any()
            row += 1


def test_the_first_values_are_zero_and_nothing_is_drawn() -> None:
    for kind in KINDS:
        torch.manual_seed(3)
        expected = torch.rand(2)
        torch.manual_seed(3)
        learner = learner_of(tiny_policy(), ppo(kind))
        assert torch.equal(torch.rand(2), expected)
        assert not values(learner, batch_of(ragged_groups())).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_critic_at_equal_lengths_gives_the_pooled_z_score(kind: str) -> None:
    rows = [(10, 11, 12), (20, 21, 22), (30, 31, 32), (40, 41, 42)]
    groups = [group(0, (3, 4), rows[:2], [1, 0]), replace(group(0, (3, 4), rows[2:], [0, 0]), id=1)]
    learner = learner_of(tiny_policy(), ppo(kind))
    told_apart(learner, constant=0.4, scale=0.0)
    batch = learner.score(batch_of(groups), learner.algorithm.needs)
    found_BT = learner.algorithm.credit(batch)
    torch.testing.assert_close(batch.values_BT, torch.full((4, 3), 0.4))
    torch.testing.assert_close(found_BT, whitened()(batch))
    # 3 of 12 tokens have reward 1; four responses and twelve tokens differ in n − 1, and GRPO adds 1e-6 to the std.
    torch.testing.assert_close(found_BT[:, 0], (batch.rewards_B - 0.25) / (12 / 11 * 0.1875) ** 0.5)
    scale = (4 / 3 / (12 / 11)) ** 0.5
    torch.testing.assert_close(found_BT[:, 0], pooled(z_scored)(batch) * scale, rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_critic_learns_and_the_policy_s_states_are_left_alone(kind: str) -> None:
    """With the policy's own loss off nothing of the policy moves, while the critic comes to know the rewards."""
    learner = learner_of(tiny_policy(), configured(ppo(kind), {"policy": 0.0}), weight_decay=0.0)
    before = [p.detach().clone() for p in learner.parameters]
    batch, seen = batch_of(ragged_groups()), []
    for _ in range(40):
        seen.append(one_step(learner, batch))
    assert all(torch.equal(p, b) for p, b in zip(learner.parameters, before, strict=True))
    assert seen[0]["value/explained_variance"] == pytest.approx(0.0)
    assert seen[-1]["value/explained_variance"] > 0.5
    assert seen[-1]["value/loss"] < 0.5 * seen[0]["value/loss"]
    assert all(row["value/update_norm"] > 0 for row in seen)
    assert seen[-1]["adv_std"] < seen[0]["adv_std"]  # less is left to be explained
    tokens = [c.reward for g in ragged_groups() for c in g.completions for _ in c.tokens]
    assert seen[0]["value/loss"] == pytest.approx(sum(r * r for r in tokens) / 2 / len(tokens))  # V = 0


def test_a_model_of_its_own_moves_and_the_policy_keeps_its_weights() -> None:
    learner = learner_of(tiny_policy(), configured(ppo("model"), {"policy": 0.0}), weight_decay=0.0)
    told_apart(learner)
    critic = critic_of(learner)
    assert critic.own
    assert {p.data_ptr() for p in learner.parameters}.isdisjoint(p.data_ptr() for p in critic.optimizer.parameters)
    before = [p.detach().clone() for p in critic.optimizer.parameters]
    one_step(learner, batch_of(ragged_groups()))
    # The last layer's states are read, so every layer below it has a slope.
    assert all(not torch.equal(p, b) for p, b in zip(critic.optimizer.parameters, before, strict=True))
    assert len(critic.names) == len(list(critic.decoder.parameters())) + 2


def eight_rows() -> list[Group]:
    rows = [tuple(range(10 * i, 10 * i + 3 + i % 2)) for i in range(1, 9)]
    return [group(1, (3, 4, 5), rows[:4], [1, 0, 0, 1]), group(0, (3, 4, 5), rows[4:], [0, 0, 1, 0])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [True, False])
def test_one_four_and_eight_micro_batches_have_the_same_gradients(kind: str, packed: bool) -> None:
    sizes = {1: 1000, 4: 10, 8: 1} if packed else {1: 1000, 4: 14, 8: 1}
    seen = {}
    for count, tokens in sizes.items():
        algorithm = ppo(kind, updates=2, value_clip=0.01, lam=0.9)
        learner = learner_of(tiny_policy(dtype=torch.float64), algorithm, grad_clip=0, eps=1e-3)
        batch = batch_of(eight_rows(), packed=packed, micro_tokens=tokens)
        assert len(batch.micro) == count
        seen[count] = second_step(learner, batch)
    assert 0 < seen[1][0]["value/clipped"] < 1
    for count in (4, 8):
        for name in ("value/loss", "value/clipped", "value/grad_norm", "value/explained_variance", "loss", "adv_std"):
            assert seen[count][0][name] == pytest.approx(seen[1][0][name], rel=1e-6), name
        assert apart(seen[count][1], seen[1][1]) < 1e-7  # weights and advantages are float32
        assert apart(seen[count][2], seen[1][2]) < 1e-7


@pytest.mark.parametrize("kind", KINDS)
def test_the_critic_s_gradient_by_differences(kind: str) -> None:
    """Of the loss in the head's weights, through packed micro-batches, in float64."""
    learner = learner_of(tiny_policy(dtype=torch.float64), ppo(kind, value_clip=0.0), lr=0.0, grad_clip=0)
    told_apart(learner)
    batch, head = batch_of(ragged_groups(), micro_tokens=24), critic_of(learner).head
    scored = learner.score(batch, learner.algorithm.needs)
    advantages = learner.algorithm.credit(scored)
    critic_of(learner).optimizer.still = True

    def loss() -> float:
        return learner.update(scored, advantages)["value/loss"]

    loss()
    assert head.weight.grad is not None
    slopes = head.weight.grad[0].clone()
    for place in (0, 7, 31):
        found = []
        for step in (1e-5, -2e-5):
            with torch.no_grad():
                head.weight[0, place] += step
            found.append(loss())
        with torch.no_grad():
            head.weight[0, place] += 1e-5
        assert float(slopes[place]) == pytest.approx((found[0] - found[1]) / 2e-5, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_garbage_in_masked_places_changes_no_bit(kind: str) -> None:
    seen = []
    for poison in (0.0, math.nan, math.inf):
        learner = learner_of(tiny_policy(), ppo(kind))
        told_apart(learner)
        scored = learner.score(batch_of(ragged_groups()), learner.algorithm.needs)
        assert scored.values_BT is not None
        scored = replace(scored, values_BT=scored.values_BT.masked_fill(~scored.mask_BT, poison))
        metrics = learner.update(scored, learner.algorithm.credit(scored))
        seen.append(
            (metrics, gradients(learner), torch.cat([m.grad.flatten() for m in critic_of(learner).optimizer.masters]))
        )
    for metrics, policy, critic in seen[1:]:
        assert metrics == seen[0][0]
        assert torch.equal(policy, seen[0][1])
        assert torch.equal(critic, seen[0][2])


def test_kl_in_the_reward_lowers_the_returns() -> None:
    """With values of 0 the loss is half the mean square of the returns: the reward less what KL costs from there on."""
    plain, batch = ppo("head"), batch_of(ragged_groups())
    with_kl = replace(plain, credit=less_kl(plain.credit, 0.5))
    assert with_kl.needs == {"reference", "values"}
    reference_BT = learner_of(tiny_policy(), with_kl).score(batch, frozenset({"reference"})).reference_logp_BT
    assert reference_BT is not None
    cost_BT = torch.where(batch.mask_BT, 0.5 * (batch.sampler_logp_BT - reference_BT), 0.0)
    to_go_BT = cost_BT.flip(1).cumsum(1).flip(1)
    assert bool((to_go_BT[batch.mask_BT] > 0).all())  # the sampler's log-probs of −1 lie far above the learner's
    returns = (batch.rewards_B[:, None] - to_go_BT)[batch.mask_BT]
    seen = one_step(learner_of(tiny_policy(), with_kl), batch)
    assert seen["value/loss"] == pytest.approx(float(returns.square().mean()) / 2, rel=1e-4)
    assert "value/explained_variance" in seen


def test_nothing_is_explained_where_all_returns_are_equal() -> None:
    batch = batch_of(ragged_groups())
    batch.rewards_B.fill_(1.0)
    seen = one_step(learner_of(tiny_policy(), ppo("head")), batch)
    assert "value/explained_variance" not in seen
    assert (seen["adv_std"], seen["dropped"]) == (0.0, 0.0)
    assert seen["value/update_norm"] > 0  # the critic learns that too
