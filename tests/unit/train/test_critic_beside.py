"""The critic beside the rest: dropped steps, stop signals, masters, adapters, activation checkpointing."""

from __future__ import annotations

import math

import pytest
import torch

from oneshot.algos.zoo import ALGORITHMS
from oneshot.model.checkpointing import recompute, recomputes
from oneshot.model.lora import adapt
from oneshot.train import critic as critics
from tests.parts import batch_of, learner_of, lowered, one_step, ragged_groups, tiny_policy
from tests.unit.train.with_critic import KINDS, critic_of, ppo, second_step, told_apart


def test_on_a_cpu_auto_is_a_head() -> None:
    assert not critic_of(learner_of(tiny_policy(), ALGORITHMS.build("ppo"))).own


@pytest.mark.parametrize("kind", KINDS)
def test_a_critic_s_loss_that_is_not_finite_drops_the_step_of_both(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    learner = learner_of(tiny_policy(), ppo(kind))
    batch = batch_of(ragged_groups(), micro_tokens=24)
    one_step(learner, batch)
    states = [w.detach().clone() for o in learner.optimizers for w in o.parameters]
    steps = [float(s["step"]) for o in learner.optimizers for s in o.state_dict()["state"].values()]
    plain = critics.value_loss
    with monkeypatch.context() as patch:
        patch.setattr(critics, "value_loss", lambda *given: (plain(*given)[0] * math.nan, plain(*given)[1]))
        seen = one_step(learner, batch)
    assert (seen["dropped"], seen["update_norm"]) == (1.0, 0.0)
    assert math.isfinite(seen["loss"])
    assert all(map(torch.equal, states, [w.detach() for o in learner.optimizers for w in o.parameters]))
    assert steps == [float(s["step"]) for o in learner.optimizers for s in o.state_dict()["state"].values()]
    assert all(w.grad is None for o in learner.optimizers for w in o.masters)
    assert one_step(learner, batch)["dropped"] == 0.0


@pytest.mark.parametrize("which", [0, 1])
def test_while_either_optimiser_steps_the_learner_is_not_intact(monkeypatch: pytest.MonkeyPatch, which: int) -> None:
    """A stop signal then waits, and nothing is saved after a failure."""
    learner = learner_of(tiny_policy(), ppo("head"))
    seen: list[bool] = []
    learner.check = lambda: seen.append(True)
    optimizer = learner.optimizers[which]

    def fails(rate: float | None = None) -> float:
        assert not learner.intact
        learner._may_stop()  # a signal that comes now is not heeded
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(optimizer, "step", fails)
    with pytest.raises(torch.OutOfMemoryError):
        one_step(learner, batch_of(ragged_groups()))
    assert not learner.intact
    assert len(seen) == 2 * len(batch_of(ragged_groups()).micro) + 1  # values, update, before the first step


def test_a_critic_of_its_own_has_masters_too() -> None:
    policy = tiny_policy()
    exact = [p.detach().clone() for p in policy.decoder.parameters()]
    learner = learner_of(policy, ppo("model"), masters=lowered(policy))
    critic = critic_of(learner)
    assert {p.dtype for p in critic.decoder.parameters()} == {torch.bfloat16}
    assert {m.dtype for m in critic.optimizer.masters} == {torch.float32}
    assert all(torch.equal(m, e) for m, e in zip(critic.optimizer.masters, exact, strict=False))
    told_apart(learner)
    one_step(learner, batch_of(ragged_groups()))
    own, policys = critic.optimizer.masters, learner.optimizer.masters
    assert not any(torch.equal(m, e) for m, e in zip(own, exact, strict=False))
    assert {m.data_ptr() for m in own}.isdisjoint(m.data_ptr() for m in policys)


def test_the_critic_of_an_adapter_policy_trains_an_adapter_of_its_own() -> None:
    policy = adapt(tiny_policy(), rank=2)
    learner = learner_of(policy, ppo("model"))
    told_apart(learner)
    critic = critic_of(learner)
    frozen = [p.detach().clone() for p in critic.decoder.parameters() if not p.requires_grad]
    batch = batch_of(ragged_groups())
    for _ in range(2):  # B is 0 at first, so A has no slope before the second step
        one_step(learner, batch)
    assert len(critic.names) == len(learner.parameters) + 2
    assert all(map(torch.equal, frozen, [p for p in critic.decoder.parameters() if not p.requires_grad]))
    assert {p.data_ptr() for p in critic.optimizer.parameters}.isdisjoint(p.data_ptr() for p in learner.parameters)
    assert any(bool(p.any()) for name, p in critic.decoder.named_parameters() if "lora_B" in name)


def test_a_copy_of_layers_that_are_run_again_runs_its_own_again() -> None:
    """Activation checkpointing may be in force when the critic is copied; its layers must not be the policy's."""
    found = []
    for again in (False, True):
        policy = tiny_policy()
        if again:
            assert recompute(policy.model) == 2
        learner = learner_of(policy, ppo("model"))
        assert recomputes(critic_of(learner).decoder) is again
        _, of_policy, of_critic = second_step(learner, batch_of(ragged_groups()))
        found.append((of_policy, of_critic))
    for plain, recomputed in zip(*found, strict=True):
        torch.testing.assert_close(recomputed, plain, rtol=1e-4, atol=1e-7)
