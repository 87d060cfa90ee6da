"""What the fast paths are compared by: each function gives pairs of what a path computes and the same computed plainly.

A few short responses to the beginning of the example's prompt, made of its own tokens, on the run's own model. Nothing
is trained, no random stream of the run is used, and no gradient is left behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from oneshot.data.packing import dense_mask, pack
from oneshot.model.logprobs import Head, logprob_and_entropy
from oneshot.model.plain import plain_head
from oneshot.rollout.linear import few_rows, logits
from oneshot.rollout.native import MIN_ROWS
from oneshot.rollout.prefill import prefill
from oneshot.rollout.streams import CHECK_STEP
from oneshot.stages.resources.worst_case import head_of
from oneshot.stages.setup import Setup
from oneshot.train.forward import placed, states
from oneshot.types import Completion, Group, MicroBatch, Problem, Sampling

Pairs = list[tuple[Tensor, Tensor]]

PROMPT = 32
"""Tokens of the example's prompt that are used, at most."""
LENGTHS = (1, 5, 3, 4)
"""Response tokens: unequal, two about alike, and one response of a single token, which the prompt's last place alone
predicts."""
WORDS = 4096
"""Rows of the output matrix whose gradient is compared, at most."""
TENSORS = 6
"""Trained tensors whose gradients are compared."""
FIXED_ROWS, FIXED_TOKENS = 4, 8
"""Responses, and their limit, that are sampled in fixed slots to be compared."""


# Packed prefix trees, with attention over the tree or a mask, and padded rows


def packed_pairs(setup: Setup, prompt: tuple[int, ...]) -> Pairs:
    """Log-probs and entropies of some responses, and some gradients of their sum: packed, and padded."""
    return _sides(setup, [_micro(setup, prompt, packed=packed) for packed in (True, False)])


def tree_pairs(setup: Setup, prompt: tuple[int, ...]) -> Pairs:
    """The same of one packed row: with attention over its tree, and with a mask over the whole row."""
    micro = _micro(setup, prompt, packed=True)
    assert micro.tree is not None, "a packed row has a tree"
    mask = dense_mask(micro.tree, micro.input_ids.shape[1])
    return _sides(setup, [micro, replace(micro, mask=mask, tree=None)])


def _micro(setup: Setup, prompt: tuple[int, ...], *, packed: bool) -> MicroBatch:
    """Made-up responses to the prompt as one micro-batch."""
    longest = min(max(LENGTHS), setup.config.rollout.max_new_tokens)
    made = [_cut(prompt, i, min(n, longest)) for i, n in enumerate(LENGTHS)]
    room = len(LENGTHS) * (PROMPT + longest)
    (micro,) = pack([_group(prompt, made)], max_response=longest, micro_tokens=room, packed=packed).micro
    return micro


def _cut(prompt: tuple[int, ...], number: int, length: int) -> Completion:
    """A response of the prompt's tokens. Each begins elsewhere, so that one which sees its neighbour is found out."""
    row = tuple(prompt[(7 * number + t + 1) % len(prompt)] for t in range(length))
    return Completion(tokens=row, logprobs=(0.0,) * length, text="", finished=False)


def _sides(setup: Setup, micros: Sequence[MicroBatch]) -> Pairs:
    tensors, sides = _few(setup), []
    for micro in micros:
        logp_BT, entropy_BT = _values(setup, micro, max(LENGTHS))
        loss = logp_BT.sum() + 0.1 * entropy_BT.sum()
        sides.append([logp_BT, entropy_BT, _flat(torch.autograd.grad(loss, tensors, allow_unused=True))])
    return list(zip(*sides, strict=True))


def _group(prompt: tuple[int, ...], made: Sequence[Completion]) -> Group:
    problem = Problem(id="check", prompt="", answer="-")
    return Group(id=0, problem=problem, prompt_tokens=prompt, completions=tuple(made), policy_version=0)


def _values(setup: Setup, micro: MicroBatch, width: int) -> tuple[Tensor, Tensor]:
    """Log-probs and entropies of one micro-batch, [b, T], as the learner computes them."""
    policy = setup.policy
    hidden_NH = states(policy.decoder, micro, policy.device)
    target_N = micro.target_N.to(policy.device)
    values = head_of(setup)(hidden_NH, policy.head, target_N, setup.config.rollout.temperature)
    return placed(values[0], micro, width), placed(values[1], micro, width)


