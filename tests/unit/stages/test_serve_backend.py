"""A back end as a process: started, watched, ended with everything it started. Made up, so nothing heavy is loaded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from oneshot.errors import MachineError
from oneshot.stages.serving import backend as backends
from oneshot.stages.serving.backend import Backend, Running, backend, free_port

httpx2 = pytest.importorskip("httpx2")

WELL = """
import http.server, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *_): pass
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print("child", child.pid, flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DEAF = "import signal, sys\nfor n in (signal.SIGTERM, signal.SIGINT): signal.signal(n, signal.SIG_IGN)\n" + WELL
DYING = "import sys; print('loading'); print('\\x1b[31mno such file', file=sys.stderr); sys.exit(3)"
FRONT = """
import asyncio, sys
from pathlib import Path
from oneshot.stages.serving.backend import Backend, Running
async def main():
    running = Running(Backend(kind="x", command=(sys.executable, "-c", sys.argv[1], sys.argv[2]), port=1, model="m"),
                      Path(sys.argv[3]), verbose=False)
    await running.start()
    while not running.last:
        await asyncio.sleep(0.01)
    print(running.last[0], running._process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def made(script: str, folder: Path) -> Running:
    port = free_port()
    return Running(
        Backend(kind="made-up", command=(sys.executable, "-c", script, str(port)), port=port, model="m"),
        folder,
        verbose=False,
    )


def gone(pid: int) -> bool:
    """Whether a process has ended; one that waits to be collected has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def eventually(check: Callable[[], bool]) -> bool:
    """Looked at until it is so, for a while."""

    async def look() -> bool:
        for _ in range(3000):
            if check():
                return True
            await asyncio.sleep(0.01)
        return False

    return asyncio.run(look())


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


@pytest.mark.parametrize("script", [WELL, DEAF], ids=["well", "deaf"])
def test_it_is_ended_with_everything_it_started(tmp_path: Path, script: str) -> None:
    running = made(script, tmp_path)
    pids: list[int] = []

    async def work() -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            await running.start()
            await running.ready(client, lambda text: None)
        pids.append(int(running.last[0].split()[1]))
        await running.stop()
        await running.stop()  # safe at any time

    run(work())
    assert running._process is not None
    assert running._process.returncode in (-signal.SIGTERM, -signal.SIGKILL)
    assert eventually(lambda: gone(pids[0]))
    assert tmp_path.is_dir()  # the guard leaves the folder to its owner


def test_a_back_end_that_ends_is_said_with_its_last_lines(tmp_path: Path) -> None:
    running = made(DYING, tmp_path)
    found: list[MachineError] = []

    async def work() -> None:
        await running.start()
        found.append(await running.ended())
        await running.stop()

    run(work())
    (error,) = found
    assert error.exit_code == 3
    assert "ended with status 3." in error.message
    assert "\n    loading" in error.message
    assert "\n    ⟨ESC⟩[31mno such file" in error.message


def test_nothing_is_left_where_this_process_is_killed(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    words = [sys.executable, "-c", FRONT, DEAF, str(free_port()), str(room)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(backends.__file__).parents[3]) as front:
        try:
            assert front.stdout is not None
            _, child, process = front.stdout.readline().split()
        finally:
            front.kill()
    assert eventually(lambda: gone(int(child)) and gone(int(process)) and not room.exists())
    for pid in (int(child), int(process)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = backend("transformers", "/m", "float32", port=7, name="n")
    assert plain.command[1:] == (
        "-m", "transformers.cli.transformers", "serve", "/m", "--host", "127.0.0.1", "--port", "7",
        "--dtype", "float32",
    )  # fmt: skip
    assert (plain.model, plain.headers, plain.url) == ("/m", {}, "http://127.0.0.1:7")
    fast = backend("vllm", "/m", "bfloat16", port=7, name="n")
    assert fast.command[1:4] == ("-m", "vllm.entrypoints.cli.main", "serve")
    assert fast.command[-2:] == ("--served-model-name", "n")
    assert fast.model == "n"
    key = fast.env["VLLM_API_KEY"]
    assert fast.headers == {"Authorization": f"Bearer {key}"}
    assert key not in " ".join(fast.command)


def test_vllm_needs_a_gpu_and_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"vllm"}
    monkeypatch.setattr(backends, "find_spec", lambda name: object() if name in there else None)
    monkeypatch.setattr(backends, "_gpu", lambda: False)
    with pytest.raises(MachineError, match="needs starlette, uvicorn, httpx2, fastapi, openai, pydantic") as found:
        backends.chosen()
    assert (found.value.code, found.value.tries) == ("E204", ('pip install "oneshot-rlvr[serve]"',))
    there |= {"starlette", "uvicorn", "httpx2", "fastapi", "openai", "pydantic"}
    assert backends.chosen() == "transformers"
    monkeypatch.setattr(backends, "_gpu", lambda: True)
    assert backends.chosen() == "vllm"
    there.discard("vllm")
    assert backends.chosen() == "transformers"
