"""Mask to weights, by hand and as properties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oneshot.algos.weighting import WEIGHTINGS, fixed_length, per_row, sequence_mean, token_mean

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def mask_of(lengths: list[int]) -> torch.Tensor:
    return torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [
        (token_mean, [[0.25, 0, 0], [0.25, 0.25, 0.25]]),
        (sequence_mean, [[0.5, 0, 0], [1 / 6, 1 / 6, 1 / 6]]),  # 1 / (2 rows · own length)
        (fixed_length, [[0.05, 0, 0], [0.05, 0.05, 0.05]]),  # 1 / (2 rows · limit 10)
        (per_row, [[0.5, 0, 0], [0.5, 0.5, 0.5]]),  # 1 / 2 rows, whatever the length
    ],
)
def test_by_hand(weighting: object, expected: list[list[float]]) -> None:
    assert callable(weighting)
    torch.testing.assert_close(weighting(mask_of([1, 3]), 10), torch.tensor(expected))


@given(lengths=LENGTHS)
def test_token_mean_sums_to_one(lengths: list[int]) -> None:
    assert float(token_mean(mask_of(lengths), 99).sum()) == pytest.approx(1.0, abs=1e-6)


@given(lengths=LENGTHS)
def test_sequence_mean_gives_every_response_the_same_share(lengths: list[int]) -> None:
    shares_B = sequence_mean(mask_of(lengths), 99).sum(dim=1)
    torch.testing.assert_close(shares_B, torch.full_like(shares_B, 1 / len(lengths)))


@given(lengths=LENGTHS, limit=st.integers(9, 50))
def test_fixed_length_does_not_look_at_the_lengths(lengths: list[int], limit: int) -> None:
    mask_BT = mask_of(lengths)
    weight_BT = fixed_length(mask_BT, limit)
    assert float(weight_BT[mask_BT].min()) == float(weight_BT[mask_BT].max())
    assert float(weight_BT.sum()) == pytest.approx(sum(lengths) / (len(lengths) * limit), abs=1e-6)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
@given(lengths=LENGTHS)
def test_masked_tokens_weigh_nothing(name: str, lengths: list[int]) -> None:
    mask_BT = mask_of(lengths)
    weight_BT = WEIGHTINGS.build(name)(mask_BT, 9)
    assert not weight_BT[~mask_BT].any()
    assert bool((weight_BT[mask_BT] > 0).all())


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_a_step_without_a_token_gives_no_nan(name: str) -> None:
    assert not WEIGHTINGS.build(name)(torch.zeros(2, 3, dtype=torch.bool), 5).any()
