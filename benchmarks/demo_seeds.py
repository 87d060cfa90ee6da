"""Run the frozen demo on several seeds and keep each summary; resumable, one line a run.

    .venv/bin/python benchmarks/demo_seeds.py            # run seeds 0, 1, 2 on task seed 0, then another task seed

Each line of benchmarks/results/demo_seeds.jsonl is what `oneshot demo --json` printed, with the machine it ran on.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "demo_seeds.jsonl"
RUNS = ((0, 0), (1, 0), (2, 0), (0, 1))
"""(run seed, task seed)."""


def machine() -> dict[str, Any]:
    """Where the times were measured."""
    return {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def main() -> None:
    """Run what is missing and print one line a run."""
    done = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    for seed, task_seed in RUNS:
        if {"run": seed, "task": task_seed} not in [d["seeds"] for d in done]:
            command = [str(Path(sys.executable).parent / "oneshot"), "demo", "--json"]
            command += ["--seed", str(seed), "--task-seed", str(task_seed)]
            began = time.perf_counter()
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            seconds = round(time.perf_counter() - began, 1)
            done.append({**json.loads(output), "seconds": seconds, "host": machine()})
            with RESULTS.open("a") as stream:
                stream.write(json.dumps(done[-1]) + "\n")
    for d in done:
        own, overall = d["paired"], d["overall"]
        print(
            f"seed {d['seeds']['run']} task {d['seeds']['task']}: own {own['base']:.3f} -> {own['trained']:.3f} "
            f"[{own['ci_low']:+.3f}, {own['ci_high']:+.3f}]  overall {overall['estimate']:+.3f} "
            f"[{overall['ci_low']:+.3f}, {overall['ci_high']:+.3f}]  "
            f"{d['seconds']:.0f} s  {d['peak_memory_gib']:.2f} GiB"
        )


if __name__ == "__main__":
    main()
