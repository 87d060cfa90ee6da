"""`oneshot select` on the small pool of `selecting.py`, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from oneshot.cli.main import main
from tests.unit.stages.selecting import POOL, RECORD, Told, write


@pytest.fixture
def select(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """`select(*words)`: status, stdout, stderr; in a folder with `pool.jsonl` and `record.json`."""
    monkeypatch.chdir(tmp_path)
    write("pool.jsonl", POOL)
    Path("record.json").write_text(json.dumps(RECORD), "utf-8")

    def run(*words: str) -> Told:
        code = main(["select", "pool.jsonl", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run
