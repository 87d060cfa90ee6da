"""How long `oneshot --help` takes (aim: under 0.3 s), beside `python -c pass`, the floor of this machine.

    python benchmarks/bench_help.py [RUNS]

The two commands take turns, so that a busy moment falls on both. The first turn only warms the caches.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {"oneshot --help": ["-m", "oneshot", "--help"], "python -c pass": ["-c", "pass"]}
AIM = 0.3


def seconds(arguments: list[str], environment: dict[str, str]) -> float:
    """Wall time in seconds of one `python *arguments`; CalledProcessError where it fails."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main(runs: int = 20) -> None:
    """Print median, smallest and largest time of each command over `runs` turns, and the ratio of the medians."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    turns = [{name: seconds(arguments, environment) for name, arguments in COMMANDS.items()} for _ in range(runs + 1)]
    medians = {}
    for name in COMMANDS:
        times = [turn[name] for turn in turns[1:]]
        medians[name] = statistics.median(times)
        spread = f"{min(times) * 1000:.0f} to {max(times) * 1000:.0f}"
        print(f"{name:16} {medians[name] * 1000:6.0f} ms  median of {runs} ({spread})")
    help_time, floor = medians.values()
    verdict = "under" if help_time < AIM else "OVER"
    print(f"ratio {help_time / floor:.1f}; {verdict} the aim of {AIM * 1000:.0f} ms")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
