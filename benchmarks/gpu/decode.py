"""Decoding at 1,024 sequences: tokens a second against the bandwidth bound and against transformers' `generate`.

    python benchmarks/gpu/decode.py [--sequences 1024] [--prompt 200] [--new 512] [--profile] [--store FILE] [--smoke]

The 1.5B-shaped model with random weights; no token ends a response, so every sequence has exactly `--new` tokens. The
machine's bandwidth is measured first, by a copy. The bound reads the weights once and every sequence's keys and values
once a step; the compute bound is two operations a weight and token at the measured product rate. `generate` runs with
`--plain-new` tokens, and so do we beside it. `--profile` prints where the time of 16 tokens goes, kernel by kernel.
Aims: 30,000 tokens/s, and 5 times `generate`. Has not run on a GPU yet.
"""

from __future__ import annotations

import argparse
from typing import Any

from common import aim, ceilings, median_seconds, options, peak_gib, policy_of, profiled, reset_peak, tell

import torch  # isort: skip


def ours(engine: Any, prompt: list[int], sequences: int, new: int) -> Any:
    """Decode `new` tokens for each of `sequences` samples of one prompt."""
    from oneshot.types import Sampling

    sampling = Sampling(temperature=0.6, max_new_tokens=new, seed=0)
    found = engine.generate([prompt] * sequences, sampling, [(0, i) for i in range(sequences)])
    assert sum(len(c.tokens) for c in found) == sequences * new
    return found


def plain(policy: Any, prompt: list[int], sequences: int, new: int) -> Any:
    """The library's own decoding of the same."""
    ids = torch.tensor([prompt], device=policy.device)
    return policy.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=0.6,
        top_k=0,
        top_p=1.0,
        num_return_sequences=sequences,
        min_new_tokens=new,
        max_new_tokens=new,
        eos_token_id=None,
        pad_token_id=0,
    )


def bounds(policy: Any, sequences: int, tokens: float, ceiling: dict[str, float]) -> dict[str, float]:
    """Tokens a second if a step only read what it must, or only multiplied what it must; `tokens` cached a row."""
    from oneshot.rollout.slots import bytes_a_slot

    weights = sum(p.numel() for p in policy.model.parameters())
    moved = weights * policy.head.element_size() + sequences * tokens * bytes_a_slot(policy)
    return {
        "bandwidth": sequences * ceiling["bytes"] / moved,
        "compute": sequences * ceiling["flops"] / (2 * weights * sequences),
        "step_gb": moved / 1e9,
    }


def measured(given: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The table and the aims."""
    from oneshot.rollout.native import NativeEngine

    smoke = given.smoke
    policy = policy_of(smoke)
    sequences, length, new, few = (24, 10, 12, 6) if smoke else (given.sequences, given.prompt, given.new, given.plain_new)  # fmt: skip # noqa: E501
    prompt = [1 + i % 250 for i in range(length)]
    engine = NativeEngine(policy, fixed=True)
    ceiling = ceilings(policy.device, smoke)
    print(f"copy {ceiling['bytes'] / 1e12:.2f} TB/s, bf16 products {ceiling['flops'] / 1e12:.0f} TFLOP/s", flush=True)
    before = reset_peak(policy.device)
    spent, every = median_seconds(lambda: ours(engine, prompt, sequences, new), policy.device, given.repeats)
    rate, peak = sequences * new / spent, peak_gib(policy.device, before)
    bound = bounds(policy, sequences, length + new / 2, ceiling)
    print(f"how: {engine.how}")
    print(
        f"ours      {sequences} x {new} tokens after {length}: {spent:.2f} s, {rate:,.0f} tokens/s, "
        f"{1e3 * spent / new:.2f} ms a step, peak {peak:.1f} GiB\n"
        f"bounds    bandwidth {bound['bandwidth']:,.0f} tokens/s ({rate / bound['bandwidth']:.0%} reached), "
        f"compute {bound['compute']:,.0f} ({rate / bound['compute']:.0%}); {bound['step_gb']:.1f} GB a step",
        flush=True,
    )
    beside, _ = median_seconds(lambda: ours(engine, prompt, sequences, few), policy.device, given.repeats)
    row = {"sequences": sequences, "prompt": length, "new": new, "seconds": every, "rate": rate, "peak_gib": peak}
    aims = [aim("decode, tokens/s", rate, 30_000, smoke=smoke)]
    row |= {"bounds": bound, "ceilings": ceiling, "how": engine.how, "plain_new": few, "ours_seconds": beside}
    if not given.no_plain:
        theirs, _ = median_seconds(lambda: plain(policy, prompt, sequences, few), policy.device, min(1, given.repeats))
        print(f"generate  {sequences} x {few} tokens: {theirs:.2f} s, ours {beside:.2f} s", flush=True)
        row["generate_seconds"] = theirs
        aims.append(aim("decode, times generate's tokens/s", theirs / beside, 5, smoke=smoke))
    if given.profile and not smoke:
        print(profiled(lambda: ours(engine, prompt, sequences, 16)))
    return row, aims


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--sequences", type=int, default=1024)
    parser.add_argument("--prompt", type=int, default=200)
    parser.add_argument("--new", type=int, default=512)
    parser.add_argument("--plain-new", type=int, default=128, help="tokens where `generate` is the other side")
    parser.add_argument("--no-plain", action="store_true", help="without `generate`")
    parser.add_argument("--profile", action="store_true", help="print where the time goes, last")
    given = parser.parse_args()
    row, aims = measured(given)
    tell("decode", {"smoke": given.smoke, **row, "aims": aims}, given.store)


if __name__ == "__main__":
    main()
