"""The prefix-tree layout: by hand, as properties, and against one plain forward a response."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from oneshot.data.packing import attending, dense_mask, pack, tree_of
from oneshot.types import Group, MicroBatch, TokenBatch
from tests.parts import batch_of, group, grpo, learner_of, ragged_groups, tiny_policy

PROMPT, ONE, TWO = (11, 12, 13), (21, 22), (31,)


def only(batch: TokenBatch) -> MicroBatch:
    assert len(batch.micro) == 1
    return batch.micro[0]


def test_packed_by_hand() -> None:
    micro = only(batch_of([group(0, PROMPT, [ONE, TWO], [1, 0])]))
    assert micro.rows == (0, 1)
    assert micro.input_ids.tolist() == [[11, 12, 13, 21, 22, 31]]
    assert micro.position_ids.tolist() == [[0, 1, 2, 3, 4, 3]]
    assert micro.mask is None and micro.tree is not None
    assert dense_mask(micro.tree, 6).long().tolist() == [[[
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 1, 1, 0, 0, 1],  # the second response sees the prompt and itself
    ]]]  # fmt: skip
    # Tokens 21 and 31 are predicted by the prompt's last place (2), and 22 by the place of 21 (3).
    assert micro.predict_N.tolist() == [2, 3, 2]
    assert micro.target_N.tolist() == [21, 22, 31]
    assert micro.row_N.tolist() == [0, 0, 1]
    assert micro.col_N.tolist() == [0, 1, 0]


def test_padded_by_hand() -> None:
    micro = only(batch_of([group(0, PROMPT, [ONE, TWO], [1, 0])], packed=False))
    assert micro.input_ids.tolist() == [[11, 12, 13, 21, 22], [11, 12, 13, 31, 0]]
    assert micro.position_ids.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert micro.tree is None and micro.mask is not None
    assert micro.mask.shape == (2, 1, 5, 5)
    assert bool((micro.mask == torch.ones(5, 5).tril().bool()).all())
    assert micro.predict_N.tolist() == [2, 3, 7]
    assert micro.target_N.tolist() == [21, 22, 31]
    assert (micro.row_N.tolist(), micro.col_N.tolist()) == ([0, 0, 1], [0, 1, 0])


def test_trees_by_hand() -> None:
    """Equal responses are one block, in order; a response below three quarters of the longest begins another."""
    equal = tree_of(3, [2, 2])
    assert [block.tolist() for block in equal.blocks] == [[[3, 4], [5, 6]]]
    assert equal.order_L is None
    mixed = tree_of(1, [1, 4, 3])
    assert [block.tolist() for block in mixed.blocks] == [[[2, 3, 4, 5], [6, 7, 8, 8]], [[1]]]
    assert mixed.order_L is not None
    assert mixed.order_L.tolist() == [0, 9, 1, 2, 3, 4, 5, 6, 7]  # the last place of [6, 7, 8, 8] is read by nobody


@given(st.integers(1, 9), st.lists(st.integers(1, 12), min_size=1, max_size=8))
def test_each_place_of_a_tree_is_computed_where_it_is_read(prompt: int, lengths: list[int]) -> None:
    tree, length = tree_of(prompt, lengths), prompt + sum(lengths)
    computed = [*range(prompt), *(place for block in tree.blocks for place in block.flatten().tolist())]
    order = range(length) if tree.order_L is None else tree.order_L.tolist()
    assert [computed[place] for place in order] == list(range(length))
    assert all(block.shape[1] * 3 <= 4 * len(set(row.tolist())) for block in tree.blocks for row in block)


def test_a_mask_goes_with_every_forward() -> None:
    """Without one, transformers could read restarting positions as several sequences."""
    groups, device = [group(0, PROMPT, [ONE, TWO], [1, 0])], torch.device("cpu")
    packed, padded = only(batch_of(groups)), only(batch_of(groups, packed=False))
    assert torch.equal(attending(padded, device, tree=True)["attention_mask"], padded.mask)
    assert packed.tree is not None
    assert torch.equal(attending(packed, device, tree=False)["attention_mask"], dense_mask(packed.tree, 6))
    beside = attending(packed, device, tree=True)
    assert beside["attention_mask"].shape == (1, 1, 6, 6)
    assert not beside["attention_mask"].any()
    assert beside["tree"].prompt == 3


def test_many_short_responses_to_a_long_prompt_get_a_mask() -> None:
    """Over the tree each would keep the prompt's keys and values once more: 30 · 41 + 40 places for a row of 70."""
    device, prompt = torch.device("cpu"), tuple(range(1, 41))
    many, few = (only(batch_of([group(0, prompt, [(5,)] * count, [1] * count)])) for count in (30, 3))
    assert "tree" not in attending(many, device, tree=True)
    assert attending(many, device, tree=True)["attention_mask"].shape == (1, 1, 70, 70)
    assert "tree" in attending(few, device, tree=True)


def test_the_batch_around_the_micro_batches() -> None:
    batch = batch_of([group(4, PROMPT, [ONE], [1]), group(2, PROMPT, [TWO, ONE], [0, 1])])
    assert batch.mask_BT.tolist() == [[True, True], [True, False], [True, True]]
    assert batch.rewards_B.tolist() == [1, 0, 1]
    assert batch.rewards_B.dtype == torch.float32
    assert batch.group_B.tolist() == [4, 2, 2]
    assert batch.sampler_logp_BT.tolist() == [[-1, -1], [-1, 0], [-1, -1]]
    assert (batch.shape, batch.max_response) == ((3, 2), 16)


