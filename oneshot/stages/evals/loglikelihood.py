"""Multiple choice by likelihood: which of the given continuations does the model find likeliest after the prompt?

As lm-evaluation-harness measures ARC: the score of a choice is the sum of log p of the tokens of " " + its text after
the prompt, without chat template and special tokens; `acc` takes the largest sum, `acc_norm` the largest sum divided by
the number of characters of the choice's text (without the space). The first of equal ones is taken. The tokens of a
choice are those of prompt + continuation beyond as many as the prompt alone has, so that a token that spans both is
counted as there.

A prompt stands once in a row, its choices after it as a prefix tree, and rows of several problems make a batch, padded
at the right; where not every layer attends to everything, a row is a prompt with one choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from oneshot._store.evaluations import CHOICES, Key
from oneshot.data.packing import dense_mask, pack
from oneshot.data.tasks import task as tasks
from oneshot.errors import DataError
from oneshot.model.logprobs import logprob_and_entropy
from oneshot.model.policy import Policy, attends_to_everything
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.work import Row, Work
from oneshot.stages.setup import Setup
from oneshot.types import Completion, EvalRow, Group, MicroBatch, Problem

PROBLEMS = 32
"""Scored together and kept."""
TOKENS = 4096
"""Of a forward pass, padding included, or one row."""

Scored = tuple[list[float], list[int]]
"""Sum of log p of each choice, and its tokens."""


def pairs_of(policy: Policy, problem: Problem) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Prompt tokens and the tokens of each choice.

    Raises:
        DataError: E301 no choices, a choice without tokens, or more tokens than the model has positions.
    """
    prompt, texts = problem.prompt, [" " + str(choice["text"]) for choice in problem.meta.get(tasks.CHOICES, ())]
    bare = prompt.rstrip()
    spaces = prompt[len(bare) :]  # white space at the end belongs to the continuation, or it would be a token alone
    first = _ids(policy, bare)
    choices = [_ids(policy, bare + spaces + text)[len(first) :] for text in texts]
    context = getattr(policy.model.config, "max_position_embeddings", None) or 0
    longest = len(first) + max(map(len, choices), default=0)
    if not first or not choices or not all(choices) or (context and longest > context):
        what = (
            "has an empty prompt" if not first else "has no choices" if not choices else "has a choice without tokens"
        )
        if context and longest > context:
            what = f"has {longest} tokens with its longest choice; {policy.name} was made for {context} positions"
        raise DataError(f"the problem {problem.id!r} {what}: no likelihood can be compared.", code="E301")
    return first, choices


def _ids(policy: Policy, text: str) -> tuple[int, ...]:
    return tuple(int(token) for token in policy.tokenizer(text, add_special_tokens=False)["input_ids"])


@torch.inference_mode()
def log_likelihoods(
    policy: Policy, pairs: Sequence[tuple[tuple[int, ...], list[tuple[int, ...]]]], *, tokens: int = TOKENS
) -> list[list[float]]:
    """Sum of log p of every choice's tokens after its prompt, in nats, in order; `tokens` bounds a forward pass."""
    groups = [
        Group(
            id=number,
            problem=Problem(id=str(number), prompt="", answer=""),
            prompt_tokens=prompt,
            completions=tuple(Completion(tokens=c, logprobs=(), text="", finished=True) for c in choices),
            policy_version=0,
        )
        for number, (prompt, choices) in enumerate(pairs)
    ]
    count = sum(len(choices) for _, choices in pairs)
    shared = attends_to_everything(policy)
    micro = pack(groups, max_response=1, micro_tokens=tokens, packed=shared).micro
    sums_B = torch.zeros(count, dtype=torch.float64)
    for part in _batches(sorted(micro, key=lambda m: m.input_ids.shape[1]), tokens) if shared else [[m] for m in micro]:
        for each, logp_N in zip(part, _forward(policy, part), strict=True):
            rows_N = torch.tensor(each.rows)[each.row_N]
            sums_B.index_add_(0, rows_N, logp_N.double().cpu())
    found = iter(sums_B.tolist())
    return [[next(found) for _ in choices] for _, choices in pairs]


