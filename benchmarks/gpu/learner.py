"""The learner's MFU: one update of packed rows in bfloat16 with float32 masters, the 1.5B-shaped model.

    python benchmarks/gpu/learner.py [--groups 8] [--length 850] [--micro-tokens 16384] [--profile] [--store FILE]

Groups of 8 made-up responses with lengths around `--length` behind one prompt of 200 tokens; GRPO, entropy .01, KL 0.
MFU counts 6 operations a weight (head included) and token plus the attention's products that the tree needs, over the
datasheet's 989 TFLOP/s; the share of the measured product rate is printed beside it. Aim: 40 %. `--checkpointing`
computes activations again in the backward pass. Has not run on a GPU yet.
"""

from __future__ import annotations

import argparse
import random
from typing import Any

from common import (
    H200,
    aim,
    ceilings,
    masters_of,
    median_seconds,
    options,
    peak_gib,
    policy_of,
    profiled,
    reset_peak,
    tell,
)

import torch  # isort: skip


def groups_of(count: int, length: int, prompt: int, words: int) -> list[Any]:
    """Groups of 8 responses to one problem, uniform between half of `length` and one and a half of it."""
    from oneshot.types import Completion, Group, Problem

    draw = random.Random(0)
    problem = Problem(id="benchmark", prompt="", answer="1")
    ids = tuple(draw.randrange(words) for _ in range(prompt))
    made = []
    for number in range(count):
        lengths = [draw.randint(max(1, length // 2), max(1, length * 3 // 2)) for _ in range(8)]
        completions = tuple(
            Completion(tokens=tuple(draw.randrange(words) for _ in range(n)), logprobs=(-1.0,) * n, text="",
                       finished=True, reward=float(i % 3 == 0))
            for i, n in enumerate(lengths)
        )  # fmt: skip
        made.append(Group(id=number, problem=problem, prompt_tokens=ids, completions=completions, policy_version=0))
    return made


def operations(policy: Any, batch: Any, prompt: int) -> float:
    """Of one update: 6 a weight and token, and 12 a pair of attending tokens and head dimension in every layer."""
    config = policy.decoder.config
    body = sum(p.numel() for p in policy.decoder.layers.parameters())
    total = 0.0
    for micro in batch.micro:
        lengths = torch.bincount(micro.row_N).tolist()
        pairs = prompt * (prompt + 1) / 2 + sum(n * prompt + n * (n + 1) / 2 for n in lengths)
        dims = config.num_attention_heads * (config.hidden_size // config.num_attention_heads)
        total += 6.0 * body * micro.input_ids.numel() + 6.0 * policy.head.numel() * len(micro.target_N)
        total += 12.0 * config.num_hidden_layers * dims * pairs
    return total


def measured(given: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row and the aim."""
    from oneshot.algos.algorithm import configured
    from oneshot.algos.zoo import ALGORITHMS
    from oneshot.data.packing import pack
    from oneshot.model.checkpointing import recompute
    from oneshot.train.learner import AdamWSettings, Learner

    smoke = given.smoke
    policy = policy_of(smoke)
    count, length, prompt, micro = (2, 6, 5, 48) if smoke else (given.groups, given.length, 200, given.micro_tokens)
    ceiling = ceilings(policy.device, smoke)
    if given.checkpointing:
        recompute(policy.model)
    algorithm = configured(ALGORITHMS.build("grpo"), {"entropy": 0.01, "kl": 0.0})
    learner = Learner(policy, algorithm, AdamWSettings(lr=1e-6), temperature=0.6, masters=masters_of(policy))
    made = groups_of(count, length, prompt, len(policy.head))
    batch = pack(made, max_response=2 * length, micro_tokens=micro)
    advantages = algorithm.credit(batch)
    seen: dict[str, float] = {}

    def update() -> None:
        seen.update(learner.update(batch, advantages))

    before = reset_peak(policy.device)
    spent, every = median_seconds(update, policy.device, given.repeats)
    peak, work = peak_gib(policy.device), operations(policy, batch, prompt)
    tokens = sum(m.input_ids.numel() for m in batch.micro)
    mfu = work / spent / H200["bf16"]
    print(
        f"update  {len(batch.micro)} micro-batches, {tokens:,} packed tokens: {spent:.2f} s, {tokens / spent:,.0f} "
        f"tokens/s, MFU {mfu:.1%} (of the measured {ceiling['flops'] / 1e12:.0f} TFLOP/s: "
        f"{work / spent / ceiling['flops']:.1%}), peak {peak:.1f} GiB of which {before / 2**30:.1f} before, "
        f"loss {seen['loss']:.4g}, grad_norm {seen['grad_norm']:.4g}",
        flush=True,
    )
    if given.profile and not smoke:
        print(profiled(update))
    row = {"groups": count, "length": length, "micro_tokens": micro, "tokens": tokens, "seconds": every, "mfu": mfu}
    row |= {"operations": work, "peak_gib": peak, "ceilings": ceiling, "checkpointing": given.checkpointing}
    return row, [aim("learner, MFU", mfu, 0.4, smoke=smoke)]


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--length", type=int, default=850, help="mean response length")
    parser.add_argument("--micro-tokens", type=int, default=16_384)
    parser.add_argument("--checkpointing", action="store_true", help="compute activations again in the backward pass")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    given = parser.parse_args()
    row, aims = measured(given)
    tell("learner", {"smoke": given.smoke, **row, "aims": aims}, given.store)


if __name__ == "__main__":
    main()
