"""The GPU benchmarks run in tiny sizes on a CPU, one process each, and store one JSON object each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def run(root: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "benchmarks/gpu/run.py", *flags],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_every_part(root: Path, tmp_path: Path) -> None:
    store = tmp_path / "folder" / "gpu.jsonl"
    done = run(root, "--smoke", "--store", str(store))
    assert done.returncode == 0, done.stdout + done.stderr
    found = {row["benchmark"]: row for row in map(json.loads, store.read_text().splitlines())}
    assert list(found) == ["gpu/head", "gpu/decode", "gpu/learner", "gpu/step"]
    for row in found.values():
        assert row["smoke"] is True
        assert row["machine"]["cores"] >= 1
    assert found["gpu/decode"]["new"] * found["gpu/decode"]["sequences"] > 0
    for side in found["gpu/head"]["rows"].values():
        assert max(side["error"].values()) < 1e-5
    step = found["gpu/step"]["steps"][-1]
    assert step["tokens"] > 16
    assert step["gap"] < 1e-4
    assert found["gpu/learner"]["operations"] > 0
    assert done.stdout.count("smoke test, measures nothing") == 5
    assert done.stdout.count("done (") == 4


def test_without_a_gpu_nothing_is_measured(root: Path, tmp_path: Path) -> None:
    store = tmp_path / "gpu.jsonl"
    done = run(root, "--only", "head", "--store", str(store))
    assert done.returncode == 3
    assert "torch sees no CUDA GPU" in done.stderr
    assert "no GPU" in done.stdout
    assert not store.exists()


def test_an_unknown_part_is_refused(root: Path) -> None:
    done = run(root, "--only", "heads")
    assert done.returncode == 2
    assert "there is no part heads" in done.stderr
