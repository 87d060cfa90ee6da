"""The key/value cache of the native sampler: rows of their own lengths, written in place, filled and dropped by row.

A row's keys lie from slot 0 on, one slot a token, so a finished row can be overwritten by another prompt while its
neighbours go on. What lies behind a row's end is finite and masked; it is never uninitialised memory, because a NaN
there would get through the mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

GROWTH = 128
"""Slots added at once when the buffer is full."""


@dataclass
class Slots:
    """Where the next forward writes; one object for all layers of a cache."""

    used: int = 0
    """Slots in use in the longest row."""
    at: tuple[Tensor, Tensor] | None = None
    """Rows and the slot of each one's next token; None: all rows write behind `used`."""


class BufferLayer(DynamicLayer):
    """One layer's keys and values, [R, heads, capacity, dim], written in place instead of concatenated per token.

    transformers' DynamicLayer copies the whole cache for every new token; this one copies once per `GROWTH` tokens.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, slots: Slots, **_: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots = slots

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate nothing yet: the first update does."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys = key_states.new_empty((*key_states.shape[:2], 0, key_states.shape[3]))
        self.values = value_states.new_empty((*value_states.shape[:2], 0, value_states.shape[3]))
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write [R, heads, q, dim] behind every row's end and return views of all slots in use.

        The slots in use grow only with `BufferCache.advance`, after all layers have written.
        """
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        used, at = self.slots.used, self.slots.at
        end = used + key_states.shape[2]
        self.reserve(end)
        if at is None:
            self.keys[:, :, used:end] = key_states
            self.values[:, :, used:end] = value_states
        else:
            assert key_states.shape[2] == 1
            self.keys[at[0], :, at[1]] = key_states[:, :, 0]
            self.values[at[0], :, at[1]] = value_states[:, :, 0]
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reserve(self, slots: int) -> None:
        """Make room for `slots` slots a row, with `GROWTH` to spare where there was none."""
        if slots > self.keys.shape[2]:
            self.keys, self.values = (_grown(t, slots + GROWTH) for t in (self.keys, self.values))

    def get_seq_length(self) -> int:
        """Slots in use in the longest row."""
        return self.slots.used

    def take(self, rows: Tensor) -> None:
        """Keep (or repeat) these rows, in this order."""
        self.keys, self.values = self.keys[rows], self.values[rows]

    def pick(self, slots_RS: Tensor) -> None:
        """Keep these slots of each row, in this order."""
        index = slots_RS[:, None, :, None]
        self.keys = self.keys.take_along_dim(index, 2)
        self.values = self.values.take_along_dim(index, 2)

    def put(self, rows: Tensor, source: BufferLayer, of: Tensor, slots: int) -> None:
        """Overwrite the first `slots` slots of `rows` with those of the rows `of` of another layer."""
        self.reserve(slots)
        self.keys[rows, :, :slots] = source.keys[of, :, :slots]
        self.values[rows, :, :slots] = source.values[of, :, :slots]


def _grown(tensor: Tensor, capacity: int) -> Tensor:
    grown = tensor.new_zeros((*tensor.shape[:2], capacity, tensor.shape[3]))
    grown[:, :, : tensor.shape[2]] = tensor
    return grown


class BufferCache(Cache):
    """A cache of `BufferLayer`s, one per decoder layer, made as the model asks for them."""

    def __init__(self) -> None:
        self.slots = Slots()
        super().__init__(layer_class_to_replicate=cast(Any, partial(BufferLayer, self.slots)))

    def advance(self, tokens: int = 1) -> None:
        """After a forward: the longest row has this many tokens more."""
        self.slots.used += tokens

    def take(self, rows: Tensor) -> None:
        """`BufferLayer.take` on every layer; rows is a long tensor."""
        for layer in self._buffers:
            layer.take(rows)

    def put(self, rows: Tensor, source: BufferCache, of: Tensor) -> None:
        """Fork prefilled prompts: the rows `of` of `source` overwrite `rows` here. An empty cache gets its rows so."""
        slots = source.slots.used
        if not self.layers:
            for layer in source._buffers:
                mine = BufferLayer(self.slots)
                rows_like = (t[:1].expand(len(rows), -1, -1, -1) for t in (layer.keys, layer.values))
                mine.lazy_initialization(*rows_like)
                self.layers.append(mine)
        for mine, theirs in zip(self._buffers, source._buffers, strict=True):
            mine.put(rows, theirs, of, slots)

    def gather(self, rows: int, parts: Sequence[tuple[Sequence[int], BufferCache, Sequence[int]]]) -> None:
        """Fill an empty cache of so many rows: each part names rows here, another cache, and its rows for them.

        Behind a row that is shorter than the longest lie finite keys of another, which must be masked.
        """
        for at, cache, of in sorted(parts, key=lambda part: part[1].slots.used, reverse=True):
            device = cache._buffers[0].keys.device
            if not self.layers:  # the longest makes all rows
                self.put(torch.arange(rows, device=device), cache, torch.zeros(rows, dtype=torch.long, device=device))
            self.put(torch.tensor(at, device=device), cache, torch.tensor(of, device=device))
            self.slots.used = max(self.slots.used, cache.slots.used)

    def trim(self) -> None:
        """Give back the slots that are not in use."""
        for layer in self._buffers:
            layer.keys, layer.values = (t[:, :, : self.slots.used].clone() for t in (layer.keys, layer.values))

    def close(self, start_R: Tensor, head: int, slots: int) -> None:
        """Move what was written behind `head` slots to each row's own start, and keep `slots` of them."""
        slot_S = torch.arange(slots, device=start_R.device)
        behind = (slot_S + (head - start_R)[:, None]).clamp(max=self.slots.used - 1)
        for layer in self._buffers:
            layer.pick(torch.where(slot_S < start_R[:, None], slot_S, behind))
        self.slots.used = slots

    @property
    def _buffers(self) -> list[BufferLayer]:
        return cast(list[BufferLayer], self.layers)

    @property
    def bytes(self) -> int:
        """Memory held, in bytes."""
        return sum(t.numel() * t.element_size() for layer in self._buffers for t in (layer.keys, layer.values))