def _batches(micro: Sequence[MicroBatch], tokens: int) -> list[list[MicroBatch]]:
    """Rows of about equal length together, at most `tokens` places each, or one row."""
    parts: list[list[MicroBatch]] = []
    for row in micro:
        if parts and (len(parts[-1]) + 1) * row.input_ids.shape[1] <= tokens:
            parts[-1].append(row)
        else:
            parts.append([row])
    return parts


def _forward(policy: Policy, part: Sequence[MicroBatch]) -> list[Tensor]:
    """Log p of the predicted tokens of each micro-batch, [N] each, in one forward pass with a mask."""
    device, width = policy.device, max(m.input_ids.shape[1] for m in part)
    rows = sum(len(m.input_ids) for m in part)
    ids_RL, positions_RL = torch.zeros(rows, width, dtype=torch.long), torch.zeros(rows, width, dtype=torch.long)
    # A pad sees itself, so that no row of the mask is empty; nothing sees a pad.
    mask = torch.eye(width, dtype=torch.bool).expand(rows, 1, width, width).clone()
    predict, row = [], 0
    for each in part:
        many, length = each.input_ids.shape
        own = slice(row, row + many)
        ids_RL[own, :length], positions_RL[own, :length] = each.input_ids, each.position_ids
        seen = dense_mask(each.tree, length) if each.tree is not None else each.mask
        assert seen is not None, "a micro-batch has a mask or a tree"
        mask[own, :, :length, :length] = seen
        predict.append(row * width + each.predict_N // length * width + each.predict_N % length)
        row += many
    states = policy.decoder(
        input_ids=ids_RL.to(device),
        position_ids=positions_RL.to(device),
        attention_mask=mask.to(device),
        use_cache=False,
    ).last_hidden_state.flatten(0, 1)
    target_N = torch.cat([each.target_N for each in part]).to(device)
    logp_N = logprob_and_entropy(states[torch.cat(predict).to(device)], policy.head, target_N, 1.0)[0]
    return list(logp_N.split([len(each.target_N) for each in part]))


def score(work: Work, setup: Setup, asked: Asked) -> None:
    """Score the choices of every problem that the record lacks. Errors as of `Work.draw` and `pairs_of`."""
    pairs = [pairs_of(setup.policy, problem) for problem in asked.problems]

    def make(keys: Sequence[Key]) -> list[Row]:
        chosen = [pairs[i] for i, _ in keys]
        found = log_likelihoods(setup.policy, chosen)
        return [
            (i, s, sums, [len(c) for c in choices])
            for (i, s), sums, (_, choices) in zip(keys, found, chosen, strict=True)
        ]

    work.draw(f"{asked.name}: problems", CHOICES, [(i, 0) for i in range(len(pairs))], PROBLEMS, make)


def row_of(problem: Problem, scored: Scored) -> EvalRow:
    """One problem: right by the largest sum; `meta` has the sums and whether the length-normalised choice is right."""
    sums, tokens = scored
    choices: Sequence[Any] = problem.meta[tasks.CHOICES]
    chosen = _largest(sums)
    normed = _largest([s / max(1, len(str(c["text"]))) for s, c in zip(sums, choices, strict=True)])
    extra = {
        "correct_norm": choices[normed]["label"] == problem.answer,
        "chosen_norm": choices[normed]["label"],
        "loglikelihoods": list(sums),
    }
    return EvalRow(
        id=problem.id,
        category=problem.category,
        prompt=problem.prompt,
        answer=problem.answer,
        response=str(choices[chosen]["text"]),
        extracted=str(choices[chosen]["label"]),
        correct=choices[chosen]["label"] == problem.answer,
        status="ok",
        cut=False,
        tokens=tokens[chosen],
        meta={**problem.meta, **extra},
    )


def _largest(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda i: (values[i], -i))
