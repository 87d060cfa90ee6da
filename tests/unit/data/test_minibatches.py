"""Whole groups in mini-batches: nothing is lost, nothing is shared, and each is what packing it alone gives."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import partial

import pytest
import torch
from torch import Tensor

from oneshot.data.minibatches import in_parts, mini_batches, order
from oneshot.data.packing import pack
from oneshot.types import PAIR, Group
from tests.parts import group, ragged_groups

PACK = partial(pack, max_response=16, micro_tokens=24)


def same(one: object, other: object) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    if is_dataclass(one):
        return type(one) is type(other) and all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, tuple):
        return isinstance(other, tuple) and len(one) == len(other) and all(map(same, one, other))
    return one == other


def four_groups() -> list[Group]:
    return [*ragged_groups(), group(9, (9, 33, 8), [(5,), (6, 7)], [1, 0])]


def with_roles(*roles: object) -> list[Group]:
    """The four groups, of which some are of a pair."""
    return [
        replace(group, problem=replace(group.problem, meta={} if role is None else {PAIR: role}))
        for group, role in zip(four_groups(), roles, strict=True)
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_roles_of_a_pair_go_with_their_responses(count: int) -> None:
    """Groups of 4, 3, 4 and 2 responses; a part without a pair does not lose those of the others."""
    batch = in_parts(with_roles(1, None, -1, None), count, PACK)
    assert batch.pair_B is not None
    assert batch.pair_B.tolist() == [1] * 4 + [0] * 3 + [-1] * 4 + [0] * 2
    for rows, mini in mini_batches(batch):
        assert mini.pair_B is not None
        assert mini.pair_B.tolist() == batch.pair_B[rows].tolist()


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("role", [None, 0, "hard", [1], 2])
def test_without_a_pair_there_are_no_roles(count: int, role: object) -> None:
    """Whatever a user's own column of that name holds."""
    assert in_parts(with_roles(role, role, role, role), count, PACK).pair_B is None


def test_one_part_is_plain_packing() -> None:
    assert same(in_parts(ragged_groups(), 1, PACK), PACK(ragged_groups()))
    assert mini_batches(PACK(ragged_groups()))[0][0] == slice(None)


@pytest.mark.parametrize(("count", "sizes"), [(2, [7, 6]), (3, [7, 4, 2]), (4, [4, 3, 4, 2]), (9, [4, 3, 4, 2])])
def test_parts_are_whole_groups_in_order(count: int, sizes: list[int]) -> None:
    """Groups of 4, 3, 4 and 2 responses; more parts than groups are as many as there are groups."""
    groups = four_groups()
    whole, joined = PACK(groups), in_parts(groups, count, PACK)
    assert list(joined.parts) == sizes
    for name in ("mask_BT", "rewards_B", "group_B", "sampler_logp_BT", "problem_B", "max_response"):
        assert same(getattr(joined, name), getattr(whole, name)), name
    assert sorted(row for micro in joined.micro for row in micro.rows) == list(range(sum(sizes)))


def test_each_mini_batch_is_what_packing_it_alone_gives() -> None:
    groups = ragged_groups()
    joined = in_parts(groups, 3, PACK)
    for (rows, part), single in zip(mini_batches(joined), groups, strict=True):
        alone = PACK([single])
        width = alone.shape[1]
        assert same(part.micro, alone.micro)
        assert not part.mask_BT[:, width:].any()
        assert torch.equal(part.mask_BT[:, :width], alone.mask_BT)
        assert torch.equal(part.rewards_B, joined.rewards_B[rows])
        assert part.parts == ()


def test_the_order_is_drawn_from_seed_step_and_pass_alone() -> None:
    seen = {
        (seed, step, number): order(seed, step, number, 8) for seed in (0, 1) for step in (0, 1) for number in (0, 1)
    }
    assert all(sorted(found) == list(range(8)) for found in seen.values())
    assert len({tuple(found) for found in seen.values()}) == len(seen)
    assert order(1, 0, 1, 8) == seen[1, 0, 1]
    assert order(5, 5, 5, 1) == [0]
