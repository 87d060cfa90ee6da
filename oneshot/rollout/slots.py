"""A key/value cache of fixed size: it never moves in memory, so a decode step can be recorded once and replayed.

Each row writes its next token at its own length, which is a tensor; what lies behind it is finite (zeros or an earlier
row's tokens) and masked or never read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from oneshot.model.policy import Policy
from oneshot.rollout.cache import BufferCache

SPARE = 0.85
"""Share of the GPU's free memory that the cache and one step's logits may take."""


@dataclass
class Place:
    """Where the next forward writes; one object for all layers."""

    rows_R: Tensor
    """0, 1, ..., R − 1."""
    slot_R: Tensor
    window: int
    """Slots that attention is shown; no row is longer."""


class FixedLayer(DynamicLayer):
    """One layer's keys and values, [rows, heads, slots, dim]; a forward may use the first R rows only."""

    keys: Tensor
    values: Tensor

    def __init__(self, place: Place, keys: Tensor, values: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.place, self.keys, self.values = place, keys, values
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write [R, heads, 1, dim], each row at its own slot, and return views of all slots in the window."""
        at, rows = self.place, len(key_states)
        self.keys[at.rows_R, :, at.slot_R] = key_states[:, :, 0]
        self.values[at.rows_R, :, at.slot_R] = value_states[:, :, 0]
        return self.keys[:rows, :, : at.window], self.values[:rows, :, : at.window]

    def get_seq_length(self) -> int:
        """The window: lengths differ by row, and positions are always given to the model."""
        return self.place.window


class FixedCache(Cache):
    """`rows` times `slots`, like a prefilled cache in everything else."""

    def __init__(self, like: BufferCache, rows: int, slots: int, place: Place) -> None:
        self.place = place
        made = [
            FixedLayer(place, *(t.new_zeros(rows, t.shape[1], slots, t.shape[3]) for t in (layer.keys, layer.values)))
            for layer in like._buffers
        ]
        super().__init__(layers=cast(Any, made))

    def put(self, rows: Tensor, source: BufferCache, of: Tensor) -> None:
        """Fork prefilled prompts: the rows `of` of `source` overwrite `rows` here."""
        used = source.slots.used
        for mine, theirs in zip(self._layers, source._buffers, strict=True):
            mine.keys[rows, :, :used] = theirs.keys[of, :, :used]
            mine.values[rows, :, :used] = theirs.values[of, :, :used]

    def move(self, into: Tensor, out_of: Tensor, used: int) -> None:
        """Copy rows within the cache, their first `used` slots."""
        for layer in self._layers:
            layer.keys[into, :, :used] = layer.keys[out_of, :, :used]
            layer.values[into, :, :used] = layer.values[out_of, :, :used]

    @property
    def _layers(self) -> list[FixedLayer]:
        return cast(list[FixedLayer], self.layers)


def bytes_a_slot(policy: Policy) -> int:
    """Keys and values of one token in all layers."""
    config: Any = policy.decoder.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * int(config.num_hidden_layers) * int(heads) * int(dim) * policy.head.element_size()


def rows_that_fit(policy: Policy, slots: int) -> int:
    """Rows of `slots` slots for which the GPU has memory now, at least 1. Has not run on a GPU yet.

    Drawing by torch takes up to 32 bytes a row and word: logits, log-probs, and the running sum in float64.
    """
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(policy.device)
    return max(1, int(SPARE * free) // (slots * bytes_a_slot(policy) + 32 * len(policy.head)))
