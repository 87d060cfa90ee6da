"""The sampler against transformers' `generate`, on the embedded model, in one run.

    python benchmarks/sampler.py [--repeats 5] [--limit 128] [--batch 64] [--store] [--smoke]

Three tables, each in tokens a second (a response counts up to its end token; the sides take turns, medians):

- one prompt x 64 samples at temperature 1 that end by themselves. The sides draw other random numbers, so the responses
  differ while their lengths follow one distribution; both are printed.
- 64 different prompts of the built-in task, greedy, ending by themselves; both sides answer the same tokens (the number
  of responses that differ, by near ties, is printed). `--batch 16` or 32 makes ours refill rows that finish.
- 64 different prompts, exactly 48 tokens each (no token ends a response). No goal.

`generate` gets a KV cache, SDPA, float32, left padding and `num_return_sequences`, or the whole batch of prompts.
`gemm` is the share of the machine's measured float32 product rate, 2 operations a weight and useful token; for ours
also of the prefill alone. The product rates at the shapes of decoding, both ways round, come last.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sides import Answers, Side, gemm_peak, median, options, seconds, tell, turns

SAMPLES, EQUAL = 64, 48


def requests(policy: Any, table: str, count: int) -> list[tuple[int, ...]]:
    """The prompts of one table."""
    from oneshot.data.prompts import render
    from oneshot.data.tasks import builtin

    problems = (
        builtin.candidates(0, "add_word", 1) if table == "one" else builtin.dev_set(0, "add_word", own=40, other=8)
    )
    suffix = "Answer with one number."
    prompts = [render(policy.tokenizer, problem, suffix=suffix) for problem in problems]
    if table == "one":
        return prompts[:1] * count
    prompts = list(dict.fromkeys(prompts))
    if len(prompts) < count:
        raise SystemExit(f"the built-in task has {len(prompts)} different prompts; {count} are needed")
    spread = len(prompts) // count
    return prompts[: spread * count : spread]


def plain(policy: Any, prompts: Sequence[Sequence[int]], limit: int, *, sample: bool, endless: bool) -> list[list[int]]:
    """The library's own decoding of all prompts at once."""
    import torch

    width = max(map(len, prompts))
    copies = len(prompts) if len(set(map(tuple, prompts))) == 1 else 1
    given = prompts[:1] if copies > 1 else prompts
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in given])
    keep = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in given])
    how: dict[str, Any] = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0} if sample else {}
    out = policy.model.generate(
        ids,
        attention_mask=keep,
        max_new_tokens=limit,
        num_return_sequences=copies,
        eos_token_id=None if endless else sorted(policy.eos_ids),
        pad_token_id=0,
        **({"do_sample": False} | how),
    )
    found = []
    for row in out[:, width:].tolist():
        end = next((i + 1 for i, token in enumerate(row) if token in policy.eos_ids and not endless), len(row))
        found.append(row[:end])
    return found


def worker(side: str, model: str, count: int, batch: int, threads: int) -> None:
    """Answer with seconds and responses of one table."""
    import torch

    from oneshot.config.environment import home
    from oneshot.model import policy as policies
    from oneshot.rollout.native import NativeEngine
    from oneshot.rollout.prefill import prefill
    from oneshot.types import Sampling

    answers = Answers()
    policies.set_threads(threads)
    policy = policies.load(model, home=home(), offline=True)
    rate = gemm_peak()
    head = policy.head.numel()
    body = sum(p.numel() for p in policy.decoder.layers.parameters())
    turn = 0

    def answer(table: str, limit: int) -> dict[str, Any]:
        nonlocal turn
        turn += 1
        prompts, endless = requests(policy, table, count), table == "equal"
        limit = min(limit, EQUAL) if endless else limit
        held = dataclasses.replace(policy, eos_ids=frozenset([-1])) if endless else policy
        sampling = Sampling(temperature=float(table == "one"), max_new_tokens=limit)
        streams = [(turn, i) for i in range(count)]
        found: list[Sequence[int]] = []
        if side == "ours":
            engine = NativeEngine(held, batch=batch)
            spent = seconds(lambda: found.extend(c.tokens for c in engine.generate(prompts, sampling, streams)))
        else:
            spent = seconds(lambda: found.extend(plain(held, prompts, limit, sample=table == "one", endless=endless)))
        tokens, prefilled = sum(map(len, found)), sum(map(len, dict.fromkeys(prompts)))
        told = {"seconds": spent, "tokens": tokens, "rate": tokens / spent, "responses": [list(f) for f in found]}
        told["gemm"] = 2 * (tokens * (body + head) + prefilled * body) / spent / rate
        if side == "ours":
            with torch.inference_mode():
                alone = seconds(lambda: prefill(held, list(dict.fromkeys(prompts))))
            told["prefill_gemm"] = 2 * prefilled * body / alone / rate
        return told

    answers.serve(answer)


