"""Log-prob and entropy: plain (all logits kept), chunked, and Triton kernels, over two vocabularies, in one run.

    python benchmarks/logprobs.py [--repeats 5] [--tokens 1024] [--store] [--smoke]

One measurement is forward and backward of a mixture of both outputs, hidden size 576, float32. Prints seconds (median;
the sides take turns), the peak of memory of each side's own process over what it held with its inputs, and the largest
relative error of values and gradients against float64 over 64 tokens. With a GPU and triton all sides run on the GPU,
and peaks are those of its memory; this has not been run yet. Without, the Triton side is skipped, saying so.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from sides import Answers, Side, median, options, peak_memory, seconds, tell, turns

HIDDEN = 576
SIDES = ("plain", "chunked", "triton")


def skipped() -> str:
    """Why the Triton side cannot run here; empty where it can."""
    import torch

    if not torch.cuda.is_available():
        return "not run: no GPU"
    return "" if find_spec("triton") else "not run: triton is not installed"


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


def function_of(side: str) -> Any:
    """What a side calls."""
    if side == "triton":
        from oneshot.model.fused_head import FusedLogProb

        return FusedLogProb.apply
    from oneshot.model.logprobs import chunked

    return {"plain": plain, "chunked": chunked}[side]


def worker(side: str, tokens: int, vocab: int, threads: int, device: str) -> None:
    """Answer with seconds and peak; `error=True` asks for the error against float64 instead."""
    import torch

    from oneshot.model.policy import set_threads

    answers = Answers()
    set_threads(threads)
    function, on_gpu = function_of(side), device == "cuda"
    hidden_NH, weight_VH, target_N = (t.to(device) for t in inputs(tokens, vocab))
    before = torch.cuda.memory_allocated() if on_gpu else peak_memory()

    def work(temperature: float) -> None:
        results(function, hidden_NH, weight_VH, target_N, temperature)
        if on_gpu:
            torch.cuda.synchronize()

    def answer(temperature: float = 1.0, error: bool = False) -> dict[str, float]:
        if not error:
            spent = seconds(lambda: work(temperature))
            return {"seconds": spent, "peak": (torch.cuda.max_memory_allocated() if on_gpu else peak_memory()) - before}
        few = (hidden_NH[:64].detach(), weight_VH.detach(), target_N[:64])
        found = results(function, *(t.clone() for t in few), temperature)
        exact = results(plain, *(t.double() if t.is_floating_point() else t for t in few), temperature)
        names = ("logp", "entropy", "d_hidden", "d_weight")
        apart = (float((f - e).abs().max() / e.abs().max()) for f, e in zip(found, exact, strict=True))
        return dict(zip(names, apart, strict=True))

    answers.serve(answer)


def case(vocab: int, tokens: int, repeats: int, temperature: float, threads: int) -> dict[str, Any]:
    """One vocabulary: every side that can run here."""
    why = skipped()
    names, device = (SIDES[:2], "cpu") if why else (SIDES, "cuda")
    row: dict[str, Any] = {"vocab": vocab, "tokens": tokens, "device": device}
    if why:
        row["triton"] = why
    with ExitStack() as stack:
        sides = {
            name: stack.enter_context(
                Side(__file__, side=name, tokens=tokens, vocab=vocab, threads=threads, device=device)
            )
            for name in names
        }
        told = turns(sides, repeats, temperature=temperature)
        for name, side in sides.items():
            row[name] = {
                "seconds": median(told[name], "seconds"),
                "peak_mib": told[name][-1]["peak"] / 2**20,
                "error": side.ask(temperature=temperature, error=True),
            }
    return row


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
        row = case(vocab, tokens, repeats, given.temperature, given.threads)
        rows.append(row)
        for name in SIDES if not given.json else ():
            if isinstance(row[name], str):
                print(f"V {vocab:7,}  {name:8} {row[name]}")
                continue
            shown = ", ".join(f"{key} {value:.1e}" for key, value in row[name]["error"].items())
            spent, peak = row[name]["seconds"], row[name]["peak_mib"]
            print(f"V {vocab:7,}  {name:8} {spent * 1000:8.0f} ms  peak {peak:7.0f} MiB  error {shown}", flush=True)
    tell("logprobs", {"temperature": given.temperature, "smoke": given.smoke, "rows": rows}, store=given.store)


if __name__ == "__main__":
    worker(**json.loads(sys.argv[2])) if sys.argv[1:2] == ["--worker"] else main()
