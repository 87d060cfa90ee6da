"""An update whose loss or gradient is not finite is dropped, and a step may be given up until the optimiser steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from oneshot.algos.schedule import Schedule
from oneshot.train import learner as learners
from oneshot.train.learner import Learner
from tests.parts import batch_of, grpo, learner_of, one_step, ragged_groups, tiny_policy


def state_of(learner: Learner) -> list[Tensor]:
    """Weights, masters and moments of policy and critic, copied."""
    moments = [t for o in learner.optimizers for s in o.state_dict()["state"].values() for t in s.values()]
    weights = [w for o in learner.optimizers for w in (*o.parameters, *o.masters)]
    return [t.detach().clone() for t in (*weights, *moments)]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def infinite_gradient(loss: Tensor) -> Tensor:
    """A finite loss whose gradient is not."""
    return loss + (loss - loss.detach()).sqrt()  # the root of 0


SPOILT: dict[str, Callable[[Tensor], Tensor]] = {
    "nan loss": lambda loss: loss * math.nan,
    "infinite loss": lambda loss: loss + math.inf,
    "infinite gradient": infinite_gradient,
}


@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize("updates", [1, 3])
def test_nothing_changes_and_the_next_step_is_as_if_it_had_not_been(
    monkeypatch: pytest.MonkeyPatch, kind: str, updates: int
) -> None:
    batch, loss_of = batch_of(ragged_groups(), micro_tokens=24), learners.policy_loss
    assert len(batch.micro) > 1
    learner, untouched = (learner_of(tiny_policy(), grpo(updates=updates)) for _ in range(2))
    calls: list[int] = []

    def spoilt(*arguments: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        loss, parts = loss_of(*arguments)
        calls.append(1)
        return (SPOILT[kind](loss) if len(calls) == 2 else loss), parts  # in one micro-batch only

    for each in (learner, untouched):
        one_step(each, batch)
    before, version = state_of(learner), learner.version
    with monkeypatch.context() as patch:
        patch.setattr(learners, "policy_loss", spoilt)
        seen = one_step(learner, batch)
    assert len(calls) == len(batch.micro)  # the same weights are not tried again
    assert (seen["dropped"], seen["update_norm"], seen["learning_rate"]) == (1.0, 0.0, 0.0)
    assert not (math.isfinite(seen["loss"]) and math.isfinite(seen["grad_norm"]))
    assert math.isfinite(seen["loss"]) is (kind == "infinite gradient")
    assert same(state_of(learner), before)
    assert (learner.version, learner.intact) == (version, True)
    assert one_step(learner, batch) == one_step(untouched, batch)
    assert same(state_of(learner), state_of(untouched))


def test_a_dropped_update_shifts_no_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 2 has its own learning rate and entropy coefficient, whether or not step 1 was dropped."""
    algorithm = grpo(entropy=0.4, entropy_of=Schedule("linear", 0.4, 0.0, 5))
    schedule = {"warmup": 2, "schedule": "linear", "lr_final": 0.0, "steps": 5}
    learner, untouched = (learner_of(tiny_policy(), algorithm, **schedule) for _ in range(2))
    batch, loss_of, seen = batch_of(ragged_groups()), learners.policy_loss, []
    for step in range(4):
        with monkeypatch.context() as patch:
            if step == 1:
                patch.setattr(learners, "policy_loss", lambda *given: (loss_of(*given)[0] * math.nan, {}))
            seen.append(one_step(learner, batch))
    expected = [one_step(untouched, batch) for _ in range(4)]
    for name in ("learning_rate", "entropy_coef"):
        assert [row[name] for row in seen[2:]] == [row[name] for row in expected[2:]]
    assert (learner.version, learner.batches) == (3, 4)
    assert [row["dropped"] for row in seen] == [0, 1, 0, 0]


def test_a_healthy_step_is_not_dropped() -> None:
    assert one_step(learner_of(tiny_policy(), grpo()), batch_of(ragged_groups()))["dropped"] == 0.0


class GivenUp(Exception):
    pass


@pytest.mark.parametrize("updates", [1, 2])
def test_where_a_step_may_be_given_up(updates: int) -> None:
    """Before every micro-batch of scoring and of the first update and before that update's end, not afterwards."""
    batch = batch_of(ragged_groups(), micro_tokens=24)
    learner = learner_of(tiny_policy(), grpo(kl=0.1, updates=updates))
    one_step(learner, batch)
    count = [0]

    def counted() -> None:
        count[0] += 1

    learner.check = counted
    one_step(learner, batch)
    scored = 1 + (updates > 1)  # the reference, and with more updates the old log-probs
    places = (scored + 1) * len(batch.micro) + 1
    assert count[0] == places
    before = state_of(learner)
    for place in range(places):
        left = [place]

        def give_up(left: list[int] = left) -> None:
            if left[0] == 0:
                raise GivenUp
            left[0] -= 1

        learner.check = give_up
        with pytest.raises(GivenUp):
            one_step(learner, batch)
        assert learner.intact
        assert same(state_of(learner), before)


def test_a_failing_optimiser_leaves_the_mark_that_the_weights_may_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = learner_of(tiny_policy(), grpo())

    def fails(rate: float) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(learner.optimizer, "step", fails)
    with pytest.raises(torch.OutOfMemoryError):
        one_step(learner, batch_of(ragged_groups()))
    assert not learner.intact
