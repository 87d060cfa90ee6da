"""KL over the whole vocabulary and the distance of weights: by hand, by brute force, and in limiting cases."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from oneshot.model import adapters, drift, lora
from tests.adapted import moved
from tests.parts import lowered, tiny_policy

EYE = torch.eye(3, dtype=torch.float64)


def brute(head0: Tensor, head1: Tensor, states0: Tensor, states1: Tensor) -> Tensor:
    """By the definition, in float64."""
    p0, p1 = ((s.double() @ h.double().T).softmax(-1) for s, h in ((states0, head0), (states1, head1)))
    return (p0 * (p0.log() - p1.log())).sum(-1)


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_three_words_by_hand() -> None:
    """p₀ = (1/2, 1/4, 1/4), p₁ = (1/4, 1/4, 1/2): 1/2 ln 2 + 0 + 1/4 ln 1/2 = 1/4 ln 2. The other way round, too.

    Against a uniform p₁: 1/2 ln 3/2 + 2 · 1/4 ln 3/4 = ln 3 − 3/2 ln 2.
    """
    z0 = torch.tensor([[2.0, 1.0, 1.0]], dtype=torch.float64).log()
    z1 = torch.tensor([[1.0, 1.0, 2.0]], dtype=torch.float64).log()
    flat = torch.full((1, 3), 7.0, dtype=torch.float64)
    assert drift.kl_of_states(EYE, EYE, z0, z1).item() == pytest.approx(math.log(2) / 4, rel=1e-12)
    assert drift.kl_of_states(EYE, EYE, z1, z0).item() == pytest.approx(math.log(2) / 4, rel=1e-12)
    assert drift.kl_of_states(EYE, EYE, z0, flat).item() == pytest.approx(math.log(3) - 1.5 * math.log(2), rel=1e-12)


@pytest.mark.parametrize("at_once", [1, 997, 3 * 997, 1 << 22])
def test_it_is_the_brute_force_sum_whatever_the_chunk(at_once: int) -> None:
    heads = (drawn(997, 16, seed=1), drawn(997, 16, seed=2))
    states = (drawn(41, 16, seed=3), drawn(41, 16, seed=4))
    found = drift.kl_of_states(*heads, *states, at_once=at_once)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), brute(*heads, *states), rtol=1e-5, atol=1e-6)


def test_a_small_kl_keeps_its_digits_in_float32() -> None:
    """About 1e-8 nats: Σ p₀ (log p₀ − log p₁) in float32 would be rounding alone."""
    head, states = drawn(2000, 16, seed=1), drawn(9, 16, seed=2)
    near = states + 5e-5 * drawn(9, 16, seed=3)
    expected = brute(head, head, states, near)
    assert 1e-10 < float(expected.max()) < 1e-6
    torch.testing.assert_close(drift.kl_of_states(head, head, states, near).double(), expected, rtol=0.02, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_model_is_at_distance_0_from_itself_exactly(dtype: torch.dtype) -> None:
    head, states = drawn(500, 8, dtype=dtype), drawn(30, 8, seed=5, dtype=dtype)
    assert torch.equal(drift.kl_of_states(head, head.clone(), states, states.clone()), torch.zeros(30).to(
        torch.promote_types(dtype, torch.float32)
    ))  # fmt: skip


def test_bfloat16_logits_are_not_rounded() -> None:
    """Rounded logits of about 20 would be off by up to 0.06 each, and their KL by far more than this."""
    heads = (4 * drawn(300, 32, seed=1, dtype=torch.bfloat16), 4 * drawn(300, 32, seed=1, dtype=torch.bfloat16))
    states = (drawn(7, 32, seed=3, dtype=torch.bfloat16), drawn(7, 32, seed=3, dtype=torch.bfloat16) * 1.125)
    found = drift.kl_of_states(*heads, *states)
    torch.testing.assert_close(found.double(), brute(*heads, *states), rtol=1e-3, atol=1e-6)


def test_probabilities_that_underflow_on_either_side() -> None:
    """p₀ is a point: KL = −log p₁ there. p₁ is nearly one elsewhere: 1000 nats, not a NaN."""
    far = torch.tensor([[1000.0, 0.0, 0.0]])
    other = torch.tensor([[0.0, 1000.0, 0.0]])
    assert drift.kl_of_logits(far, torch.zeros(1, 3)).item() == pytest.approx(math.log(3), rel=1e-6)
    assert drift.kl_of_logits(far, other).item() == pytest.approx(1000.0, rel=1e-6)
    assert drift.kl_of_logits(torch.zeros(1, 3), far).item() == pytest.approx(2000 / 3 - math.log(3), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=2, max_size=9))
def test_it_is_never_negative_and_never_moved_by_a_constant(pairs: list[tuple[float, float]]) -> None:
    z0, z1 = (torch.tensor([[pair[i] for pair in pairs]], dtype=torch.float64) for i in (0, 1))
    found = drift.kl_of_logits(z0, z1)
    assert found.item() >= 0
    assert drift.kl_of_logits(z0 + 3, z1 - 2).item() == pytest.approx(found.item(), rel=1e-6, abs=1e-12)
    p0, p1 = z0.softmax(-1), z1.softmax(-1)
    assert found.item() == pytest.approx((p0 * (p0.log() - p1.log())).sum().item(), rel=1e-6, abs=1e-9)


def test_nothing_to_compare_is_no_number() -> None:
    assert drift.kl_of_states(EYE, EYE, EYE[:0], EYE[:0]).shape == (0,)


def test_dot_is_summed_in_float64_over_every_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "PIECE", 7)
    x = torch.full((5, 5), 1e8)
    x[0, 0] = 1.0
    assert drift.dot(x, x) == 24e16 + 1
    assert drift.dot(x, torch.ones(5, 5)) == 24e8 + 1


def test_norm_and_distance_of_weights_count_a_tied_matrix_once() -> None:
    policy = tiny_policy()
    start = copy.deepcopy(policy.model)
    weights = list(policy.model.parameters())
    assert any(weight is policy.head for weight in weights)  # it is the embedding
    square = sum(float(w.detach().double().square().sum()) for w in weights)
    assert drift.weight_norm(policy.model, {}) == pytest.approx(square**0.5, rel=1e-12)
    assert drift.weight_distance(policy.model, {}, start, {}) == 0.0
    with torch.no_grad():
        policy.head[3, 4] += 3.0
        weights[1].view(-1)[5] -= 4.0
    assert drift.weight_distance(policy.model, {}, start, {}) == pytest.approx(5.0, rel=1e-6)


def test_masters_are_what_counts_where_there_are_any() -> None:
    """The working copy does not move at all, its float32 masters do."""
    policy = tiny_policy()
    masters = lowered(policy)
    assert policy.head.dtype == torch.bfloat16
    start = copy.deepcopy(policy.model)
    first = {p: masters[q].clone() for p, q in zip(start.parameters(), policy.model.parameters(), strict=True)}
    precise = sum(float(m.double().square().sum()) for m in masters.values()) ** 0.5
    assert drift.weight_norm(policy.model, masters) == pytest.approx(precise, rel=1e-12)
    assert drift.weight_distance(policy.model, masters, start, first) == 0.0
    assert drift.weight_distance(policy.model, masters, start, {}) > 0  # rounding
    masters[policy.head][0, 0] += 1e-4
    assert drift.weight_distance(policy.model, masters, start, first) == pytest.approx(1e-4, rel=1e-3)


def test_an_adapter_counts_as_what_it_adds() -> None:
    """Before it is moved nothing; then as the merged model's distance from the plain one."""
    pytest.importorskip("peft")
    plain = tiny_policy()
    policy = lora.adapt(tiny_policy(), rank=3, alpha=12.0)
    assert drift.adapter_distance(policy.model) == 0.0
    norm = drift.weight_norm(plain.model, {})
    assert drift.weight_norm(policy.model, {}) == pytest.approx(norm, rel=1e-12)
    moved(policy)
    merged = lora.merged(policy)
    assert adapters.adapted(policy.model) and not adapters.adapted(merged.model)
    apart = drift.weight_distance(merged.model, {}, plain.model, {})
    assert apart > 0.1
    assert drift.adapter_distance(policy.model) == pytest.approx(apart, rel=1e-5)
    assert drift.weight_norm(policy.model, {}) == pytest.approx(drift.weight_norm(merged.model, {}), rel=1e-6)
