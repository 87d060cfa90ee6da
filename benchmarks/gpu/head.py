"""Log-prob and entropy over 8,192 tokens x 151,936 words, forward and backward, bfloat16, hidden size 1536.

    python benchmarks/gpu/head.py [--tokens 8192] [--repeats 5] [--store FILE] [--smoke]

Sides: the Triton kernels, torch in chunks, and plain torch that keeps every logit (fewer tokens where those would not
fit). Prints milliseconds (median), the peak of memory over the inputs, and the largest relative error of values and
gradients against float64 over 64 tokens. Aims: 80 ms and 6 GiB. Has not run on a GPU yet.
"""

from __future__ import annotations

from typing import Any

from common import aim, device_of, median_seconds, options, peak_gib, reset_peak, tell

import torch  # isort: skip


def results(head: Any, hidden_NH: Any, weight_VH: Any, target_N: Any, temperature: float) -> list[Any]:
    """Log p, entropy, and the gradients of a mixture of both."""
    leaves = [t.detach().requires_grad_() for t in (hidden_NH, weight_VH)]
    logp_N, entropy_N = head(*leaves, target_N, temperature)[:2]
    slopes = torch.autograd.grad(logp_N.mean() + 0.01 * entropy_N.mean(), leaves)
    return [logp_N.detach(), entropy_N.detach(), *slopes]


def errors(head: Any, exact: Any, inputs: tuple[Any, ...], temperature: float) -> dict[str, float]:
    """‖found − exact‖ / ‖exact‖ over the first 64 tokens, exact in float64 from the same rounded inputs."""
    hidden_NH, weight_VH, target_N = inputs[0][:64], inputs[1], inputs[2][:64]
    found = results(head, hidden_NH, weight_VH, target_N, temperature)
    truth = results(exact, hidden_NH.double(), weight_VH.double(), target_N, temperature)
    names = ("logp", "entropy", "d_hidden", "d_weight")
    gaps = (float((f.double() - e).norm() / e.norm()) for f, e in zip(found, truth, strict=True))
    return dict(zip(names, gaps, strict=True))


def main() -> None:
    """Measure every side and print the table."""
    from oneshot.model.logprobs import chunked, fast_head, logprob_and_entropy
    from oneshot.model.plain import plain_head

    parser = options(__doc__)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--temperature", type=float, default=0.6)
    given = parser.parse_args()
    device = device_of(given.smoke)
    tokens, words, hidden = (40, 300, 16) if given.smoke else (given.tokens, 151_936, 1536)
    dtype = torch.float32 if given.smoke else torch.bfloat16
    maker = torch.Generator(device).manual_seed(0)
    inputs = (
        torch.randn(tokens, hidden, generator=maker, device=device).to(dtype),
        (torch.randn(words, hidden, generator=maker, device=device) * 2 / hidden**0.5).to(dtype),
        torch.randint(words, (tokens,), generator=maker, device=device),
    )
    how = fast_head(device, dtype, words)
    print(f"logprob_and_entropy runs {how}")
    rows: dict[str, Any] = {}
    # Plainly: logits, log p, p and their gradients, five times N x V in float32.
    few = min(tokens, 2048)
    for name, head, count in (("fast", logprob_and_entropy, tokens), ("chunked", chunked, tokens), ("plain", plain_head, few)):  # fmt: skip # noqa: E501
        part = (inputs[0][:count], inputs[1], inputs[2][:count])

        def work(head: Any = head, part: Any = part) -> Any:
            return results(head, *part, given.temperature)

        before = reset_peak(device)
        spent, every = median_seconds(work, device, given.repeats)
        peak = peak_gib(device, before)

        def forward(head: Any = head, part: Any = part) -> Any:
            with torch.no_grad():
                return head(*part, given.temperature)

        ahead, _ = median_seconds(forward, device, given.repeats)
        rows[name] = {"tokens": count, "ms": 1e3 * spent, "forward_ms": 1e3 * ahead, "peak_gib": peak, "all": every}
        rows[name]["error"] = errors(head, plain_head, inputs, given.temperature)
        told = ", ".join(f"{key} {value:.1e}" for key, value in rows[name]["error"].items())
        print(
            f"{name:8} {count:5} tokens  {1e3 * spent:8.1f} ms (forward alone {1e3 * ahead:.1f})  "
            f"peak {peak:6.2f} GiB  error {told}",
            flush=True,
        )
    aims = [
        aim("head, milliseconds", rows["fast"]["ms"], 80, least=False, smoke=given.smoke),
        aim("head, GiB over its inputs", rows["fast"]["peak_gib"], 6, least=False, smoke=given.smoke),
    ]
    tell("head", {"smoke": given.smoke, "how": how, "words": words, "rows": rows, "aims": aims}, given.store)


if __name__ == "__main__":
    main()
