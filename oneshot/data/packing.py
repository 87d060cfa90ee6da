"""Groups to a TokenBatch, packed as prefix trees or padded; both give the learner the same structure.

Packed: a micro-batch is one row, the prompt once and then responses, each attending to the prompt and to itself, with
positions that restart at the prompt's length. A response's first token is predicted by the **prompt's last** place,
not by the place before it. Responses of one prompt share a row across groups; a response is never split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from oneshot.types import PAIR, Group, MicroBatch, TokenBatch, Tree

ALIKE = 0.75
"""Responses that attention computes side by side have at least this part of the longest one's tokens."""

COPIED = 4
"""Attention over the tree may keep so many times the row's own keys and values; many short responses to a long prompt
would keep far more, so they get a mask."""

Row = tuple[int, tuple[int, ...], tuple[int, ...]]
"""(index among the B responses, prompt tokens, response tokens)."""


def pack(groups: Sequence[Group], *, max_response: int, micro_tokens: int, packed: bool = True) -> TokenBatch:
    """All responses of a step in group order, with micro-batches of at most `micro_tokens` tokens (or one response)."""
    completions = [c for g in groups for c in g.completions]
    group_of = [g.id for g in groups for _ in g.completions]
    problems = sorted({g.problem.id for g in groups})
    rows = [(i, g.prompt_tokens, c.tokens) for i, (g, c) in enumerate((g, c) for g in groups for c in g.completions)]
    width = max(len(c.tokens) for c in completions)
    mask_BT = torch.zeros(len(completions), width, dtype=torch.bool)
    sampler_BT = torch.zeros(len(completions), width)
    for i, completion in enumerate(completions):
        mask_BT[i, : len(completion.tokens)] = True
        sampler_BT[i, : len(completion.logprobs)] = torch.tensor(completion.logprobs)
    layout = _packed if packed else _padded
    return TokenBatch(
        micro=tuple(layout(part) for part in _split(rows, micro_tokens, packed)),
        mask_BT=mask_BT,
        rewards_B=torch.tensor([c.reward for c in completions], dtype=torch.float32),
        group_B=torch.tensor(group_of),
        sampler_logp_BT=sampler_BT,
        max_response=max_response,
        problem_B=torch.tensor([problems.index(g.problem.id) for g in groups for _ in g.completions]),
        pair_B=roles_of(groups),
    )


def roles_of(groups: Sequence[Group]) -> Tensor | None:
    """Which example of a pair each response is to, as `TokenBatch.pair_B`; None where no group is of one."""
    roles = [role if (role := g.problem.meta.get(PAIR)) in (1, -1) else 0 for g in groups for _ in g.completions]
    return torch.tensor(roles, dtype=torch.long) if any(roles) else None


def _split(rows: Sequence[Row], micro_tokens: int, packed: bool) -> list[list[Row]]:
    """Micro-batches of at most `micro_tokens` tokens, or of one response.

    Packed, the responses of each prompt are put into as few rows as first fit finds, filled evenly, since every row
    repeats the prompt and the longest row decides the peak of memory. Padded, in order, until the budget is full.
    """
    ordered = sorted(rows, key=lambda row: (row[1], row[0]))
    if packed:
        return [
            part
            for prompt, same in groupby(ordered, key=lambda row: row[1])
            for part in _filled(list(same), micro_tokens - len(prompt))
        ]
    parts: list[list[Row]] = []
    for row in ordered:
        _, prompt, response = row
        last = parts[-1] if parts else []
        longest = max([len(p) + len(r) for _, p, r in last] + [len(prompt) + len(response)])
        if last and longest * (len(last) + 1) <= micro_tokens:
            last.append(row)
        else:
            parts.append([row])
    return parts


def _filled(rows: Sequence[Row], room: int) -> list[list[Row]]:
    """Responses of one prompt in parts of at most `room` response tokens (or one response), each in its old order."""
    longest_first = sorted(rows, key=lambda row: (-len(row[2]), row[0]))
    fitted: list[list[Row]] = []
    used: list[int] = []
    for row in longest_first:
        size = len(row[2])
        place = next((i for i, tokens in enumerate(used) if tokens + size <= room), len(used))
        if place == len(used):
            fitted.append([])
            used.append(0)
        fitted[place].append(row)
        used[place] += size
    even: list[list[Row]] = [[] for _ in fitted]
    filled = [0] * len(fitted)
    for row in longest_first:
        place = filled.index(min(filled))
        even[place].append(row)
        filled[place] += len(row[2])
    # Evening out may break the budget where first fit just kept it.
    parts = even if max(filled) <= max(used) else fitted
    return sorted(sorted(part, key=lambda row: row[0]) for part in parts)


