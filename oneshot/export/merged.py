"""The weights as they leave: an adapter added to its model, and the dtype that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneshot.model.policy import Policy

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A plain policy, ready to be written, and how it came about."""

    policy: Policy
    dtype: str
    bytes: int
    """Of the weights on disk; a tied matrix counts once."""
    notes: tuple[str, ...] = ()
    """A sentence each."""


def plain_weights(policy: Policy, dtype: str) -> Weights:
    """The policy without an adapter, in `dtype`; its model is changed in place.

    An adapter is added in the dtype the policy was loaded in, so load it in float32: the sums are rounded once.
    """
    import torch

    from oneshot.model import lora

    assert dtype in DTYPES, dtype
    notes = list[str]()
    had = str(policy.model.dtype).removeprefix("torch.")
    if policy.adapted:
        policy = lora.merged(policy, keep=False)
        notes.append(f"the adapter was merged into its model in {had}")
    if had != dtype:
        for weight in policy.model.parameters():  # buffers, such as rotary frequencies, stay float32 in every model
            weight.data = weight.data.to(getattr(torch, dtype))
        policy.model.config.dtype = getattr(torch, dtype)
        notes.append(f"weights are rounded from {had} to {dtype}" if dtype == "bfloat16" else f"{had} is kept exactly")
    count = sum(weight.numel() * weight.element_size() for weight in policy.model.parameters())
    return Weights(policy=policy, dtype=dtype, bytes=count, notes=tuple(notes))
