"""Runs a script of `benchmarks/` in tiny sizes, as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def smoke(root: Path, name: str, *flags: str, good: Sequence[int] = (0,)) -> list[str]:
    """The lines that the script prints with `--smoke`; it must end with a `good` status."""
    done = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", "--smoke", *flags],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode in good, done.stderr
    return done.stdout.splitlines()


def result_of(lines: list[str], name: str) -> dict[str, Any]:
    """The JSON object in the last line, which says whose it is."""
    result: dict[str, Any] = json.loads(lines[-1])
    assert (result["benchmark"], result["smoke"]) == (name, True)
    return result
