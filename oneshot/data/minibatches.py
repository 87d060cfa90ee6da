"""A rollout batch in mini-batches: whole groups, packed apart, so that each can be one optimiser step of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oneshot.data.packing import roles_of
from oneshot.types import Group, TokenBatch

STREAM = 0x6D696E69
"""Keeps the random numbers of the order apart from those that sample responses."""


def in_parts(groups: Sequence[Group], count: int, pack: Callable[[Sequence[Group]], TokenBatch]) -> TokenBatch:
    """All responses of a step in group order, as `pack` alone gives them, but no micro-batch reaches over two parts.

    The parts are `count` runs of groups as equal as can be (the first ones may have a group more); with fewer groups
    each is a part.
    """
    count = min(count, len(groups))
    if count == 1:
        return pack(groups)
    indices = np.array_split(np.arange(len(groups)), count)
    packed = [pack([groups[i] for i in part]) for part in indices]
    width = max(part.shape[1] for part in packed)
    problems = sorted({group.problem.id for group in groups})  # numbered as if packed together
    numbers = [problems.index(group.problem.id) for group in groups for _ in group.completions]
    starts = np.cumsum([0, *(part.shape[0] for part in packed)]).tolist()
    return TokenBatch(
        micro=tuple(
            replace(micro, rows=tuple(start + row for row in micro.rows))
            for start, part in zip(starts, packed, strict=False)
            for micro in part.micro
        ),
        mask_BT=_joined([part.mask_BT for part in packed], width),
        rewards_B=torch.cat([part.rewards_B for part in packed]),
        group_B=torch.cat([part.group_B for part in packed]),
        sampler_logp_BT=_joined([part.sampler_logp_BT for part in packed], width),
        max_response=packed[0].max_response,
        problem_B=torch.tensor(numbers),
        pair_B=roles_of(groups),
        parts=tuple(part.shape[0] for part in packed),
    )


def _joined(parts_BT: Sequence[Tensor], width: int) -> Tensor:
    return torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in parts_BT])


def mini_batches(batch: TokenBatch) -> list[tuple[slice, TokenBatch]]:
    """(rows, what there is of them) of each mini-batch; the batch itself where it is one."""
    if not batch.parts:
        return [(slice(None), batch)]
    found, start = [], 0
    for size in batch.parts:
        rows = slice(start, start + size)
        tensors: dict[str, Any] = {
            f.name: value[rows] for f in fields(batch) if isinstance(value := getattr(batch, f.name), Tensor)
        }
        inside = [m for m in batch.micro if start <= m.rows[0] < rows.stop]
        micro = tuple(replace(m, rows=tuple(row - start for row in m.rows)) for m in inside)
        found.append((rows, replace(batch, micro=micro, parts=(), **tensors)))
        start += size
    return found


def order(seed: int, step: int, number: int, count: int) -> list[int]:
    """In which order pass `number` of a step goes through its mini-batches: a function of the four alone."""
    if count == 1:
        return [0]
    drawn: list[int] = np.random.default_rng([seed, step, number, STREAM]).permutation(count).tolist()
    return drawn
