"""The sampler's key/value buffer: growth, forking, rows of their own lengths, dropping."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from oneshot.rollout import cache as module
from oneshot.rollout.cache import BufferCache


def states(rows: int, tokens: int, start: int = 0) -> tuple[Tensor, Tensor]:
    """Keys [rows, 2 heads, tokens, 3] whose values tell row, head, token and dimension apart; values are negative."""
    grid = torch.arange(rows)[:, None, None, None] * 1000.0 + torch.arange(2)[None, :, None, None] * 500
    keys = grid + torch.arange(start, start + tokens)[None, None, :, None] + torch.arange(3) / 10
    return keys, -keys


def cache_of(layers: int, rows: int, tokens: int) -> BufferCache:
    cache = BufferCache()
    for layer in range(layers):
        cache.update(*states(rows, tokens), layer)
    cache.advance(tokens)
    return cache


@pytest.mark.parametrize("growth", [1, 3, 128])
def test_token_by_token_is_the_same_as_at_once(monkeypatch: pytest.MonkeyPatch, growth: int) -> None:
    monkeypatch.setattr(module, "GROWTH", growth)
    cache = cache_of(2, 2, 5)
    for token in range(5, 5 + 2 * growth + 3):
        for layer in range(2):
            keys, values = cache.update(*states(2, 1, start=token), layer)
            assert torch.equal(keys, states(2, token + 1)[0])
            assert torch.equal(values, states(2, token + 1)[1])
        cache.advance()
        assert cache.get_seq_length() == token + 1


def test_the_buffer_grows_in_blocks_and_not_per_token() -> None:
    cache = cache_of(1, 2, 5)
    first = cache.layers[0].keys
    assert first is not None and first.shape == (2, 2, 5 + module.GROWTH, 3)
    for token in range(5, 5 + module.GROWTH):
        cache.update(*states(2, 1, start=token), 0)
        cache.advance()
    assert cache.layers[0].keys is first
    grown, _ = cache.update(*states(2, 1, start=5 + module.GROWTH), 0)
    assert cache.layers[0].keys is not first
    assert torch.equal(grown, states(2, 6 + module.GROWTH)[0])


def test_rows_of_other_lengths_write_behind_their_own_ends() -> None:
    cache = cache_of(1, 3, 4)
    cache.slots.at = (torch.arange(3), torch.tensor([4, 0, 2]))
    keys, values = cache.update(*states(3, 1, start=70), 0)
    expected = torch.cat([states(3, 4)[0], torch.zeros(3, 2, 1, 3)], dim=2)  # what nobody wrote is 0, never a NaN
    for row, slot in enumerate((4, 0, 2)):
        expected[row, :, slot] = states(3, 1, start=70)[0][row, :, 0]
    assert torch.equal(keys, expected)
    assert torch.equal(values, -expected)


def test_put_forks_and_overwrites_whole_rows() -> None:
    prompts, cache = cache_of(2, 2, 4), BufferCache()
    cache.put(torch.arange(3), prompts, torch.tensor([1, 0, 1]))
    cache.slots.used = 4
    for layer in range(2):
        keys, values = cache.update(*states(3, 1, start=4), layer)
        assert torch.equal(keys[:, :, :4], states(2, 4)[0][[1, 0, 1]])
        assert torch.equal(values[:, :, :4], states(2, 4)[1][[1, 0, 1]])
        # The two copies of row 1 are apart: writing further into one leaves the other alone.
        assert torch.equal(keys[:, :, 4:], states(3, 1, start=4)[0])
    cache.advance()
    longer = cache_of(2, 1, 300)
    cache.put(torch.tensor([1]), longer, torch.tensor([0]))
    for layer in cache.layers:
        assert layer.keys is not None
        assert torch.equal(layer.keys[1, :, :300], states(1, 300)[0][0])
        assert torch.equal(layer.keys[0, :, :4], states(2, 4)[0][1])
        assert not layer.keys[0, :, 5:].any()


def test_take_keeps_rows_in_every_layer() -> None:
    cache = cache_of(3, 3, 4)
    cache.take(torch.tensor([2, 0]))
    for layer in range(3):
        keys, values = cache.update(*states(2, 1, start=4), layer)
        assert torch.equal(keys[:, :, :4], states(3, 4)[0][[2, 0]])
        assert torch.equal(values[:, :, :4], states(3, 4)[1][[2, 0]])


def test_the_cache_counts_its_bytes() -> None:
    assert cache_of(3, 2, 5).bytes == 3 * 2 * (2 * 2 * (5 + module.GROWTH) * 3 * 4)
