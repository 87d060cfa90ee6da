"""Packed against padded micro-batches: seconds of one update on the embedded model, same responses, same run.

    .venv/bin/python benchmarks/bench_packing.py

Prints the medians of interleaved repeats and their ratio; both sides do the same mathematics (the loss is compared).
"""

from __future__ import annotations

import random
import statistics
import time

import torch

from oneshot.algos import zoo  # noqa: F401  (registers the algorithms)
from oneshot.algos.algorithm import ALGORITHMS, configured
from oneshot.config.environment import home
from oneshot.data.packing import pack
from oneshot.data.prompts import render
from oneshot.data.tasks import builtin
from oneshot.model import policy as policies
from oneshot.train.learner import AdamWSettings, Learner
from oneshot.types import Completion, Group

REPEATS = 5
MICRO_TOKENS = 640


def groups(prompt: tuple[int, ...]) -> list[Group]:
    """4 groups of 8 made-up responses of 16 to 48 tokens, rewards in turn."""
    draw = random.Random(0)
    problem = builtin.candidates(0, "add_word", 1)[0]
    made = []
    for g in range(4):
        responses = []
        for i in range(8):
            tokens = tuple(draw.randrange(100, 40_000) for _ in range(draw.randrange(16, 49)))
            responses.append(Completion(tokens=tokens, logprobs=(), text="", finished=False, reward=float(i % 3 == 0)))
        made.append(Group(id=g, problem=problem, prompt_tokens=prompt, completions=tuple(responses), policy_version=0))
    return made


def main() -> None:
    """Interleave the two sides and print seconds and the ratio."""
    threads = policies.set_threads(0)
    policy = policies.load("smollm2-135m", home=home(), offline=False)
    prompt = render(policy.tokenizer, builtin.candidates(0, "add_word", 1)[0], suffix="Answer with one number.")
    algorithm = configured(ALGORITHMS.build("grpo"), {"entropy": 0.01})
    learner = Learner(policy, algorithm, AdamWSettings(lr=0.0), temperature=1.0)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    losses: dict[bool, float] = {}
    rows = groups(prompt)
    for repeat in range(REPEATS + 1):
        for packed in (True, False):
            batch = pack(rows, max_response=48, micro_tokens=MICRO_TOKENS, packed=packed)
            began = time.perf_counter()
            losses[packed] = learner.update(batch, algorithm.credit(batch))["loss"]
            if repeat:  # the first round warms up
                seconds[packed].append(time.perf_counter() - began)
    packed_s, padded_s = (statistics.median(seconds[side]) for side in (True, False))
    print(f"prompt {len(prompt)} tokens, 32 responses of 16 to 48, {threads} threads, torch {torch.__version__}")
    print(f"packed {packed_s:.2f} s   padded {padded_s:.2f} s   padded/packed {padded_s / packed_s:.2f}")
    print(f"loss {losses[True]:.6f} and {losses[False]:.6f}")


if __name__ == "__main__":
    main()
