"""A whole training step at the paper's shape: 128 groups of 8 samples of one prompt, then one update.

    python benchmarks/gpu/step.py [--groups 128] [--limit 512] [--mean 200] [--micro-tokens 16384] [--store FILE]

The 1.5B-shaped model with random weights. So that responses have lengths of their own, a random share of the words
ends a response: its size makes the mean about `--mean` tokens, geometric, cut at `--limit`. The paper's limit is 3,072
(`--limit 3072 --mean 850`). Prints the seconds of sampling and of learning and the gap between both sides' log-probs.
Has not run on a GPU yet.
"""

from __future__ import annotations

import argparse
import random
from typing import Any

from common import masters_of, options, peak_gib, policy_of, reset_peak, seconds, tell


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """One step that warms up, then `--repeats` that count."""
    from oneshot.algos.algorithm import configured
    from oneshot.algos.zoo import ALGORITHMS
    from oneshot.data.packing import pack
    from oneshot.rollout.native import NativeEngine
    from oneshot.train.learner import AdamWSettings, Learner
    from oneshot.types import Sampling

    smoke = given.smoke
    count, limit, mean, micro, length = (2, 12, 6, 64, 5) if smoke else (given.groups, given.limit, given.mean, given.micro_tokens, 200)  # fmt: skip # noqa: E501
    words = 512 if smoke else 151_936
    ends = frozenset(random.Random(0).sample(range(words), max(1, words // mean)))
    policy = policy_of(smoke, ends)
    algorithm = configured(ALGORITHMS.build("grpo"), {"entropy": 0.001, "kl": 0.0})
    learner = Learner(policy, algorithm, AdamWSettings(lr=1e-6), temperature=0.6, masters=masters_of(policy))
    engine = NativeEngine(policy, fixed=True)
    prompt = tuple(1 + i % 250 for i in range(length))
    sampling = Sampling(temperature=0.6, max_new_tokens=limit, seed=0)
    rows: list[dict[str, float]] = []
    for number in range(1 + max(1, given.repeats)):
        before = reset_peak(policy.device)
        found: list[Any] = []
        sampled = seconds(lambda n=number, f=found: f.extend(responses(engine, prompt, 8 * count, sampling, n)), policy.device)  # fmt: skip # noqa: E501
        peak = peak_gib(policy.device)
        reset_peak(policy.device)
        groups = grouped(found, prompt)
        seen: dict[str, float] = {}

        def learn(groups: Any = groups, seen: dict[str, float] = seen) -> None:
            batch = pack(groups, max_response=limit, micro_tokens=micro)
            seen.update(learner.update(batch, algorithm.credit(batch)))

        learned = seconds(learn, policy.device)
        tokens = sum(len(c.tokens) for c in found)
        row = {"sample_s": sampled, "learn_s": learned, "tokens": tokens, "gap": seen["mismatch/logprob"]}
        row |= {"sample_peak_gib": peak, "learn_peak_gib": peak_gib(policy.device), "held_gib": before / 2**30}
        rows.append(row)
        print(
            f"step {number}{' (warms up)' if not number else ''}: {tokens:,} tokens; sampling {sampled:.2f} s "
            f"({tokens / sampled:,.0f} tokens/s, peak {peak:.1f} GiB), learning {learned:.2f} s "
            f"({tokens / learned:,.0f} tokens/s, peak {row['learn_peak_gib']:.1f} GiB), "
            f"log-probs {row['gap']:.1e} apart, dropped {seen['dropped']:.0f}",
            flush=True,
        )
    print(f"how: {engine.how}")
    return {"groups": count, "limit": limit, "mean": mean, "micro_tokens": micro, "how": engine.how, "steps": rows}


def responses(engine: Any, prompt: tuple[int, ...], count: int, sampling: Any, step: int) -> list[Any]:
    """All responses of one step."""
    found: list[Any] = engine.generate([prompt] * count, sampling, [(step, i) for i in range(count)])
    return found


def grouped(found: list[Any], prompt: tuple[int, ...]) -> list[Any]:
    """Groups of 8 with rewards in turn."""
    from dataclasses import replace

    from oneshot.types import Group, Problem

    problem = Problem(id="benchmark", prompt="", answer="1")
    scored = [replace(c, reward=float(i % 3 == 0)) for i, c in enumerate(found)]
    return [
        Group(id=i // 8, problem=problem, prompt_tokens=prompt, completions=tuple(scored[i : i + 8]), policy_version=0)
        for i in range(0, len(scored), 8)
    ]


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--groups", type=int, default=128)
    parser.add_argument("--limit", type=int, default=512)
    parser.add_argument("--mean", type=int, default=200, help="mean length, before the limit cuts")
    parser.add_argument("--micro-tokens", type=int, default=16_384)
    parser.set_defaults(repeats=1)
    given = parser.parse_args()
    row = measured(given)
    last = row["steps"][-1]
    print(f"whole step: {last['sample_s'] + last['learn_s']:.1f} s")
    tell("step", {"smoke": given.smoke, **row}, given.store)


if __name__ == "__main__":
    main()
