"""Where credit, surrogate, weighting and penalties meet: a toy softmax policy in float64."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from oneshot.algos.algorithm import Algorithm, Terms, policy_loss, weights
from oneshot.algos.credit import centred
from oneshot.algos.penalty import k2
from oneshot.algos.surrogate import clipped
from oneshot.algos.weighting import WEIGHTINGS
from oneshot.types import TokenBatch

LENGTHS = (3, 1, 4)
MASK = torch.arange(4)[None] < torch.tensor(LENGTHS)[:, None]
GENERATOR = torch.Generator().manual_seed(1)
TARGET = torch.randint(6, (3, 4), generator=GENERATOR)
START = torch.randn(3, 4, 6, generator=GENERATOR, dtype=torch.float64)
OLD = torch.randn(3, 4, generator=GENERATOR, dtype=torch.float64) * 0.1
ADVANTAGE = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)[:, None].expand(3, 4)
FULL = {"kl": 0.3, "entropy": 0.2, "policy": 0.7}


def algorithm_of(**changes: Any) -> Algorithm:
    return Algorithm(centred, clipped(0.2, 0.2), WEIGHTINGS.build("sequence_mean"), **changes)


def terms_of(algorithm: Algorithm, logits: Tensor) -> Terms:
    """Every response is three or fewer tokens from a table of logits; old and reference lie near the start."""
    batch = TokenBatch(
        micro=(),
        mask_BT=MASK,
        rewards_B=torch.zeros(3),
        group_B=torch.zeros(3, dtype=torch.long),
        sampler_logp_BT=torch.zeros(3, 4),
        max_response=5,
    )
    policy_weight_BT, token_weight_BT = weights(algorithm, batch)
    logp = logits.log_softmax(-1)
    start_BT = START.log_softmax(-1).gather(-1, TARGET[..., None])[..., 0]
    return Terms(
        logp_BT=logp.gather(-1, TARGET[..., None])[..., 0],
        entropy_BT=-(logp.exp() * logp).sum(-1),
        mask_BT=MASK,
        policy_weight_BT=policy_weight_BT.double(),
        token_weight_BT=token_weight_BT.double(),
        advantage_BT=ADVANTAGE,
        old_logp_BT=start_BT + OLD,
        reference_logp_BT=start_BT + 3 * OLD,
    )


def loss_of(algorithm: Algorithm, logits: Tensor) -> Tensor:
    return policy_loss(algorithm, terms_of(algorithm, logits))[0]


@pytest.mark.parametrize("changes", [{}, FULL, FULL | {"kl_of": k2}, {"policy": 0.0, "entropy": 1.0}])
def test_gradient_by_finite_differences(changes: dict[str, Any]) -> None:
    algorithm = algorithm_of(**changes)
    logits = START.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(algorithm, logits), logits)
    numeric = torch.zeros_like(START)
    for place in torch.cartesian_prod(*(torch.arange(size) for size in START.shape)):
        up, down = START.clone(), START.clone()
        up[tuple(place)] += 1e-6
        down[tuple(place)] -= 1e-6
        numeric[tuple(place)] = (loss_of(algorithm, up) - loss_of(algorithm, down)) / 2e-6
    torch.testing.assert_close(gradient, numeric, atol=1e-8, rtol=1e-6)
    assert not gradient[~MASK].any()


def test_by_hand() -> None:
    """One row of two tokens and one of one, ρ = 1: policy −Σ wA, KL from d, entropies 2, 3 and 5."""
    mask = torch.tensor([[True, True], [True, False]])
    third = torch.full((2, 2), 1 / 3, dtype=torch.float64) * mask
    logp = torch.tensor([[-1.0, -2.0], [-3.0, 9.0]], dtype=torch.float64)
    terms = Terms(
        logp_BT=logp,
        entropy_BT=torch.tensor([[2.0, 3.0], [5.0, 7.0]], dtype=torch.float64),
        mask_BT=mask,
        policy_weight_BT=third,
        token_weight_BT=third,
        advantage_BT=torch.tensor([[2.0, 2.0], [-1.0, -1.0]], dtype=torch.float64),
        old_logp_BT=None,
        reference_logp_BT=logp + torch.tensor([[2.0, 0.0], [-1.0, 5.0]], dtype=torch.float64),
    )
    loss, parts = policy_loss(algorithm_of(kl=0.1, entropy=0.01, kl_of=k2), terms)
    assert float(parts["policy"]) == pytest.approx(-(2 + 2 - 1) / 3)
    assert float(parts["entropy"]) == pytest.approx((2 + 3 + 5) / 3)
    assert float(parts["kl"]) == pytest.approx((2 + 0 + 0.5) / 3)
    assert float(loss) == pytest.approx(-1 - 0.01 * 10 / 3 + 0.1 * 2.5 / 3)
    assert not any(value.requires_grad for value in parts.values())


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_masked_places_change_neither_loss_nor_gradient(poison: float) -> None:
    algorithm = algorithm_of(**FULL)
    clean = terms_of(algorithm, START)
    names = ("logp_BT", "entropy_BT", "advantage_BT", "old_logp_BT", "reference_logp_BT")
    results = []
    for value in (0.0, poison):
        inputs = {name: getattr(clean, name).masked_fill(~MASK, value).requires_grad_() for name in names}
        loss, parts = policy_loss(algorithm, replace(clean, **inputs))
        loss.backward()
        gradients = [inputs[name].grad for name in ("logp_BT", "entropy_BT")]
        results.append([loss.detach(), *gradients, *parts.values()])
    for calm, poisoned in zip(*results, strict=True):
        assert torch.equal(calm, poisoned)
        assert bool(poisoned.isfinite().all())


def test_the_sum_over_micro_batches_is_the_whole() -> None:
    algorithm = algorithm_of(**FULL)
    logits = START.clone().requires_grad_()
    whole = terms_of(algorithm, logits)
    loss, parts = policy_loss(algorithm, whole)
    (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
    pieces = [
        policy_loss(algorithm, Terms(**{f.name: getattr(whole, f.name)[rows] for f in fields(Terms)}))
        for rows in ([2], [0, 1])
    ]
    total = torch.stack([piece for piece, _ in pieces]).sum()
    torch.testing.assert_close(total, loss, atol=1e-14, rtol=1e-12)
    torch.testing.assert_close(torch.autograd.grad(total, logits)[0], gradient, atol=1e-14, rtol=1e-12)
    for name, value in parts.items():
        torch.testing.assert_close(sum(part[name] for _, part in pieces), value, atol=1e-14, rtol=1e-12)


def test_the_entropy_bonus_raises_entropy_and_the_kl_term_lowers_kl() -> None:
    logits = START.clone().requires_grad_()
    for changes, name, better in (({"entropy": 1.0}, "entropy", 1), ({"kl": 1.0}, "kl", -1)):
        algorithm = algorithm_of(policy=0.0, **changes)
        loss, before = policy_loss(algorithm, terms_of(algorithm, logits))
        (gradient,) = torch.autograd.grad(loss, logits)
        _, after = policy_loss(algorithm, terms_of(algorithm, (logits - 0.01 * gradient).detach()))
        assert better * float(after[name] - before[name]) > 1e-6


def test_kl_and_entropy_use_the_token_mean_whatever_the_policy_weighting() -> None:
    seen = []
    for name in WEIGHTINGS.names():
        algorithm = replace(algorithm_of(**FULL), weighting=WEIGHTINGS.build(name))
        seen.append(policy_loss(algorithm, terms_of(algorithm, START))[1])
    assert len({float(parts["kl"]) for parts in seen}) == 1
    assert len({float(parts["entropy"]) for parts in seen}) == 1
    assert len({float(parts["policy"]) for parts in seen}) == len(seen)


def test_without_old_log_probs_the_ratio_is_one() -> None:
    algorithm = algorithm_of()
    terms = terms_of(algorithm, START)
    explicit = replace(terms, old_logp_BT=terms.logp_BT.detach())
    implicit = replace(terms, old_logp_BT=None)
    assert float(policy_loss(algorithm, implicit)[0]) == float(policy_loss(algorithm, explicit)[0])
    assert float(policy_loss(algorithm, implicit)[0]) != float(policy_loss(algorithm, terms)[0])
