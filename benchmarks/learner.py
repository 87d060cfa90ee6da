"""The learner against a padded plain one: seconds and peak memory of one update, over G and response length.

    python benchmarks/learner.py [--model small|smollm2-135m|both] [--repeats 5] [--store] [--smoke]

Ours packs the responses behind one copy of the prompt and never keeps the logits; the plain side pads every response
with its own prompt (in the same token budget) and keeps the logits of a micro-batch. Everything else is the same code:
GRPO, entropy bonus .01, KL 0, AdamW, float32; both sides' losses are compared. Response lengths are uniform between a
quarter of the limit and the limit. `small` is a random Llama with 2 layers, hidden size 256 and 8,192 words; SmolLM2
runs G = 32 with 3 repeats only. Peaks are those of each side's own process, fresh for every case, over what it held
with the model and Adam's moments. `gemm` is the share of the machine's measured float32 product rate.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from sides import Answers, Side, gemm_peak, median, options, peak_memory, seconds, tell, turns

PROMPT = 57
"""Tokens of the prompt: those of the demo's."""
CASES = {
    "small": [(g, limit) for g in (8, 32, 128) for limit in (32, 256, 1024)],
    "smollm2-135m": [(32, 32), (32, 256)],
}


def policy_of(model: str) -> Any:
    """The small random policy, the smoke test's, or the embedded model."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from oneshot.config.environment import home
    from oneshot.model import policy as policies

    if model == "smollm2-135m":
        return policies.load(model, home=home(), offline=True)
    hidden, vocab = (256, 8192) if model == "small" else (32, 300)
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)  # the same weights on both sides
    return policies.Policy(model=LlamaForCausalLM(config).eval(), tokenizer=None, eos_ids=frozenset([0]), name=model)


def groups(size: int, limit: int, vocab: int) -> list[Any]:
    """One group of made-up responses with rewards in turn."""
    from oneshot.types import Completion, Group, Problem

    draw = random.Random(0)
    made = []
    for i in range(size):
        tokens = tuple(draw.randrange(vocab) for _ in range(draw.randint(max(1, limit // 4), limit)))
        made.append(Completion(tokens=tokens, logprobs=(), text="", finished=False, reward=float(i % 3 == 0)))
    problem = Problem(id="benchmark", prompt="", answer="1")
    prompt = tuple(draw.randrange(vocab) for _ in range(PROMPT))
    return [Group(id=0, problem=problem, prompt_tokens=prompt, completions=tuple(made), policy_version=0)]


def plain(hidden_NH: Any, weight_VH: Any, target_N: Any, temperature: float) -> tuple[Any, Any, Any]:
    """Log p, entropy and entropy at temperature 1 with every logit kept."""
    logits_NV = hidden_NH @ weight_VH.T
    logp_NV = (logits_NV / temperature).log_softmax(-1)
    entropy_N = -(logp_NV.exp() * logp_NV).sum(-1)
    return logp_NV.gather(1, target_N[:, None])[:, 0], entropy_N, entropy_N.detach()


def operations(policy: Any, batch: Any) -> float:
    """Multiplications and additions of the weights in one packed update: 6 a weight and token, 8 for the head.

    The head has 8 because its logits are computed again for the backward pass; attention is left out.
    """
    head = policy.head.numel()
    body = sum(p.numel() for p in policy.decoder.layers.parameters())
    tokens = sum(micro.input_ids.numel() for micro in batch.micro)
    return 6.0 * body * tokens + 8.0 * head * sum(len(micro.target_N) for micro in batch.micro)


def worker(side: str, model: str, size: int, limit: int, budget: int, threads: int) -> None:
    """Answer with seconds, peak and loss of one update."""
    from oneshot.algos.algorithm import configured
    from oneshot.algos.zoo import ALGORITHMS
    from oneshot.data.packing import pack
    from oneshot.model import attention
    from oneshot.model.policy import set_threads
    from oneshot.train.learner import AdamWSettings, Learner

    answers = Answers()
    set_threads(threads)
    policy = policy_of(model)
    algorithm = configured(ALGORITHMS.build("grpo"), {"entropy": 0.01, "kl": 0.0})
    if side == "ours":
        attention.install(policy.model)
    learner = Learner(policy, algorithm, AdamWSettings(lr=0.0), temperature=1.0)
    if side == "plain":
        learner.head = plain
    work = groups(size, limit, policy.head.shape[0])
    for parameter in learner.parameters:  # Adam's moments and the gradients are no part of the difference
        parameter.grad = parameter.detach() * 0
    learner.optimizer.step(0.0)
    before, rate = peak_memory(), gemm_peak()
    told: dict[str, Any] = {}

    def update() -> None:
        batch = pack(work, max_response=limit, micro_tokens=budget, packed=side == "ours")
        told["loss"] = learner.update(batch, algorithm.credit(batch))["loss"]
        told["tokens"] = sum(micro.input_ids.numel() for micro in batch.micro)
        told["operations"] = operations(policy, batch)

    def answer() -> dict[str, Any]:
        spent = seconds(update)
        return {**told, "seconds": spent, "peak": peak_memory() - before, "gemm": told["operations"] / spent / rate}

    answers.serve(answer)


def case(model: str, size: int, limit: int, budget: int, *, repeats: int, threads: int) -> dict[str, Any]:
    """One row of the table."""
    common = {"model": model, "size": size, "limit": limit, "budget": budget, "threads": threads}
    with Side(__file__, side="ours", **common) as one, Side(__file__, side="plain", **common) as other:
        told = turns({"ours": one, "plain": other}, repeats)
    row: dict[str, Any] = {"model": model, "G": size, "limit": limit, "budget": budget}
    for name, answers in told.items():
        row[name] = {
            "seconds": median(answers, "seconds"),
            "peak_mib": answers[-1]["peak"] / 2**20,
            "tokens": answers[-1]["tokens"],
            "loss": answers[-1]["loss"],
        }
    row["ours"]["gemm"] = median(told["ours"], "gemm")
    row["speed_ratio"] = row["plain"]["seconds"] / row["ours"]["seconds"]
    row["memory_ratio"] = row["ours"]["peak_mib"] / max(row["plain"]["peak_mib"], 1e-9)
    return row


def main() -> None:
    """Run the cases and print the table."""
    parser = options(__doc__)
    parser.add_argument("--model", choices=("small", "smollm2-135m", "both"), default="both")
    parser.add_argument("--budget", type=int, default=0, help="tokens of a micro-batch (default 4096; SmolLM2 640)")
    given = parser.parse_args()
    models = ("small", "smollm2-135m") if given.model == "both" else (given.model,)
    cases = [(model, *case) for model in models for case in CASES[model]]
    if given.smoke:
        cases = [("smoke", 6, 20)]
    rows = []
    for model, size, limit in cases:
        repeats = 1 if given.smoke else min(given.repeats, 3 if model == "smollm2-135m" else given.repeats)
        budget = given.budget or {"small": 4096, "smoke": 128}.get(model, 640)
        row = case(model, size, limit, budget, repeats=repeats, threads=given.threads)
        rows.append(row)
        ours, theirs = row["ours"], row["plain"]
        if not given.json:
            print(
                f"{model:12} G {size:3} length {limit:4}  ours {ours['seconds']:8.3f} s {ours['peak_mib']:7.0f} MiB"
                f"  plain {theirs['seconds']:8.3f} s {theirs['peak_mib']:7.0f} MiB  speed x{row['speed_ratio']:.2f}"
                f"  memory x{row['memory_ratio']:.2f}  gemm {ours['gemm']:.0%}"
                f"  tokens {ours['tokens']} and {theirs['tokens']}, loss {ours['loss']:.6f} and {theirs['loss']:.6f}",
                flush=True,
            )
    tell("learner", {"smoke": given.smoke, "rows": rows}, store=given.store)


if __name__ == "__main__":
    worker(**json.loads(sys.argv[2])) if sys.argv[1:2] == ["--worker"] else main()
