"""Groups to a TokenBatch, packed as prefix trees or padded; both give the learner the same structure.

Packed: a micro-batch is one row, the prompt once and then responses, each attending to the prompt and to itself, with
positions that restart at the prompt's length. A response's first token is predicted by the **prompt's last** place,
not by the place before it. Responses of one prompt share a row across groups; a response is never split.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch

from oneshot.types import Group, MicroBatch, TokenBatch

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
    )


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
    owner = [-1] * len(prompt)  # -1: the prompt, else the response's number in this row
    predict: list[int] = []
    target: list[int] = []
    row_n: list[int] = []
    col_n: list[int] = []
    for number, (_, _, response) in enumerate(part):
        start = len(ids)
        ids += response
        positions += range(len(prompt), len(prompt) + len(response))
        owner += [number] * len(response)
        predict += [len(prompt) - 1, *range(start, start + len(response) - 1)]
        target += response
        row_n += [number] * len(response)
        col_n += range(len(response))
    owner_L = torch.tensor(owner)
    mask_LL = (owner_L[:, None] == owner_L[None, :]) | (owner_L[None, :] == -1)
    mask_LL &= torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    return MicroBatch(
        rows=tuple(i for i, _, _ in part),
        input_ids=torch.tensor([ids]),
        position_ids=torch.tensor([positions]),
        mask=mask_LL[None, None],
        predict_N=torch.tensor(predict),
        target_N=torch.tensor(target),
        row_N=torch.tensor(row_n),
        col_N=torch.tensor(col_n),
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
