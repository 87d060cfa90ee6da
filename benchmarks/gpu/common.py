"""What the GPU benchmarks share: the model, clocks and ceilings, machine facts, aims, the stored line.

None of them has run on a GPU yet. They need torch, transformers and numpy, and no installed package: the repository's
root is put on the path. `--smoke` runs each in seconds on a CPU, to show that the script works; it measures nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import torch  # noqa: E402
from sides import facts as machine_facts  # noqa: E402

SHAPE = {
    "hidden_size": 1536,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "intermediate_size": 8960,
    "vocab_size": 151_936,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}
"""Qwen2.5-Math-1.5B's; the weights are random, so nothing is downloaded and nothing the model says means anything."""
SMOKE = {
    **SHAPE,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 512,
}
H200 = {"bf16": 989e12, "bytes": 4.8e12}
"""The datasheet's dense bfloat16 rate and memory bandwidth; MFU refers to the first, as peers' figures do."""


class NoTokenizer:
    """Stands where a tokenizer would: made-up responses have no text."""

    def decode(self, tokens: list[int], **_: Any) -> str:
        """Nothing."""
        return ""


def options(text: str | None) -> argparse.ArgumentParser:
    """The flags every GPU benchmark has."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes on the CPU: shows that it runs")
    parser.add_argument("--store", type=Path, help="file to append the result to, one JSON line")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs after one that warms up (default 3)")
    return parser


def device_of(smoke: bool) -> torch.device:
    """CUDA; the CPU in smoke tests. Exit 3 where there is no GPU."""
    if smoke:
        torch.set_num_threads(1)
        return torch.device("cpu")
    if not torch.cuda.is_available():
        print("torch sees no CUDA GPU: nothing was measured (--smoke shows that the script runs)", file=sys.stderr)
        raise SystemExit(3)
    return torch.device("cuda")


def policy_of(smoke: bool, eos: frozenset[int] = frozenset([-1])) -> Any:
    """The random model as a policy: bfloat16 on CUDA, float32 on a CPU. No token ends a response unless given."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from oneshot.model import attention
    from oneshot.model.policy import Policy

    device = device_of(smoke)
    torch.manual_seed(0)
    config = Qwen2Config(**(SMOKE if smoke else SHAPE), attn_implementation="sdpa")
    with device:
        model = Qwen2ForCausalLM(config).to(torch.float32 if smoke else torch.bfloat16).eval()
    attention.install(model)
    return Policy(model=model, tokenizer=NoTokenizer(), eos_ids=eos, name="random 1.5B")


def masters_of(policy: Any) -> dict[Any, torch.Tensor]:
    """The float32 values that training keeps beside a bfloat16 working copy; none beside float32 weights."""
    return {p: p.detach().float() for p in policy.model.parameters() if p.dtype == torch.bfloat16}


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of one call, with the device idle before and after."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def median_seconds(work: Callable[[], object], device: torch.device, repeats: int) -> tuple[float, list[float]]:
    """The median of `repeats` calls after one that is not counted, and all of them."""
    work()
    all_of = [seconds(work, device) for _ in range(max(1, repeats))]
    return statistics.median(all_of), all_of


def wait(device: torch.device) -> None:
    """Until the device is idle."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def reset_peak(device: torch.device) -> int:
    """Begin a new peak; returns the bytes held now."""
    if device.type != "cuda":
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def peak_gib(device: torch.device, before: int = 0) -> float:
    """The most that torch's tensors held since, less `before`, in GiB."""
    return (torch.cuda.max_memory_allocated() - before) / 2**30 if device.type == "cuda" else 0.0


def ceilings(device: torch.device, smoke: bool) -> dict[str, float]:
    """This machine's own: bytes a second of a copy, counting reads and writes, and FLOP/s of a square product."""
    size = 1 << 20 if smoke else 4 << 30
    return {"bytes": _copied(size, device), "flops": _multiplied(128 if smoke else 8192, device)}


def _copied(size: int, device: torch.device) -> float:
    source = torch.empty(size, dtype=torch.uint8, device=device).random_(0, 255)
    target = torch.empty_like(source)
    return 5 * 2 * size / median_seconds(lambda: [target.copy_(source) for _ in range(5)], device, 5)[0]


def _multiplied(side: int, device: torch.device) -> float:
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 5 * 2 * side**3 / median_seconds(lambda: [a @ b for _ in range(5)], device, 5)[0]


def profiled(work: Callable[[], object]) -> str:
    """Where the device's time goes in one call, kernel by kernel."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        work()
    return str(seen.key_averages().table(sort_by="self_device_time_total", row_limit=25, max_name_column_width=70))


def gpu_facts() -> dict[str, Any]:
    """The GPU as it is: name, driver, clocks, power limit and temperature; nothing of it is changed."""
    asked = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit,temperature.gpu,memory.total"
    found: dict[str, Any] = {"cuda": torch.version.cuda}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    try:
        said = subprocess.run(
            ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"],
            capture_output=True, text=True, check=True, timeout=30,
        ).stdout.splitlines()[0]  # fmt: skip
        found |= dict(zip(asked.split(","), (part.strip() for part in said.split(",")), strict=False))
    except (OSError, subprocess.SubprocessError, IndexError):
        found["nvidia-smi"] = "not run"
    try:
        found["triton"] = metadata.version("triton")
    except metadata.PackageNotFoundError:
        found["triton"] = "not installed"
    return found


def aim(what: str, value: float, bound: float, *, least: bool = True, smoke: bool = False) -> dict[str, Any]:
    """Print a figure beside its aim; a missed one is printed as missed."""
    reached = value >= bound if least else value <= bound
    verdict = "smoke test, measures nothing" if smoke else "reached" if reached else "MISSED"
    print(f"AIM  {what}: {value:,.4g}, {'at least' if least else 'at most'} {bound:,.4g}: {verdict}", flush=True)
    return {"value": value, "aim": bound, "least": least, "reached": bool(reached)}


def tell(name: str, result: dict[str, Any], store: Path | None) -> None:
    """The last line: one JSON object with machine facts; with `store` it is appended there too."""
    line = json.dumps({"benchmark": f"gpu/{name}", **result, "machine": {**machine_facts(), **gpu_facts()}})
    if store is not None:
        store.parent.mkdir(parents=True, exist_ok=True)
        with store.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    print(line, flush=True)
