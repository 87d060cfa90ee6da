"""Attention over fixed slots by torch, and the comparisons that decide on the kernels."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from oneshot.rollout import attend
from tests.parts import tiny_policy


@pytest.mark.parametrize(("heads", "shared"), [(4, 4), (6, 2), (4, 1)])
def test_plain_attention_by_hand(heads: int, shared: int) -> None:
    """Softmax of scaled scores over the slots that the mask shows, each group of queries over its own keys."""
    rows, slots, dim = 3, 5, 8
    maker = torch.Generator().manual_seed(0)
    query = torch.randn(rows, heads, 1, dim, generator=maker, dtype=torch.float64)
    key, value = (torch.randn(rows, shared, slots, dim, generator=maker, dtype=torch.float64) for _ in range(2))
    lengths = [1, 3, 5]
    mask = (torch.arange(slots) < torch.tensor(lengths)[:, None])[:, None, None]
    found = attend.plain(query, key, value, mask, 0.3)
    assert found.shape == (rows, 1, heads, dim)
    for row, length in enumerate(lengths):
        for head in range(heads):
            own = head // (heads // shared)
            share = (0.3 * key[row, own, :length] @ query[row, head, 0]).softmax(0)
            torch.testing.assert_close(found[row, 0, head], share @ value[row, own, :length])


def test_options_that_it_does_not_know_are_refused() -> None:
    shape = torch.zeros(1, 2, 1, 4)
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    attend.attention(nn.Module(), shape, shape, shape, mask, sliding_window=None)
    for name in ("softcap", "s_aux", "sliding_window"):
        with pytest.raises(NotImplementedError, match=name):
            attend.attention(nn.Module(), shape, shape, shape, mask, **{name: 1})


def test_no_kernels_on_a_cpu() -> None:
    assert attend.why_not(tiny_policy()) == ("the model is on cpu", "the model is on cpu")
    assert attend.why_not_attend(torch.device("cuda"), torch.float64, 4, 2, 8).startswith("there is no kernel")


def test_a_wrong_kernel_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that are torch itself are not apart; ones that are a little wrong are, by more than is allowed."""
    import sys

    device = torch.device("cpu")

    def good(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, length_R: torch.Tensor, scale: float
    ) -> object:
        mask = (torch.arange(key.shape[2]) < length_R[:, None])[:, None, None]
        return attend.plain(query, key, value, mask, scale)

    stand_in = SimpleNamespace(attend=good, draw=attend.draw)
    monkeypatch.setitem(sys.modules, "oneshot.rollout.kernels", stand_in)
    assert attend.attention_apart(device, torch.float32, 6, 2, 8) == 0
    assert attend.draws_apart(device, 300) == 0

    def longer(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, length_R: torch.Tensor, scale: float
    ) -> object:
        return good(query, key, value, length_R + 1, scale)

    stand_in.attend = longer
    assert attend.attention_apart(device, torch.float32, 6, 2, 8) > max(attend.TOLERANCE.values())
    stand_in.draw = lambda logits, uniform, temperature: attend.draw(logits, uniform * 0.9, temperature)
    assert attend.draws_apart(device, 300) > attend.FLIPS
    stand_in.draw = lambda logits, uniform, temperature: (
        attend.draw(logits, uniform, temperature)[0],
        torch.full((64,), torch.nan),
    )
    assert not attend.draws_apart(device, 300) <= attend.FLIPS
