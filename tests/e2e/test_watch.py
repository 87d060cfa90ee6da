"""`oneshot watch RUN --web` as a process of its own: it serves the live report and ends at once when asked to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from oneshot.record import RunFolder
from tests.unit.stages.watching import HOSTILE, running, step


@contextmanager
def web(run: RunFolder, home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the address that it printed; killed at the end if it still runs."""
    environment = {**os.environ, "ONESHOT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "oneshot", "watch", str(run.path), "--web", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def page(url: str) -> str:
    with urlopen(url, timeout=60) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        found: bytes = answer.read()
    return found.decode()


def grown(url: str, said: str) -> str:
    """The page once it says something: it is built anew every few seconds, and asked so often at most."""
    for _ in range(20_000):
        if said in (found := page(url)):
            return found
    raise AssertionError(f"the page never said {said!r}")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_the_live_report(tmp_path: Path, number: signal.Signals, status: int) -> None:
    run = running(tmp_path, steps=1)
    before = sorted(path.name for path in run.path.rglob("*"))
    with web(run, tmp_path / "home") as (process, url):
        assert url.startswith("http://127.0.0.1:")
        first = page(url)
        assert 'http-equiv="refresh"' in first
        assert sorted(path.name for path in run.path.rglob("*")) == before  # it writes nothing
        port = int(url.rstrip("/").rpartition(":")[2])
        with pytest.raises(HTTPError, match="403"):
            urlopen(Request(url, headers={"Host": "evil.example"}), timeout=60)
        step(run, 1, text=HOSTILE)
        later = grown(url, "markup")
        assert "\x1b" not in later
        idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
        process.send_signal(number)
        _, err = process.communicate(timeout=5)
        for client in idle:
            client.close()
        assert process.returncode == status
    assert "the run is not touched" in err
    assert "Traceback" not in err