def _packed(part: Sequence[Row]) -> MicroBatch:
    prompt = part[0][1]
    ids, positions = list(prompt), list(range(len(prompt)))
    predict: list[int] = []
    target: list[int] = []
    row_n: list[int] = []
    col_n: list[int] = []
    for number, (_, _, response) in enumerate(part):
        start = len(ids)
        ids += response
        positions += range(len(prompt), len(prompt) + len(response))
        predict += [len(prompt) - 1, *range(start, start + len(response) - 1)]
        target += response
        row_n += [number] * len(response)
        col_n += range(len(response))
    return MicroBatch(
        rows=tuple(i for i, _, _ in part),
        input_ids=torch.tensor([ids]),
        position_ids=torch.tensor([positions]),
        mask=None,
        predict_N=torch.tensor(predict),
        target_N=torch.tensor(target),
        row_N=torch.tensor(row_n),
        col_N=torch.tensor(col_n),
        tree=tree_of(len(prompt), [len(response) for _, _, response in part]),
    )


def _padded(part: Sequence[Row]) -> MicroBatch:
    width = max(len(p) + len(r) for _, p, r in part)
    ids_RL = torch.zeros(len(part), width, dtype=torch.long)
    predict: list[int] = []
    target: list[int] = []
    row_n: list[int] = []
    col_n: list[int] = []
    for number, (_, prompt, response) in enumerate(part):
        tokens = [*prompt, *response]
        ids_RL[number, : len(tokens)] = torch.tensor(tokens)
        start = number * width + len(prompt) - 1
        predict += range(start, start + len(response))
        target += response
        row_n += [number] * len(response)
        col_n += range(len(response))
    # Right padding: a real token never sees a pad, because pads come later.
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    return MicroBatch(
        rows=tuple(i for i, _, _ in part),
        input_ids=ids_RL,
        position_ids=torch.arange(width)[None].expand(len(part), -1),
        mask=causal[None, None].expand(len(part), 1, -1, -1),
        predict_N=torch.tensor(predict),
        target_N=torch.tensor(target),
        row_N=torch.tensor(row_n),
        col_N=torch.tensor(col_n),
    )


def tree_of(prompt: int, lengths: Sequence[int]) -> Tree:
    """The tree of a prompt and of responses, in this order, of these lengths (tokens, at least 1 each)."""
    starts = [prompt + sum(lengths[:i]) for i in range(len(lengths))]
    blocks: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if blocks and lengths[i] >= ALIKE * lengths[blocks[-1][0]]:
            blocks[-1].append(i)
        else:
            blocks.append([i])
    order_L, places, offset = list(range(prompt)) + [0] * sum(lengths), [], prompt
    for block in blocks:
        width = lengths[block[0]]
        places.append(torch.tensor([[starts[i] + min(t, lengths[i] - 1) for t in range(width)] for i in block]))
        for row, i in enumerate(block):
            begin = offset + row * width
            order_L[starts[i] : starts[i] + lengths[i]] = range(begin, begin + lengths[i])
        offset += len(block) * width
    in_order = order_L == list(range(offset))  # nothing is filled up either
    return Tree(prompt=prompt, blocks=tuple(places), order_L=None if in_order else torch.tensor(order_L))


def dense_mask(tree: Tree, length: int) -> Tensor:
    """Which places of a packed row each may attend to, bool [1, 1, L, L]: the prompt and its own response, up to it."""
    owner_L = torch.full((length,), -1)
    for number, block_RT in enumerate(tree.blocks):
        for row, places_T in enumerate(block_RT):
            owner_L[places_T] = number * length + row
    mask_LL = (owner_L[:, None] == owner_L[None, :]) | (owner_L[None, :] == -1)
    return (mask_LL & torch.ones(length, length, dtype=torch.bool).tril())[None, None]


def _copied(tree: Tree) -> int:
    """Places whose keys and values attention over the tree keeps: each response has a copy of the prompt's."""
    return tree.prompt + sum(len(block_RT) * (tree.prompt + block_RT.shape[1]) for block_RT in tree.blocks)


def attending(micro: MicroBatch, device: torch.device, *, tree: bool) -> dict[str, Any]:
    """How a micro-batch's places attend, as keyword arguments of a decoder; `tree` says whether it takes one.

    The mask is always given and 4-D: transformers could read restarting positions as packed sequences otherwise. Beside
    a tree it takes no memory and lets nothing through, so that a layer that used it could not go unnoticed.
    """
    length = micro.input_ids.shape[1]
    if micro.mask is not None:
        return {"attention_mask": micro.mask.to(device)}
    assert micro.tree is not None, "a micro-batch has a mask or a tree"
    if not tree or _copied(micro.tree) > COPIED * length:
        return {"attention_mask": dense_mask(micro.tree, length).to(device)}
    blocks = tuple(block_RT.to(device) for block_RT in micro.tree.blocks)
    order_L = None if micro.tree.order_L is None else micro.tree.order_L.to(device)
    nothing = torch.zeros((), dtype=torch.bool, device=device).expand(1, 1, length, length)
    return {"attention_mask": nothing, "tree": replace(micro.tree, blocks=blocks, order_L=order_L)}
