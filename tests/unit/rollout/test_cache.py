"""The sampler's key/value buffer: growth, forking, dropping, and its mask."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from oneshot.rollout import cache as module
from oneshot.rollout.cache import BufferCache, BufferLayer, causal


def states(rows: int, tokens: int, start: int = 0) -> tuple[Tensor, Tensor]:
    """Keys [rows, 2 heads, tokens, 3] whose values tell row, head, token and dimension apart; values are negative."""
    grid = torch.arange(rows)[:, None, None, None] * 1000.0 + torch.arange(2)[None, :, None, None] * 500
    keys = grid + torch.arange(start, start + tokens)[None, None, :, None] + torch.arange(3) / 10
    return keys, -keys


@pytest.mark.parametrize("growth", [1, 3, 128])
def test_token_by_token_is_the_same_as_at_once(monkeypatch: pytest.MonkeyPatch, growth: int) -> None:
    monkeypatch.setattr(module, "GROWTH", growth)
    layer = BufferLayer()
    layer.update(*states(2, 5))
    for token in range(5, 5 + 2 * growth + 3):
        keys, values = layer.update(*states(2, 1, start=token))
        assert layer.get_seq_length() == token + 1
        assert torch.equal(keys, states(2, token + 1)[0])
        assert torch.equal(values, states(2, token + 1)[1])


def test_the_buffer_grows_in_blocks_and_not_per_token() -> None:
    layer = BufferLayer()
    layer.update(*states(2, 5))
    first = layer.keys
    assert first.shape == (2, 2, 5 + module.GROWTH, 3)
    for token in range(5, 5 + module.GROWTH):
        layer.update(*states(2, 1, start=token))
    assert layer.keys is first
    layer.update(*states(2, 1, start=5 + module.GROWTH))
    assert layer.keys.shape[2] == 6 + 2 * module.GROWTH


def test_take_forks_and_drops() -> None:
    layer = BufferLayer()
    keys, values = layer.update(*states(3, 4))
    keys, values = keys.clone(), values.clone()
    rows = torch.tensor([2, 0, 0])
    layer.take(rows)
    assert layer.get_seq_length() == 4
    seen, _ = layer.update(*states(3, 1, start=4))
    assert torch.equal(seen[:, :, :4], keys[rows])
    assert torch.equal(layer.values[:, :, :4], values[rows])
    # The two copies of row 0 are apart: writing further into one leaves the other alone.
    assert torch.equal(seen[:, :, 4:], states(3, 1, start=4)[0])
    layer.take(torch.tensor([1]))
    assert layer.keys.shape[0] == 1
    assert torch.equal(layer.keys[:, :, :4], keys[:1])


def test_the_cache_takes_in_every_layer_and_counts_its_bytes() -> None:
    cache = BufferCache()
    for layer in range(3):
        cache.update(*states(2, 5), layer)
    assert cache.get_seq_length() == 5
    assert cache.bytes == 3 * 2 * (2 * 2 * (5 + module.GROWTH) * 3 * 4)
    cache.take(torch.tensor([1, 1, 1]))
    for layer in range(3):
        keys, _ = cache.update(*states(3, 1, start=5), layer)
        assert torch.equal(keys[:, :, :5], states(2, 5)[0][[1, 1, 1]])


def test_the_mask_of_left_padded_prompts() -> None:
    keep_PT = torch.tensor([[False, True, True], [True, True, True]])
    assert causal(keep_PT).long().tolist() == [
        [[[1, 0, 0], [0, 1, 0], [0, 1, 1]]],  # the padding sees itself, and nobody sees the padding
        [[[1, 0, 0], [1, 1, 0], [1, 1, 1]]],
    ]
