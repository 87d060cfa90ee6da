"""Where a pool's workers come from, seen from the caller: a nursery that forks them, or one new process for each."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import IO, Any, Protocol, cast

from oneshot.rewards.workers.wire import ORDER, exactly

START_SECONDS = 60.0
"""How long a nursery, an import or a factory may take to come up."""
_END_SECONDS = 5.0

# The search path comes first, so that the nursery imports what the caller would. The script has no __main__ to import.
_BOOT = (
    "import json, sys; config = json.loads(sys.stdin.buffer.readline()); sys.path[:] = config['path']; "
    "from oneshot.rewards.workers.nursery import main; main(config)"
)


class Hatchery(Protocol):
    """Makes workers and ends them. Every method is thread-safe."""

    def hatch(self) -> tuple[socket.socket, int]:
        """The caller's end of a new worker's socket, and its pid; raises OSError or EOFError."""
        ...

    def end(self, pid: int) -> int | None:
        """Kill a worker and reap it: its exit status, or minus the signal that ended it; None where unknown."""
        ...

    def close(self) -> None:
        """End all workers; idempotent."""
        ...

    def abandon(self) -> None:
        """In a forked child: let go of everything without telling the processes, which are the parent's."""
        ...


def hatchery(config: dict[str, Any]) -> Hatchery:
    """A nursery, or on a system that cannot pass a socket to another process (Windows) a new process per worker."""
    if hasattr(os, "fork") and hasattr(socket, "send_fds"):
        return Nursery(config)
    return Singles(config)


class Nursery:
    """The caller's end of a nursery process. Forking a warm worker there takes milliseconds."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._lock = threading.Lock()
        self._link, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = _launch({**config, "forks": True}, theirs)
        except OSError:
            self._link.close()
            raise

    def hatch(self) -> tuple[socket.socket, int]:
        """Order a worker; the first order also waits for the nursery to come up."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                pid = self._order(0, theirs)
            if pid < 0:
                raise OSError(-pid, os.strerror(-pid))
        except (OSError, EOFError):
            ours.close()
            raise
        return ours, pid

    def end(self, pid: int) -> int | None:
        """Have the nursery kill it, which alone knows that the pid is still this worker's."""
        try:
            return self._order(pid)
        except (OSError, EOFError):
            return None  # without its nursery a worker is dead, or gets the end of file

    def _order(self, number: int, attached: socket.socket | None = None) -> int:
        with self._lock:
            answered = False
            try:
                self._link.settimeout(START_SECONDS)
                if attached is None:
                    self._link.sendall(ORDER.pack(number))
                else:
                    socket.send_fds(self._link, [ORDER.pack(number)], [attached.fileno()])
                answer = exactly(self._link, ORDER.size, time.monotonic() + START_SECONDS)
                answered = True
            finally:
                if not answered:  # a late answer would be taken for the next order's
                    self._hang_up()
            return int(ORDER.unpack(answer)[0])

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket, on which the nursery ends its workers and itself; kill it if it is stuck in an import."""
        self._hang_up()
        with self._lock:
            self._link.close()
            _reap(self._process)

    def abandon(self) -> None:
        """Close this process's copy of the socket."""
        self._link.close()
        self._process.returncode = 0  # the child of another process: nothing to wait for, nothing to warn of


class Singles:
    """One new interpreter per worker. A worker that is in a job when its caller is killed runs on to the job's end."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = {**config, "forks": False}
        self._lock = threading.Lock()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def hatch(self) -> tuple[socket.socket, int]:
        """Start an interpreter."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = _launch(self._config, theirs)
        except OSError:
            ours.close()
            raise
        with self._lock:
            self._processes[process.pid] = process
        return ours, process.pid

    def end(self, pid: int) -> int | None:
        """Kill the process, and on POSIX what it started."""
        with self._lock:
            process = self._processes.pop(pid, None)
        if process is None:
            return None
        _kill(process)
        return process.wait()

    def close(self) -> None:
        """Kill all."""
        for pid in tuple(self._processes):
            self.end(pid)

    def abandon(self) -> None:
        """Forget them."""
        for process in self._processes.values():
            process.returncode = 0


def _launch(config: dict[str, Any], link: socket.socket) -> subprocess.Popen[bytes]:
    """Start an interpreter on `_BOOT` in a session of its own, so that Ctrl-C reaches the caller only."""
    windows = sys.platform == "win32"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _BOOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=() if windows else (link.fileno(),),
        start_new_session=not windows,
    )
    try:
        if sys.platform == "win32":
            handed: Any = base64.b64encode(link.share(process.pid)).decode()
        else:
            handed = link.fileno()
        with cast(IO[bytes], process.stdin) as stdin:
            told = {**config, "path": [str(place) for place in sys.path], "socket": handed}
            stdin.write(json.dumps(told).encode() + b"\n")
    except OSError:
        _kill(process)
        process.wait()
        raise
    return process


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process and, on POSIX, its group. Not yet waited for, so that the pid is its own."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
