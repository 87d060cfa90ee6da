"""The gradient of the policy term: the learner's own, in parts that add up, and against finite differences."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from oneshot.algos.algorithm import Algorithm
from oneshot.algos.zoo import ALGORITHMS
from oneshot.data.minibatches import in_parts
from oneshot.data.packing import pack
from oneshot.model.fingerprint import fingerprint
from oneshot.train.gradients import Gradient, by_part, policy_term
from oneshot.train.learner import Learner
from oneshot.types import Group
from tests.adapted import loaded, tiny_qwen2
from tests.parts import (
    apart,
    batch_of,
    gradients,
    group,
    grpo,
    learner_of,
    lowered,
    one_step,
    ragged_groups,
    tiny_policy,
)
from tests.tiny import save_tiny


def parts_of(learner: Learner, groups: list[Group], *, count: int = 2, packed: bool = True) -> list[Tensor]:
    """The gradient of each part, as one vector."""
    packing = partial(pack, max_response=16, micro_tokens=40, packed=packed)
    batch = learner.score(in_parts(groups, count, packing), policy_term(learner.algorithm).needs)
    return [flat(learner, part) for part in by_part(learner, batch, learner.algorithm.credit(batch))]


def flat(learner: Learner, part: Gradient) -> Tensor:
    pairs = zip(learner.optimizer.masters, part, strict=True)
    return torch.cat([torch.zeros(m.numel(), dtype=m.dtype) if g is None else g.flatten().clone() for m, g in pairs])


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "gspo", "rloo"])
def test_the_parts_add_up_to_the_gradient_of_a_step(name: str, packed: bool) -> None:
    """Of a step without KL and entropy; here they are on, and left out."""
    policy, groups = tiny_policy(), ragged_groups()
    algorithm = ALGORITHMS.build(name)
    learner = learner_of(policy, replace(algorithm, kl=0.1, entropy=0.2))
    halves = parts_of(learner, groups, packed=packed)
    assert len(halves) == 2
    assert min(float(half.norm()) for half in halves) > 0
    plain = learner_of(policy, replace(algorithm, kl=0.0, entropy=0.0), lr=0.0, weight_decay=0.0, grad_clip=0.0)
    one_step(plain, batch_of(groups, packed=packed))
    assert apart(halves[0] + halves[1], gradients(plain)) < 1e-5


def test_an_arm_without_a_policy_term_has_its_gradient_all_the_same() -> None:
    policy, groups = tiny_policy(), ragged_groups()
    off = parts_of(learner_of(policy, grpo(policy=0.0, entropy=0.5)), groups)
    assert torch.equal(off[0], parts_of(learner_of(policy, grpo()), groups)[0])


def test_nothing_is_left_behind() -> None:
    policy = tiny_policy()
    learner = learner_of(policy, grpo(kl=0.1))
    before = fingerprint(policy.model)
    parts_of(learner, ragged_groups())
    assert all(p.grad is None for p in policy.model.parameters())
    assert not learner.optimizer.adamw.state
    assert (learner.version, learner.batches) == (0, 0)
    assert fingerprint(policy.model) == before


def test_a_part_that_is_given_up_leaves_no_gradient() -> None:
    learner, left = learner_of(tiny_policy(), grpo()), [3]

    def check() -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    batch = learner.score(batch_of(ragged_groups(), micro_tokens=1), frozenset())
    learner.check = check
    with pytest.raises(KeyboardInterrupt):
        list(by_part(learner, batch, learner.algorithm.credit(batch)))
    assert all(p.grad is None for p in learner.parameters)


def test_behind_a_bfloat16_copy_gradients_are_summed_in_float32() -> None:
    policy = tiny_policy()
    exact = torch.cat(parts_of(learner_of(policy, grpo()), ragged_groups()))
    masters = lowered(policy)
    found = torch.cat(parts_of(learner_of(policy, grpo(), masters=masters), ragged_groups()))
    assert found.dtype == torch.float32
    assert 1e-6 < apart(found, exact) < 0.1


def test_along_one_direction_it_is_the_slope_of_the_loss() -> None:
    """Central differences in float64, along the other group's gradient: the numerator of the cosine."""
    policy = tiny_policy(dtype=torch.float64)
    one, other = ragged_groups()[0], ragged_groups()[1]
    learner = learner_of(policy, grpo())
    (along,) = parts_of(learner, [one], count=1)
    (slope,) = parts_of(learner, [other], count=1)
    direction = along / along.norm()
    step = 1e-5

    def loss() -> float:
        """−Σ A log p / tokens of the other group, by the model itself; A as the credit has it."""
        batch = batch_of([other])
        advantages = learner.algorithm.credit(batch)
        total = 0.0
        for advantage, completion in zip(advantages.tolist(), other.completions, strict=True):
            ids = torch.tensor([[*other.prompt_tokens, *completion.tokens]])
            start = len(other.prompt_tokens) - 1
            with torch.no_grad():
                logp_TV = policy.model(input_ids=ids).logits[0, start:-1].log_softmax(-1)
            total -= advantage * float(logp_TV.gather(1, ids[0, start + 1 :, None]).sum())
        return total / sum(len(c.tokens) for c in other.completions)

    def moved(by: float) -> float:
        first = 0
        with torch.no_grad():
            for p in learner.parameters:
                p += by * direction[first : first + p.numel()].view_as(p)
                first += p.numel()
        return loss()

    up = moved(step)
    down = moved(-2 * step)
    assert float(slope @ direction) == pytest.approx((up - down) / (2 * step), rel=1e-5)


def test_prompts_without_a_common_token_are_orthogonal_where_only_embeddings_learn(tmp_path: Path) -> None:
    """A row of the embedding has a gradient where its token was read. With an output matrix of its own, that is all."""
    policy = loaded(tiny_qwen2(save_tiny(tmp_path)))
    for name, parameter in policy.model.named_parameters():
        parameter.requires_grad_("embed_tokens" in name)
    learner = learner_of(policy, grpo())
    here = group(0, (5, 6, 7), [(8, 9), (10, 8, 9)], [1, 0])
    there = group(1, (15, 16), [(18, 19, 20), (21, 18)], [1, 0])
    shared = group(2, (15, 6), [(18, 19, 20), (21, 18)], [1, 0])
    a, b, c = (parts_of(learner, [each], count=1)[0] for each in (here, there, shared))
    assert min(float(each.norm()) for each in (a, b, c)) > 0
    assert float(a @ b) == 0.0
    assert float(a @ c) != 0.0


def test_more_optimiser_steps_a_batch_need_no_old_log_probs() -> None:
    algorithm: Algorithm = policy_term(grpo(updates=3, minibatches=2, kl=0.1))
    assert algorithm.needs == frozenset()
