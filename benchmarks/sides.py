"""What the benchmarks share: two sides in processes of their own that take turns, machine facts, results.

A benchmark starts each side once as `python SCRIPT --worker ARGUMENTS`; the sides then answer questions in turn, one
JSON line each, so that a busy moment of the machine falls on both. Times are medians over the turns. A side's peak of
memory is its own process's, less what the process held before its first answer where that is asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(1, str(ROOT))


class Side:
    """One side of a comparison: a worker process of a benchmark script."""

    def __init__(self, script: str, **arguments: Any) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        self.name = str(arguments.get("side", ""))
        self.process = subprocess.Popen(
            [sys.executable, script, "--worker", json.dumps(arguments)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        """One answer. RuntimeError where the worker ended instead (its own words are on stderr)."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the missing answer says it
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the side {self.name!r} ended without an answer (status {self.process.wait()})")
        return dict(json.loads(line))

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if error is not None:
            self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Answers:
    """The worker's end: read questions, write answers. What anything else prints goes to stderr."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def next(self) -> dict[str, Any] | None:
        """The next question; None when there will be no more."""
        line = sys.stdin.readline()
        return dict(json.loads(line)) if line else None

    def give(self, **answer: Any) -> None:
        """Answer the last question."""
        self._out.write(json.dumps(answer) + "\n")
        self._out.flush()

    def serve(self, answer: Callable[..., Mapping[str, Any]]) -> None:
        """Answer questions with a function of their keys until there are no more."""
        while (question := self.next()) is not None:
            self.give(**answer(**question))


def turns(
    sides: Mapping[str, Side], repeats: int, *, warm: bool = True, **question: Any
) -> dict[str, list[dict[str, Any]]]:
    """Ask every side in turn, `repeats` times; with `warm` after a round that only warms up."""
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for turn in range(repeats + warm):
        for name, side in sides.items():
            answer = side.ask(**question)
            if turn >= warm:
                told[name].append(answer)
    return told


def median(answers: Sequence[Mapping[str, Any]], key: str) -> float:
    """The median of one number of the answers."""
    return float(statistics.median(answer[key] for answer in answers))


def peak_memory() -> int:
    """Bytes: the most this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def gemm_peak(size: int = 1024, repeats: int = 4) -> float:
    """Float32 multiply-adds of this machine with the current threads, in FLOP/s: the best of a few square products."""
    import torch

    a = torch.randn(size, size)
    return 2 * size**3 / min(seconds(lambda: a @ a) for _ in range(repeats + 1))


def facts() -> dict[str, Any]:
    """The machine and the versions."""
    names = ("torch", "transformers", "trl", "numpy")
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "cpu": cpu or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        **versions,
    }


def options(text: str | None, *, repeats: int = 5) -> argparse.ArgumentParser:
    """The flags every benchmark has."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=repeats, help=f"turns of each side (default {repeats})")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: as many as there are cores")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: shows that it runs, measures nothing")
    parser.add_argument("--store", action="store_true", help="append the result to benchmarks/results")
    parser.add_argument("--json", action="store_true", help="print nothing but the last line")
    return parser


def tell(name: str, result: dict[str, Any], *, store: bool) -> None:
    """The last line of every benchmark: one JSON object; with `store` it is kept in benchmarks/results too."""
    line = json.dumps({"benchmark": name, **result, "machine": facts()})
    if store:
        with (RESULTS / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    print(line, flush=True)
