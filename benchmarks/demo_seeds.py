"""Run the frozen demo on several seeds and keep each summary; resumable, one line a run.

    .venv/bin/python benchmarks/demo_seeds.py            # run seeds 0, 1, 2 on task seed 0, then another task seed
    .venv/bin/python benchmarks/demo_seeds.py 0:0        # run seed 0 on task seed 0 alone

Each line of benchmarks/results/demo_seeds.jsonl is what `oneshot demo --json` printed, with the machine it ran on and,
since it is recorded, the last commit that changed the package; a pair is run
once for each.
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

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "demo_seeds.jsonl"
RUNS = ("0:0", "1:0", "2:0", "0:1")
"""Run seed and task seed."""


def commit() -> str:
    """The last commit that changed the package: what is measured."""
    asked = ["git", "log", "-1", "--format=%h", "--", "oneshot"]
    return subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout.strip()


def machine() -> dict[str, Any]:
    """Where the times were measured."""
    return {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def main() -> None:
    """Run what is missing and print one line a run."""
    done = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    code, known = commit(), [(d["seeds"], d.get("commit")) for d in done]
    for seed, task_seed in (map(int, pair.split(":")) for pair in sys.argv[1:] or RUNS):
        if ({"run": seed, "task": task_seed}, code) not in known:
            command = [str(Path(sys.executable).parent / "oneshot"), "demo", "--json"]
            command += ["--seed", str(seed), "--task-seed", str(task_seed)]
            began = time.perf_counter()
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            seconds = round(time.perf_counter() - began, 1)
            done.append({**json.loads(output), "commit": code, "seconds": seconds, "host": machine()})
            with RESULTS.open("a") as stream:
                stream.write(json.dumps(done[-1]) + "\n")
    for d in done:
        own, overall = d["paired"], d["overall"]
        print(
            f"seed {d['seeds']['run']} task {d['seeds']['task']}: own {own['base']:.3f} -> {own['trained']:.3f} "
            f"[{own['ci_low']:+.3f}, {own['ci_high']:+.3f}]  overall {overall['estimate']:+.3f} "
            f"[{overall['ci_low']:+.3f}, {overall['ci_high']:+.3f}]  "
            f"{d['seconds']:.0f} s  {d['peak_memory_gib']:.2f} GiB  {d.get('commit', 'an older commit')}"
        )


if __name__ == "__main__":
    main()