def _few(setup: Setup) -> list[Tensor]:
    """The smallest trained tensors, the first among equals: their gradients come through all later layers."""
    trained = [p for p in setup.policy.model.parameters() if p.requires_grad]
    return sorted(trained, key=lambda p: p.numel())[:TENSORS]


def _flat(gradients: Sequence[Tensor | None]) -> Tensor:
    return torch.cat([g.flatten().float() for g in gradients if g is not None])


# Log-prob and entropy in chunks and over all logits


def head_pairs(setup: Setup, prompt: tuple[int, ...]) -> Pairs:
    """Values over the whole vocabulary, then gradients over its first words, at the states of the prompt."""
    policy, temperature = setup.policy, setup.config.rollout.temperature
    ids, heads = torch.tensor(prompt, device=policy.device), list[Head]([logprob_and_entropy, plain_head])
    with torch.no_grad():
        hidden_NH = policy.decoder(input_ids=ids[None], use_cache=False).last_hidden_state[0]
        values = [head(hidden_NH, policy.head, ids, temperature) for head in heads]
    sides = []
    for head in heads:
        leaves = [hidden_NH.clone().requires_grad_(), policy.head[:WORDS].detach().clone().requires_grad_()]
        logp_N, entropy_N, _ = head(*leaves, ids % len(leaves[1]), temperature)
        slope_N = torch.linspace(-1, 1, len(logp_N), dtype=logp_N.dtype, device=logp_N.device)
        sides.append(torch.autograd.grad((slope_N * logp_N).sum() + 0.1 * entropy_N.sum(), leaves))
    return [*zip(*values, strict=True), *zip(*sides, strict=True)]


# Products in another form in the sampler


@torch.inference_mode()
def turned_pairs(setup: Setup, prompt: tuple[int, ...]) -> Pairs:
    """States and logits of as many single tokens as a block has rows at least."""
    policy = setup.policy
    ids_R1 = torch.tensor([[prompt[i % len(prompt)]] for i in range(MIN_ROWS)], device=policy.device)
    with few_rows(policy.decoder):
        fast = policy.decoder(input_ids=ids_R1, use_cache=False).last_hidden_state
    plain = policy.decoder(input_ids=ids_R1, use_cache=False).last_hidden_state
    return [(fast, plain), (logits(plain[:, -1], policy.head), plain[:, -1] @ policy.head.T)]


# Prompts whose beginning was run before


@torch.inference_mode()
def shared_pairs(setup: Setup, prompt: tuple[int, ...]) -> Pairs:
    """The states after two prompts that begin alike and one that does not, with the beginning run before, and whole."""
    begun = prefill(setup.policy, [prompt[: max(1, len(prompt) // 2)]])[0]
    asked = [(*prompt, prompt[0]), (*prompt[: begun.slots.used], *prompt[::-1]), (*prompt[::-1], *prompt)]
    return [(prefill(setup.policy, asked, [begun, begun, None])[1], prefill(setup.policy, asked)[1])]


# Decoding in fixed slots


def fixed_pairs(setup: Setup, prompt: tuple[int, ...]) -> Pairs:
    """1 − log p of a few sampled tokens, as the sampler recorded it and by padded forward passes.

    The 1, because a token that is nearly certain has a log p near 0, of which any rounding is a large part.
    """
    config = setup.config
    sampling = Sampling(
        temperature=config.rollout.temperature,
        max_new_tokens=min(FIXED_TOKENS, config.rollout.max_new_tokens),
        seed=config.seed,
    )
    made = setup.engine.generate([prompt] * FIXED_ROWS, sampling, [(CHECK_STEP, i) for i in range(FIXED_ROWS)])
    batch = pack([_group(prompt, made)], max_response=sampling.max_new_tokens, micro_tokens=10**6, packed=False)
    with torch.no_grad():
        logp_BT = _values(setup, batch.micro[0], batch.shape[1])[0]
    return [(1 - batch.sampler_logp_BT[batch.mask_BT], 1 - logp_BT.cpu()[batch.mask_BT])]