def shapes(threads: int, smoke: bool) -> list[dict[str, Any]]:
    """GFLOP/s of `x Wᵀ`, `(W xᵀ)ᵀ` and oneDNN over many different matrices, as decoding meets them, and the head."""
    import torch

    from oneshot.model.policy import set_threads
    from oneshot.model.products import by_onednn

    set_threads(threads)
    many = [torch.randn(64, 32)] * 2 if smoke else [torch.randn(1536, 576) for _ in range(24)]
    heads = [torch.randn(300, 32)] if smoke else [torch.randn(49_152, 576)]
    rows = []
    for name, matrices in (("layers", many), ("head", heads)):
        for count in (16, 32, 64):
            x_RK = torch.randn(count, matrices[0].shape[1])
            work = 2 * count * sum(w.numel() for w in matrices) / 1e9
            forms = {
                "plain": lambda w, x=x_RK: x @ w.T,
                "turned": lambda w, x=x_RK: (w @ x.T).T.contiguous(),
                "onednn": lambda w, x=x_RK: by_onednn(x, w),
            }
            times: dict[str, list[float]] = {form: [] for form in forms}
            for _ in range(6):
                for form, multiply in forms.items():
                    times[form].append(seconds(lambda f=multiply, ms=matrices: [f(w) for w in ms]))
            shown = {form: work / statistics.median(spent) for form, spent in times.items()}
            rows.append({"what": name, "rows": count, **shown})
    return rows


def table_of(name: str, sides: dict[str, Side], repeats: int, limit: int) -> dict[str, Any]:
    """Measure one table."""
    told = turns(sides, repeats, table=name, limit=limit)
    row: dict[str, Any] = {"table": name}
    for side, answers in told.items():
        lengths = sorted(len(response) for answer in answers for response in answer["responses"])
        row[side] = {key: median(answers, key) for key in ("seconds", "tokens", "rate", "gemm")}
        row[side]["lengths"] = [lengths[round(q * (len(lengths) - 1))] for q in (0, 0.25, 0.5, 0.75, 1)]
    row["ours"]["prefill_gemm"] = median(told["ours"], "prefill_gemm")
    row["ratio"] = row["ours"]["rate"] / row["generate"]["rate"]
    if name != "one":
        pairs = zip(told["ours"][0]["responses"], told["generate"][0]["responses"], strict=True)
        row["differ"] = sum(a != b for a, b in pairs)
    return row


def main() -> None:
    """Run the tables and print them."""
    parser = options(__doc__)
    parser.add_argument("--limit", type=int, default=128, help="longest response where responses end by themselves")
    parser.add_argument("--batch", type=int, default=64, help="rows that ours decodes at once")
    given = parser.parse_args()
    repeats, limit, count, model = given.repeats, given.limit, SAMPLES, "smollm2-135m"
    with tempfile.TemporaryDirectory() as folder:
        if given.smoke:
            from tests.tiny import save_tiny

            repeats, limit, count, model = 1, 6, 20, str(save_tiny(Path(folder)))
        common = {"model": model, "count": count, "batch": given.batch, "threads": given.threads}
        with Side(__file__, side="ours", **common) as one, Side(__file__, side="generate", **common) as other:
            rows = []
            for name in ("one", "different", "equal"):
                row = table_of(name, {"ours": one, "generate": other}, repeats, limit)
                rows.append(row)
                for side in ("ours", "generate") if not given.json else ():
                    shown = row[side]
                    print(
                        f"{name:10} {side:9} {shown['seconds']:7.2f} s  {shown['tokens']:6.0f} tokens  "
                        f"{shown['rate']:7.0f} tokens/s  gemm {shown['gemm']:.0%}  lengths {shown['lengths']}",
                        flush=True,
                    )
                if not given.json:
                    differ = row.get("differ", "not compared")
                    print(f"{name:10} ratio {row['ratio']:.2f}, responses that differ: {differ}")
    products = shapes(given.threads, given.smoke)
    for product in products if not given.json else ():
        told = ", ".join(f"{form} {product[form]:.0f}" for form in ("plain", "turned", "onednn")) + " GFLOP/s"
        print(f"products   {product['what']:6} {product['rows']} rows: {told}")
    result = {"smoke": given.smoke, "limit": limit, "batch": given.batch, "rows": rows, "products": products}
    tell("sampler", result, store=given.store)


if __name__ == "__main__":
    worker(**json.loads(sys.argv[2])) if sys.argv[1:2] == ["--worker"] else main()
