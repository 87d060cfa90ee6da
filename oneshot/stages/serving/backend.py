"""The server behind the proxy: `vllm serve` where vLLM and a GPU are there, else `transformers serve`.

A child process in a session of its own, on a random port of 127.0.0.1, with the model pinned. vLLM was never run by us:
its command is written from its documentation. Continuous batching of transformers stays off, because the first request
would decide for all others whether tokens are drawn or the best ones are taken.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from oneshot.config.environment import environment
from oneshot.errors import MachineError
from oneshot.report.text import visible

if TYPE_CHECKING:
    import httpx2

HOST = "127.0.0.1"
VLLM, TRANSFORMERS = "vllm", "transformers"
NEEDS: Mapping[str, tuple[str, ...]] = {
    "": ("starlette", "uvicorn", "httpx2"),
    TRANSFORMERS: ("fastapi", "openai", "pydantic"),
    VLLM: ("vllm",),
}
"""Packages of the proxy and of each back end."""
INSTALL = 'pip install "oneshot-rlvr[serve]"'
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "PYTHONUNBUFFERED": "1",
}
"""Everything is on this machine by then: the back end opens no connection to another one."""
GRACE = 1.5
"""Seconds the back end has to end by itself; it would wait for every answer that is being made."""
EVERY, SAY_EVERY = 0.2, 30.0
"""Seconds between two looks at a back end that starts, and between two words about it."""
LINES, MOST_LINE = 25, 2000
GUARD = (
    "import os, shutil, signal, sys\n"
    "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "clean = sys.stdin.buffer.read()\n"
    "if not clean:\n"
    "    try:\n        os.killpg(int(sys.argv[1]), signal.SIGKILL)\n"
    "    except (ProcessLookupError, PermissionError):\n        pass\n"
    "    shutil.rmtree(sys.argv[2], ignore_errors=True)\n"
)
"""Ends the back end, and removes the folder, where this process was killed: then its standard input ends unwritten."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A command and how it is spoken to."""

    kind: str
    command: tuple[str, ...]
    port: int
    model: str
    """What requests have to call the model."""
    env: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"


def missing(name: str) -> list[str]:
    """Packages of `NEEDS` that are not installed."""
    return [package for package in NEEDS[name] if find_spec(package) is None]


def chosen() -> str:
    """`vllm` or `transformers`.

    Raises:
        MachineError: E204 with the line that installs what is missing.
    """
    kind = VLLM if not missing(VLLM) and _gpu() else TRANSFORMERS
    if lacking := [*missing(""), *missing(kind)]:
        raise MachineError(
            f"oneshot serve needs {', '.join(lacking)}.", code="E204", tries=(INSTALL,), kept="Nothing was started."
        )
    return kind


def _gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on in this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def backend(kind: str, model: str, dtype: str, *, port: int, name: str) -> Backend:
    """The command that serves a folder."""
    where = ("--host", HOST, "--port", str(port), "--dtype", dtype)
    if kind == VLLM:
        key = secrets.token_urlsafe(24)
        command = (
            sys.executable,
            "-m",
            "vllm.entrypoints.cli.main",
            "serve",
            model,
            *where,
            "--served-model-name",
            name,
        )
        headers = {"Authorization": f"Bearer {key}"}  # in the environment: a command line can be read by everybody
        return Backend(kind=kind, command=command, port=port, model=name, env={"VLLM_API_KEY": key}, headers=headers)
    words = (sys.executable, "-m", "transformers.cli.transformers", "serve", model, *where)
    return Backend(kind=kind, command=words, port=port, model=model)


class Running:
    """A back end that was started. `stop` is safe at any time."""

    def __init__(self, backend: Backend, folder: Path, *, verbose: bool) -> None:
        """`folder`: where the process runs; removed by the guard where this process is killed."""
        self.backend, self.folder, self.verbose = backend, folder, verbose
        self.last: deque[str] = deque(maxlen=LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, with a guard beside it."""
        self._process = await asyncio.create_subprocess_exec(
            *self.backend.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**environment(), **QUIET, **self.backend.env},
            cwd=self.folder,
            start_new_session=True,
        )
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-c", GUARD, str(self._process.pid), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Keep the last lines of its output."""
        assert self._process and self._process.stdout
        rest = ""
        while piece := await self._process.stdout.read(1 << 16):
            *lines, rest = (rest + piece.decode("utf-8", "replace")).replace("\r", "\n").split("\n")
            rest = rest[-MOST_LINE:]
            for line in filter(str.strip, lines):
                self.last.append(line[:MOST_LINE])
                if self.verbose:
                    print(visible(line[:MOST_LINE]), file=sys.stderr, flush=True)
        if rest.strip():
            self.last.append(rest)

    async def ended(self) -> MachineError:
        """Wait until it ends by itself; why, with its last lines."""
        assert self._process and self._reader
        status = await self._process.wait()
        with suppress(asyncio.TimeoutError):  # a grandchild may keep the pipe open
            await asyncio.wait_for(asyncio.shield(self._reader), 1.0)
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        said = "".join(f"\n    {visible(line)}" for line in self.last) or " It said nothing."
        return MachineError(f"the back end ({self.backend.kind} serve) {how}.{said}", code="E304")

    async def ready(self, client: httpx2.AsyncClient, say: Callable[[str], None]) -> None:
        """Wait until it answers; whoever waits also watches `ended`."""
        import httpx2

        began = said = time.monotonic()
        while True:
            with suppress(httpx2.HTTPError):
                answer = await client.get(f"{self.backend.url}/health", headers=dict(self.backend.headers))
                if answer.status_code == 200:
                    return
            if time.monotonic() - said > SAY_EVERY:
                said = time.monotonic()
                say(f"the back end is still loading after {said - began:.0f} s")
            await asyncio.sleep(EVERY)

    async def stop(self) -> None:
        """End it and everything it started, within `GRACE` seconds or by force."""
        process, guard = self._process, self._guard
        self._guard = None
        if process is None or guard is None or guard.stdin is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):  # the second one also for what it leaves behind
            with suppress(ProcessLookupError, PermissionError):  # all gone
                os.killpg(process.pid, number)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), GRACE)
        if self._reader:
            self._reader.cancel()
        with suppress(BrokenPipeError), guard.stdin:
            guard.stdin.write(b"clean")
        guard.wait()
