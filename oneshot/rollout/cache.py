"""The key/value cache of the native sampler: preallocated, forkable, and able to drop finished rows."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

GROWTH = 128
"""Tokens added at once when the buffer is full."""


class BufferLayer(DynamicLayer):
    """One layer's keys and values, [R, heads, capacity, dim], written in place instead of concatenated per token.

    transformers' DynamicLayer copies the whole cache for every new token; this one copies once per `GROWTH` tokens.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, **_: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate nothing yet: the first update does."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys = key_states.new_empty((*key_states.shape[:2], 0, key_states.shape[3]))
        self.values = value_states.new_empty((*value_states.shape[:2], 0, value_states.shape[3]))
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append [R, heads, q, dim] and return views of everything so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        if end > self.keys.shape[2]:
            self.keys, self.values = (_grown(t, end + GROWTH, self.length) for t in (self.keys, self.values))
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        """Tokens held per row."""
        return self.length

    def take(self, rows: Tensor) -> None:
        """Keep (or repeat) these rows, in this order: forks a prefilled prompt, drops finished responses."""
        self.keys, self.values = (_grown(t[rows], t.shape[2], self.length) for t in (self.keys, self.values))


def _grown(tensor: Tensor, capacity: int, length: int) -> Tensor:
    grown = tensor.new_empty((*tensor.shape[:2], capacity, tensor.shape[3]))
    grown[:, :, :length] = tensor[:, :, :length]
    return grown


class BufferCache(Cache):
    """A cache of `BufferLayer`s, one per decoder layer, made as the model asks for them."""

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=BufferLayer)

    def take(self, rows: Tensor) -> None:
        """`BufferLayer.take` on every layer; rows is a long tensor."""
        for layer in self._buffers:
            layer.take(rows)

    @property
    def _buffers(self) -> list[BufferLayer]:
        return cast(list[BufferLayer], self.layers)

    @property
    def bytes(self) -> int:
        """Memory held, in bytes."""
        return sum(t.numel() * t.element_size() for layer in self._buffers for t in (layer.keys, layer.values))


def causal(keep_PT: Tensor) -> Tensor:
    """Causal mask [P, 1, T, T] over left-padded prompts; a padding query attends to itself, so no row is empty."""
    length = keep_PT.shape[1]
    triangle = torch.ones(length, length, dtype=torch.bool, device=keep_PT.device).tril()
    own = torch.eye(length, dtype=torch.bool, device=keep_PT.device)
    return ((triangle & keep_PT[:, None, :]) | own)[:, None]