def test_groups_of_one_prompt_share_a_row_and_other_prompts_do_not() -> None:
    batch = batch_of(ragged_groups())
    shown = [(micro.rows, micro.position_ids[0].tolist().count(0)) for micro in batch.micro]
    assert shown == [((0, 1, 2, 3, 7, 8, 9, 10), 1), ((4, 5, 6), 1)]


def filled(lengths: list[int], micro_tokens: int) -> list[list[int]]:
    """Response lengths of each micro-batch, for a prompt of 3 tokens."""
    batch = batch_of([group(0, PROMPT, [(1,) * n for n in lengths], [0] * len(lengths))], micro_tokens=micro_tokens)
    return [[lengths[row] for row in micro.rows] for micro in batch.micro]


def test_rows_are_few_and_evenly_full() -> None:
    assert filled([2, 6, 2, 6, 2, 6], 15) == [[2, 2, 6, 2], [6, 6]]  # in order it would take three: 2+6+2, 6+2, 6
    assert filled([4] * 8, 3 + 12) == [[4, 4, 4], [4, 4, 4], [4, 4]]
    assert filled([4] * 8, 3 + 16) == [[4] * 4] * 2
    assert filled([3] * 5, 3 + 14) == [[3, 3, 3], [3, 3]]  # not 4 and 1
    assert filled([9, 9], 4) == [[9], [9]]  # longer than the budget: alone


GROUPS = st.lists(
    st.tuples(
        st.sampled_from([(1, 2, 3), (1, 2), (4,)]),
        st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=4,
)


@given(drawn=GROUPS, micro_tokens=st.integers(1, 40), packed=st.booleans())
def test_every_token_lands_once_and_no_response_is_split(
    drawn: list[tuple[tuple[int, ...], list[list[int]]]], micro_tokens: int, packed: bool
) -> None:
    groups = [group(i, prompt, responses, [0] * len(responses)) for i, (prompt, responses) in enumerate(drawn)]
    batch = pack(groups, max_response=6, micro_tokens=micro_tokens, packed=packed)
    expected = [(prompt, tuple(response)) for prompt, responses in drawn for response in responses]
    assert sorted(row for micro in batch.micro for row in micro.rows) == list(range(len(expected)))
    for micro in batch.micro:
        assert micro.input_ids.numel() <= micro_tokens or len(micro.rows) == 1
        flat = micro.input_ids.flatten()
        for number, row in enumerate(micro.rows):
            prompt, response = expected[row]
            mine = micro.row_N == number
            assert micro.target_N[mine].tolist() == list(response)
            assert micro.col_N[mine].tolist() == list(range(len(response)))
            # What predicts token t is the prompt's last token for t = 0, else token t − 1 of the same response.
            assert flat[micro.predict_N[mine]].tolist() == [prompt[-1], *response[:-1]]
            assert seen_by(micro, micro.predict_N[mine][-1]) == [*prompt, *response[:-1]]


def seen_by(micro: MicroBatch, place: Tensor) -> list[int]:
    """The tokens that the hidden state at a flat place may attend to, in order of their positions."""
    row, column = divmod(int(place), micro.input_ids.shape[1])
    mask = micro.mask if micro.tree is None else dense_mask(micro.tree, micro.input_ids.shape[1])
    assert mask is not None
    seen = mask[row, 0, column]
    order = micro.position_ids[row][seen].argsort()
    return [int(token) for token in micro.input_ids[row][seen][order]]


def log_probs(groups: list[Group], policy: Any, **options: Any) -> Tensor:
    """[B, T] as the learner computes them."""
    learner = learner_of(policy, grpo())
    return learner._scored(batch_of(groups, **options), policy.model).detach()


def separate(groups: list[Group], policy: Any) -> Tensor:
    """The same from one plain forward a response: no packing, no padding, no mask of ours."""
    rows = [(g.prompt_tokens, c.tokens) for g in groups for c in g.completions]
    found = torch.zeros(len(rows), max(len(response) for _, response in rows), dtype=policy.head.dtype)
    for i, (prompt, response) in enumerate(rows):
        logits = policy.model(input_ids=torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
        found[i, : len(response)] = logits.log_softmax(-1).gather(1, torch.tensor(response)[:, None])[:, 0]
    return found


@pytest.mark.parametrize("packed", [True, False])
@torch.no_grad()
def test_restarting_positions_do_not_hide_the_prompt(packed: bool) -> None:
    """Libraries may read position ids that restart as a new document and cut its attention to what came before."""
    policy = tiny_policy(dtype=torch.float64)
    expected = separate(ragged_groups(), policy)
    torch.testing.assert_close(log_probs(ragged_groups(), policy, packed=packed), expected, atol=1e-12, rtol=0)
    # This can fail: without the prompt the log-probs are other ones.
    hidden = separate(
        [group(0, g.prompt_tokens[-1:], [c.tokens], [0]) for g in ragged_groups() for c in g.completions], policy
    )
    assert float((hidden - expected).abs().max()) > 0.1


@torch.no_grad()
def test_a_poisoned_neighbour_changes_nothing() -> None:
    policy = tiny_policy()
    before = log_probs(ragged_groups(), policy)
    poisoned = ragged_groups()
    poisoned[0] = group(3, poisoned[0].prompt_tokens, [(4, 5, 6, 7), (50,), (99,) * 8, (10, 11)], [1, 0, 0, 1])
    after = log_probs(poisoned, policy)
    others = [i for i in range(len(before)) if i != 2]
    torch.testing.assert_close(after[others], before[others], atol=1e-6, rtol=0)
    assert float((after[2] - before[2]).abs().max()) > 0.1
