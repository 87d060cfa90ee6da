"""Where credit, surrogate, weighting and penalties meet: a toy softmax policy in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from oneshot.algos.algorithm import Algorithm, Terms, configured, policy_loss
from oneshot.algos.credit import centred, less_kl
from oneshot.algos.penalty import k2, rho_k3
from oneshot.algos.surrogate import clipped
from oneshot.algos.weighting import sequence_mean
from oneshot.algos.zoo import ALGORITHMS
from oneshot.types import TokenBatch
from tests import toy

FULL = {"kl": 0.3, "entropy": 0.2, "policy": 0.7}
REWARDS = (1.0, 0, 0, 0.5, 0, 1, 0, 0)
WIDE = {"clip_low": 0.2, "clip_high": 0.2}
"""GSPO's own limits are so narrow that the toy's noise leaves them."""

CASES: dict[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {
    **{name: (name, {}, FULL) for name in ALGORITHMS.names()},
    "gspo, wide": ("gspo", WIDE, FULL),
    "reinforce_pp, group": ("reinforce_pp", {"baseline": "group"}, FULL),
    "truncated importance": ("grpo", {}, {**FULL, "importance_cap": 1.05}),
    "k2": ("grpo", {}, {**FULL, "kl_of": k2}),
    "rho_k3": ("grpo", {}, {**FULL, "kl_of": rho_k3}),
    "entropy alone": ("grpo", {}, {"policy": 0.0, "entropy": 1.0}),
    "nothing": ("grpo", {}, {"policy": 0.0}),
}


def algorithm_of(case: str) -> Algorithm:
    name, options, shared = CASES[case]
    return configured(ALGORITHMS.build(name, options), shared)


def scored() -> TokenBatch:
    return toy.batch(REWARDS, groups=[0] * 4 + [1] * 4)


def numeric_gradient(algorithm: Algorithm, batch: TokenBatch) -> Tensor:
    """Central differences of the loss in every logit."""
    numeric = torch.zeros_like(toy.START)
    with torch.no_grad():
        for place in torch.cartesian_prod(*(torch.arange(size) for size in toy.START.shape)):
            up, down = toy.START.clone(), toy.START.clone()
            up[tuple(place)] += 1e-6
            down[tuple(place)] -= 1e-6
            numeric[tuple(place)] = (toy.loss_of(algorithm, batch, up) - toy.loss_of(algorithm, batch, down)) / 2e-6
    return numeric


@pytest.mark.parametrize("case", [case for case in CASES if case != "cispo"])
def test_gradient_by_finite_differences(case: str) -> None:
    algorithm, batch = algorithm_of(case), scored()
    gradient = toy.gradient_of(algorithm, batch)
    torch.testing.assert_close(gradient, numeric_gradient(algorithm, batch), atol=1e-8, rtol=1e-6)
    assert not gradient[~toy.MASK].any()
    assert bool(gradient.any()) is (case != "nothing")


def test_the_gradient_of_cispo_by_finite_differences() -> None:
    """Its weight has no gradient by definition, so here it is a constant of the policy at the start."""
    algorithm, batch = algorithm_of("cispo"), scored()
    ratio_BT = (toy.log_probs(toy.START) - batch.old_logp_BT).exp()

    def frozen(logp_BT: Tensor, old_BT: Tensor, advantage_BT: Tensor, mask_BT: Tensor) -> Tensor:
        return -ratio_BT.clamp(max=5.0) * advantage_BT * logp_BT

    expected = numeric_gradient(replace(algorithm, surrogate=frozen), batch)
    torch.testing.assert_close(toy.gradient_of(algorithm, batch), expected, atol=1e-8, rtol=1e-6)


def two_rows(**changes: Any) -> Terms:
    """One row of two tokens and one of one, ρ = 1; d = 2, 0 and −1, entropies 2, 3 and 5."""
    mask = torch.tensor([[True, True], [True, False]])
    third = torch.full((2, 2), 1 / 3, dtype=torch.float64) * mask
    logp = torch.tensor([[-1.0, -2.0], [-3.0, 9.0]], dtype=torch.float64)
    terms = Terms(
        logp_BT=logp.requires_grad_(),
        entropy_BT=torch.tensor([[2.0, 3.0], [5.0, 7.0]], dtype=torch.float64, requires_grad=True),
        mask_BT=mask,
        policy_weight_BT=third,
        token_weight_BT=third,
        advantage_BT=torch.tensor([[2.0, 2.0], [-1.0, -1.0]], dtype=torch.float64),
        old_logp_BT=None,
        reference_logp_BT=logp.detach() + torch.tensor([[2.0, 0.0], [-1.0, 5.0]], dtype=torch.float64),
    )
    return replace(terms, **changes)


def plain(**changes: Any) -> Algorithm:
    return Algorithm(centred, clipped(0.2, 0.2), sequence_mean, **changes)


def test_by_hand() -> None:
    loss, parts = policy_loss(plain(kl=0.1, entropy=0.01, kl_of=k2), two_rows())
    assert float(parts["policy"]) == pytest.approx(-(2 + 2 - 1) / 3)
    assert float(parts["entropy"]) == pytest.approx((2 + 3 + 5) / 3)
    assert float(parts["kl"]) == pytest.approx((2 + 0 + 0.5) / 3)
    assert float(loss.detach()) == pytest.approx(-1 - 0.01 * 10 / 3 + 0.1 * 2.5 / 3)
    assert not any(value.requires_grad for value in parts.values())


@pytest.mark.parametrize(
    ("coefficients", "expected", "reached"),
    [
        ({"policy": 0.0, "kl": 0.1}, 0.1 * 2.5 / 3, {"logp"}),
        ({"policy": 0.0, "entropy": 0.01}, -0.01 * 10 / 3, {"entropy"}),
        ({"entropy": 0.01}, -1 - 0.01 * 10 / 3, {"logp", "entropy"}),
        ({}, -1.0, {"logp"}),
        ({"policy": 0.0}, 0.0, set()),
    ],
)
def test_a_term_that_is_off_gives_neither_loss_nor_gradient(
    coefficients: dict[str, float], expected: float, reached: set[str]
) -> None:
    terms = two_rows()
    loss, parts = policy_loss(plain(kl_of=k2, **coefficients), terms)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(expected)
    gradients = {"logp": terms.logp_BT.grad, "entropy": terms.entropy_BT.grad}
    assert {name for name, slope in gradients.items() if slope is not None and slope.any()} == reached
    assert terms.logp_BT.grad is not None  # so that backward never fails
    assert {"policy", "entropy"} <= parts.keys()  # watched even where not optimised
    assert ("kl" in parts) is ("kl" in coefficients)


def test_the_importance_weight_scales_the_policy_term_alone() -> None:
    """Learner over sampler: 1.5, 4 (cut at 2) and .5 of the advantages 2, 2 and −1."""
    shift = torch.tensor([[1.5, 4.0], [0.5, 9.0]], dtype=torch.float64).log()
    terms = two_rows()
    terms = replace(terms, sampler_logp_BT=terms.logp_BT.detach() - shift)
    _, parts = policy_loss(plain(importance_cap=2.0, kl=0.1, kl_of=k2), terms)
    assert float(parts["policy"]) == pytest.approx(-(3 + 4 - 0.5) / 3)
    assert float(parts["kl"]) == pytest.approx(2.5 / 3)
    (slope,) = torch.autograd.grad(policy_loss(plain(importance_cap=2.0), terms)[0], terms.logp_BT)
    assert (slope * 3).tolist() == [pytest.approx([-3.0, -4.0]), pytest.approx([0.5, 0.0])]


def test_clamped_tokens_and_clip_ratios_are_counted() -> None:
    far = torch.tensor([[30.0, 0.0], [-1.0, 99.0]], dtype=torch.float64)
    terms = two_rows()
    ratios = torch.tensor([[1.5, 1.1], [0.5, 9.0]], dtype=torch.float64)
    terms = replace(
        terms, reference_logp_BT=terms.logp_BT.detach() + far, old_logp_BT=terms.logp_BT.detach() - ratios.log()
    )
    _, parts = policy_loss(plain(kl=0.1), terms)
    assert float(parts["kl/clamped"]) == 1.0
    found = [float(parts[f"clip_ratio/{name}_mean"]) for name in ("low", "high", "region")]
    assert found == pytest.approx([1 / 3, 1 / 3, 2 / 3])  # .5 with A < 0, 1.5 with A > 0, of three tokens


NAMES = ("logp_BT", "entropy_BT", "advantage_BT", "old_logp_BT", "reference_logp_BT", "sampler_logp_BT")


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("updates", [1, 2])
def test_masked_places_change_neither_loss_nor_gradient(case: str, poison: float, updates: int) -> None:
    algorithm, batch = algorithm_of(case), scored()
    clean = toy.terms_of(algorithm, batch if updates == 2 else toy.on_policy(batch), toy.START)
    results = []
    for value in (0.0, poison):
        given = {name: getattr(clean, name) for name in NAMES if getattr(clean, name) is not None}
        inputs = {name: tensor.masked_fill(~toy.MASK, value).requires_grad_() for name, tensor in given.items()}
        loss, parts = policy_loss(algorithm, replace(clean, **inputs))
        loss.backward()
        slopes = [inputs[name].grad for name in ("logp_BT", "entropy_BT")]
        results.append([loss.detach(), *(slope for slope in slopes if slope is not None), *parts.values()])
    for calm, poisoned in zip(*results, strict=True):
        assert torch.equal(calm, poisoned)
        assert bool(poisoned.isfinite().all())


@pytest.mark.parametrize("case", CASES)
def test_the_sum_over_micro_batches_is_the_whole(case: str) -> None:
    algorithm = algorithm_of(case)
    logits = toy.START.clone().requires_grad_()
    whole = toy.terms_of(algorithm, scored(), logits)
    loss, parts = policy_loss(algorithm, whole)
    (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
    for cut in ([[2], [0, 1], [7, 3], [4, 5, 6]], [[row] for row in range(8)]):
        pieces = [
            policy_loss(algorithm, Terms(**{f.name: getattr(whole, f.name)[rows] for f in fields(Terms)}))
            for rows in cut
        ]
        total = torch.stack([piece for piece, _ in pieces]).sum()
        torch.testing.assert_close(total, loss, atol=1e-14, rtol=1e-12)
        (found,) = torch.autograd.grad(total, logits, retain_graph=True)
        torch.testing.assert_close(found, gradient, atol=1e-14, rtol=1e-12)
        for name, value in parts.items():
            torch.testing.assert_close(sum(part[name] for _, part in pieces), value, atol=1e-14, rtol=1e-12)


def test_kl_in_the_reward_moves_the_policy_term_and_adds_none() -> None:
    batch, algorithm = scored(), plain()
    less = replace(algorithm, credit=less_kl(algorithm.credit, 0.5))
    assert not torch.equal(toy.gradient_of(less, batch), toy.gradient_of(algorithm, batch))
    assert "kl" not in policy_loss(less, toy.terms_of(less, batch, toy.START))[1]
