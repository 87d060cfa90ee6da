"""How far a model is from the one it began as: exact KL over the whole vocabulary, and the distance of the weights.

KL(base‖model) at a place is Σ p₀ (log p₀ − log p₁) over every word, at temperature 1. It is summed here as
Σ p₀ (e^−d − 1 + d) with d = log p₀ − log p₁, which is the same because both distributions add up to 1, but has no term
below zero, and an error of both normalisers, which small values would drown in, cancels. Logits exist for a few places
at a time. Weights are summed in float64, a piece at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from oneshot.model import adapters
from oneshot.model.wide import product

AT_ONCE = 1 << 22
"""Logits of one model that exist at once, in numbers: 16 MiB in float32. Some ten pieces of that size are there."""
PIECE = 1 << 22
"""Numbers of a tensor that are widened to float64 at once."""
ALMOST = -1.0
"""Above it e^−d − 1 + d is computed so; below, where e^−d may overflow, as p₁ − p₀ + p₀ d."""

Masters = Mapping[nn.Parameter, Tensor]
"""Parameter to the precise values behind it; one that is not there stands for itself."""


@torch.no_grad()
def kl_of_states(
    head0_VH: Tensor, head1_VH: Tensor, states0_NH: Tensor, states1_NH: Tensor, *, at_once: int = AT_ONCE
) -> Tensor:
    """KL(p₀‖p₁) in nats at each place, [N], of softmax(states × headᵀ); float32, or float64 for float64 states.

    Args:
        head0_VH: output matrix of the base.
        head1_VH: output matrix of the model.
        states0_NH: last hidden states of the base at the places that predict a token.
        states1_NH: the model's at the same places.
        at_once: logits of one model that may exist at a time, in numbers; one place at least is worked on.
    """
    if head0_VH is not head1_VH and torch.equal(head0_VH, head1_VH):
        head0_VH = head1_VH  # equal weights then give equal bits wherever they lie in memory
    rows = max(1, at_once // len(head1_VH))
    parts = [
        kl_of_logits(_logits(states0_NH[i : i + rows], head0_VH), _logits(states1_NH[i : i + rows], head1_VH))
        for i in range(0, len(states1_NH), rows)
    ]
    return torch.cat(parts) if parts else states1_NH.new_zeros(0, dtype=_wide(states1_NH))


def kl_of_logits(z0_NV: Tensor, z1_NV: Tensor) -> Tensor:
    """KL(softmax z₀ ‖ softmax z₁) of each row, [N], never below 0."""
    logp0_NV, logp1_NV = z0_NV.log_softmax(-1), z1_NV.log_softmax(-1)
    apart_NV = logp0_NV - logp1_NV
    p0_NV = logp0_NV.exp()
    near_NV = p0_NV * (torch.expm1(-apart_NV) + apart_NV)
    far_NV = logp1_NV.exp() - p0_NV + p0_NV * apart_NV
    return torch.where(apart_NV > ALMOST, near_NV, far_NV).sum(-1).clamp_min(0)


def _logits(states_NH: Tensor, head_VH: Tensor) -> Tensor:
    """In the dtype of sums. On a CPU narrow matrices are widened first: their product there is rounded."""
    if states_NH.is_cuda:
        return product(states_NH, head_VH.T)
    wide = _wide(states_NH)
    return states_NH.to(wide) @ head_VH.to(wide).T


def _wide(states_NH: Tensor) -> torch.dtype:
    return torch.promote_types(states_NH.dtype, torch.float32)


@torch.no_grad()
def dot(one: Tensor, other: Tensor) -> float:
    """Σ xᵢ yᵢ of two tensors of one shape, in float64."""
    return sum(float(x @ y) for x, y in _pieces(one, other))


@torch.no_grad()
def weight_norm(model: Any, masters: Masters) -> float:
    """‖w‖₂ of all weights, a tied matrix once; with an adapter in the model that of W + (alpha / rank) B A."""
    layers = adapters.layers(model) if adapters.adapted(model) else ()
    added = {id(layer.get_base_layer().weight): layer for _, layer in layers}
    squares = 0.0
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            continue
        weight = masters.get(parameter, parameter)
        if id(parameter) in added:
            weight = weight.double() + _change(added[id(parameter)])
        squares += dot(weight, weight)
    return float(squares**0.5)


@torch.no_grad()
def weight_distance(model: Any, masters: Masters, initial: Any, initial_masters: Masters) -> float:
    """‖w − w₀‖₂ of two models of one kind, a tied matrix once."""
    squares = 0.0
    pairs = zip(model.named_parameters(), initial.named_parameters(), strict=True)
    for (name, parameter), (other, start) in pairs:
        assert name == other, f"{name} would be compared with {other}"
        for x, y in _pieces(masters.get(parameter, parameter), initial_masters.get(start, start)):
            squares += float((x - y).square().sum())
    return float(squares**0.5)


@torch.no_grad()
def adapter_distance(model: Any) -> float:
    """‖(alpha / rank) B A‖₂ over all adapted layers: how far an adapted model is from the one without its adapter."""
    return float(sum(float(_change(layer).square().sum()) for _, layer in adapters.layers(model)) ** 0.5)


def _change(layer: Any) -> Tensor:
    """What an adapter adds to its layer's weights, in float64."""
    (name,) = layer.lora_A
    b, a = layer.lora_B[name].weight.double(), layer.lora_A[name].weight.double()
    change: Tensor = layer.scaling[name] * (b @ a)
    return change


def _pieces(one: Tensor, other: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Both tensors in float64, the same `PIECE` numbers of each at a time."""
    x, y = one.detach().flatten(), other.detach().flatten()
    assert len(x) == len(y), "two tensors of one shape"
    for start in range(0, len(x), PIECE):
        yield x[start : start + PIECE].double(), y[start : start + PIECE].double()
