"""Log-prob and entropy: plain (all logits kept) against chunked, over two vocabularies, in one run.

    python benchmarks/logprobs.py [--repeats 5] [--tokens 1024] [--store] [--smoke]

One measurement is forward and backward of a mixture of both outputs, hidden size 576, float32. Prints seconds (median;
the sides take turns), the peak of memory of each side's own process over what it held with its inputs, and the largest
relative error of values and gradients against float64 over 64 tokens. Triton: not run, no GPU.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from sides import Answers, Side, median, options, peak_memory, seconds, tell, turns

HIDDEN = 576


def plain(hidden_NH: Any, weight_VH: Any, target_N: Any, temperature: float) -> tuple[Any, Any]:
    """What one writes first: every logit is kept for the backward pass."""
    logp_NV = (hidden_NH @ weight_VH.T / temperature).log_softmax(-1)
    return logp_NV.gather(1, target_N[:, None])[:, 0], -(logp_NV.exp() * logp_NV).sum(-1)


def inputs(tokens: int, vocab: int) -> tuple[Any, Any, Any]:
    """Hidden states, output matrix, targets; logits have a standard deviation of about 2."""
    import torch

    generator = torch.Generator().manual_seed(0)
    hidden_NH = torch.randn(tokens, HIDDEN, generator=generator)
    weight_VH = torch.randn(vocab, HIDDEN, generator=generator) * 2 / HIDDEN**0.5
    return hidden_NH, weight_VH, torch.randint(vocab, (tokens,), generator=generator)


def results(function: Any, hidden_NH: Any, weight_VH: Any, target_N: Any, temperature: float) -> list[Any]:
    """Log p, entropy, and the gradients of their mixture."""
    hidden_NH, weight_VH = hidden_NH.requires_grad_(), weight_VH.requires_grad_()
    hidden_NH.grad = weight_VH.grad = None
    logp_N, entropy_N = function(hidden_NH, weight_VH, target_N, temperature)[:2]
    (logp_N.mean() + 0.01 * entropy_N.mean()).backward()
    return [logp_N.detach(), entropy_N.detach(), hidden_NH.grad, weight_VH.grad]


def worker(side: str, tokens: int, vocab: int, threads: int) -> None:
    """Answer with seconds and peak; `error=True` asks for the error against float64 instead."""
    from oneshot.model.logprobs import logprob_and_entropy
    from oneshot.model.policy import set_threads

    answers = Answers()
    set_threads(threads)
    function = {"plain": plain, "chunked": logprob_and_entropy}[side]
    hidden_NH, weight_VH, target_N = inputs(tokens, vocab)
    before = peak_memory()

    def answer(temperature: float = 1.0, error: bool = False) -> dict[str, float]:
        if not error:
            spent = seconds(lambda: results(function, hidden_NH, weight_VH, target_N, temperature))
            return {"seconds": spent, "peak": peak_memory() - before}
        few = (hidden_NH[:64].detach(), weight_VH.detach(), target_N[:64])
        found = results(function, *(t.clone() for t in few), temperature)
        exact = results(plain, *(t.double() if t.is_floating_point() else t for t in few), temperature)
        names = ("logp", "entropy", "d_hidden", "d_weight")
        apart = (float((f - e).abs().max() / e.abs().max()) for f, e in zip(found, exact, strict=True))
        return dict(zip(names, apart, strict=True))

    answers.serve(answer)


def main() -> None:
    """Run both vocabularies and print the table."""
    parser = options(__doc__)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--temperature", type=float, default=1.0)
    given = parser.parse_args()
    tokens, vocabularies, repeats = given.tokens, (49_152, 151_936), given.repeats
    if given.smoke:
        tokens, vocabularies, repeats = 80, (300, 700), 1
    rows = []
    for vocab in vocabularies:
        common = {"tokens": tokens, "vocab": vocab, "threads": given.threads}
        with Side(__file__, side="plain", **common) as one, Side(__file__, side="chunked", **common) as other:
            sides = {"plain": one, "chunked": other}
            told = turns(sides, repeats, temperature=given.temperature)
            row: dict[str, Any] = {"vocab": vocab, "tokens": tokens, "triton": "not run: no GPU"}
            for name, side in sides.items():
                row[name] = {
                    "seconds": median(told[name], "seconds"),
                    "peak_mib": told[name][-1]["peak"] / 2**20,
                    "error": side.ask(temperature=given.temperature, error=True),
                }
        rows.append(row)
        for name in ("plain", "chunked"):
            shown = ", ".join(f"{key} {value:.1e}" for key, value in row[name]["error"].items())
            spent, peak = row[name]["seconds"], row[name]["peak_mib"]
            if not given.json:
                print(f"V {vocab:7,}  {name:8} {spent * 1000:8.0f} ms  peak {peak:7.0f} MiB  error {shown}", flush=True)
        if not given.json:
            print(f"V {vocab:7,}  triton   not run: no GPU")
    tell("logprobs", {"temperature": given.temperature, "smoke": given.smoke, "rows": rows}, store=given.store)


if __name__ == "__main__":
    worker(**json.loads(sys.argv[2])) if sys.argv[1:2] == ["--worker"] else main()
