"""All GPU benchmarks, each in a process of its own, so that one that fails does not take the others along.

    python benchmarks/gpu/run.py [--store FILE] [--only head,decode] [--smoke]

Small shapes first: within a minute they show what fails. Ends with one line a part; exit 1 if a part failed, 3 without
a GPU. A missed aim is printed and is no failure. Has not run on a GPU yet.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("head", ("--tokens", "1024", "--repeats", "2"), 120),
    ("decode", ("--sequences", "64", "--new", "32", "--plain-new", "16", "--repeats", "1"), 120),
    ("learner", ("--groups", "1", "--repeats", "1"), 120),
    ("step", ("--groups", "8", "--limit", "64", "--mean", "40"), 120),
    ("head", (), 120),
    ("decode", ("--profile",), 240),
    ("learner", ("--profile",), 180),
    ("step", (), 240),
)
"""(script, flags, seconds after which it is stopped)."""


def main() -> None:
    """Run the parts one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes on the CPU, every script once")
    parser.add_argument("--store", type=Path, help="file to append the results to, one JSON line each")
    parser.add_argument("--only", default="", help="names of parts, with commas: head, decode, learner, step")
    given = parser.parse_args()
    wanted = [name for name in given.only.split(",") if name]
    if unknown := set(wanted) - {name for name, _, _ in PARTS}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    parts = [part for part in PARTS if not wanted or part[0] in wanted]
    if given.smoke:
        parts = [(name, ("--repeats", "1"), 120) for name in dict.fromkeys(name for name, _, _ in parts)]
    shared = [*(["--smoke"] if given.smoke else []), *(["--store", str(given.store)] if given.store else [])]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    ended: list[tuple[str, str]] = []
    for name, flags, limit in parts:
        title = " ".join((name, *flags))
        print(f"\n=== {title}", flush=True)
        began = time.perf_counter()
        command = [sys.executable, str(HERE / f"{name}.py"), *flags, *shared]
        try:
            status = subprocess.run(command, env=environment, timeout=limit, check=False).returncode
            said = "done" if status == 0 else "no GPU" if status == 3 else f"FAILED with status {status}"
        except subprocess.TimeoutExpired:
            said = f"FAILED: stopped after {limit} s"
        ended.append((title, f"{said} ({time.perf_counter() - began:.0f} s)"))
    print("\n" + "\n".join(f"{said:30} {title}" for title, said in ended), flush=True)
    if any(said.startswith("no GPU") for _, said in ended):
        raise SystemExit(3)
    raise SystemExit(int(any(said.startswith("FAILED") for _, said in ended)))


if __name__ == "__main__":
    main()
