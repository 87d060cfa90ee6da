"""The far side of the socket: the process that forks workers, and the worker. Standard library only.

A nursery is started once per pool and stays single-threaded, so that forking it is safe whatever the caller does with
threads. It imports the target's module, warms it up if asked, and forks one worker per order. It ends, and takes its
workers along, when its caller's end of the socket closes, which the kernel does even for a caller that was killed.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import gc
import importlib
import io
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from oneshot.rewards.workers.wire import MEMORY_EXIT, ORDER, pack, receive

MAX_TEXT = 500
"""Characters of an exception's message that are passed on."""
MAX_GROWTH = 256 << 20
"""Bytes of resident memory a worker may gain over its jobs before it is replaced."""
MAX_PRINTED = 64 << 10
"""Bytes of a job's prints that are passed on to stderr; the rest is dropped."""
_PR_SET_PDEATHSIG = 1


def attempt(function: Callable[..., Any], *arguments: Any) -> tuple[Any, str, str]:
    """Call it: (value, "ok", ""), or (None, "memory" or "error", what it raised).

    The boundary of the worker process, and beside the command line's the one place that catches everything: what a
    user's function raises, `sys.exit()` included, becomes an answer, for a worker that died of it could not explain.
    """
    try:
        return function(*arguments), "ok", ""
    except MemoryError:
        return None, "memory", "MemoryError"
    except BaseException as error:
        text, _, _ = attempt(str, error)  # an exception's own __str__ may raise
        return None, "error", (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:MAX_TEXT]


def main(config: dict[str, Any]) -> NoReturn:
    """Be a nursery, or a single worker where there is no fork, until the caller closes its end."""
    _quiet()
    if sys.platform == "win32":
        link = socket.fromshare(base64.b64decode(config["socket"]))
    else:
        link = socket.socket(fileno=config["socket"])
        link.set_inheritable(False)
    if config["forks"]:
        _tend(link, config)
    _work(link, config)


def _quiet() -> None:
    """Read nothing, and print to stderr: the caller's stdout carries results."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    with contextlib.suppress(OSError):  # the caller may have closed its stderr
        os.dup2(2, 1)
    os.close(nothing)


def _find(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def _tend(link: socket.socket, config: dict[str, Any]) -> NoReturn:
    """Fork and end workers on order until the caller closes; then end them all. An order is answered before the next.

    A failing import is not reported here: the worker meets it again and says so.
    """
    attempt(_find, config["target"])
    if config["warm"]:
        attempt(lambda: _find(config["warm"])())
    gc.collect()
    gc.freeze()  # the collector of a child leaves these pages alone, so they stay shared
    children: set[int] = set()
    try:
        while True:
            data, descriptors, _, _ = socket.recv_fds(link, ORDER.size, 1)
            if len(data) < ORDER.size:
                break
            (pid,) = ORDER.unpack(data)
            link.sendall(ORDER.pack(_end(pid, children) if pid else _fork(link, descriptors[0], config, children)))
    except OSError:
        pass  # the caller is gone, which is the other way to say good-bye
    finally:
        for pid in tuple(children):
            _end(pid, children)
        os._exit(0)


def _fork(link: socket.socket, descriptor: int, config: dict[str, Any], children: set[int]) -> int:
    """A worker that serves `descriptor`: its pid, or minus errno."""
    nursery = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(descriptor)
        return -(error.errno or 1)
    if pid == 0:
        link.close()
        os.setpgid(0, 0)  # what the job starts is ended with it
        _die_with(nursery)
        os.set_inheritable(descriptor, False)
        _work(socket.socket(fileno=descriptor), config)
    os.close(descriptor)
    with contextlib.suppress(OSError):  # the child does it too; whoever comes first
        os.setpgid(pid, pid)
    children.add(pid)
    return pid


def _end(pid: int, children: set[int]) -> int:
    """Kill a worker of ours and what it started, and reap it: its exit status, or minus the signal that ended it."""
    if pid not in children:
        return 0
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(pid, signal.SIGKILL)
    children.discard(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _die_with(parent: int) -> None:
    """On Linux: be killed when the nursery is, even in the middle of a job that looks at no socket."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)


def _work(link: socket.socket, config: dict[str, Any]) -> NoReturn:
    """A worker's life. It leaves by `_exit`, since what a fork inherited is not its to clean up."""
    try:
        _serve(link, config)
    except MemoryError:
        os._exit(MEMORY_EXIT)
    except (OSError, EOFError):
        os._exit(0)  # the caller closed
    finally:
        os._exit(1)


def _serve(link: socket.socket, config: dict[str, Any]) -> None:
    """Make the function, say how that went, then answer one job after another."""
    prints = _Prints()
    function, status, message = attempt(lambda: _find(config["target"])(*config["arguments"]))
    link.sendall(pack({"number": 0, "status": status, "message": message}))
    if status != "ok":
        return
    _limit(config["memory"])
    pid, start, number = os.getpid(), _memory()[1], 0
    while True:
        job = receive(link)
        number += 1
        prints.seen = 0
        value, status, message = attempt(function, job)
        if os.getpid() != pid:
            os._exit(0)  # the job forked, and this is the copy: the answer is not its to give
        attempt(prints.text.flush)
        worn = status == "memory" or number >= config["recycle"] or _memory()[1] - start > MAX_GROWTH
        reply = {"number": number, "printed": prints.seen > 0, "worn": worn, "status": status, "message": message}
        data, packed, why = attempt(pack, {**reply, "value": value})
        if packed != "ok":
            text = f"it returned {type(value).__name__}, which cannot be passed on ({why})"
            data = pack({**reply, "value": None, "status": packed, "message": text[:MAX_TEXT]})
        value = None
        link.sendall(data)


class _Prints(io.FileIO):
    """Descriptor 1, which is stderr here, under `sys.stdout`: counts what a job prints and cuts a flood short."""

    def __init__(self) -> None:
        super().__init__(1, "w", closefd=False)
        self.seen = 0
        self.text = io.TextIOWrapper(
            io.BufferedWriter(self), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        sys.stdout = self.text

    def write(self, data: Any, /) -> int:
        self.seen += len(data)
        return len(data) if self.seen > MAX_PRINTED else super().write(data)


def _memory() -> tuple[int, int]:
    """Bytes of address space and of resident memory of this process; zeros where there is no /proc."""
    if sys.platform != "linux":
        return 0, 0
    with open("/proc/self/statm", encoding="ascii") as file:
        space, resident = file.read().split()[:2]
    page = os.sysconf("SC_PAGE_SIZE")
    return int(space) * page, int(resident) * page


def _limit(memory: int | None) -> None:
    """Allow `memory` bytes of address space beyond what is used now (Linux), and no core dumps."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory is not None:
            ceiling = resource.getrlimit(resource.RLIMIT_AS)[1]
            wanted = _memory()[0] + memory
            limit = wanted if ceiling == resource.RLIM_INFINITY else min(wanted, ceiling)
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
