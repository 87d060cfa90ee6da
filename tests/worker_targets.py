"""Factories for the tests of the worker pool, which a worker imports by name."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def leave(status: Any) -> None:
    sys.exit(status)


def interrupt(_: Any) -> None:
    raise KeyboardInterrupt


def mute(_: Any) -> None:
    raise MuteError


def hog(size: int) -> int:
    return len(bytearray(size))


def note(path: str) -> None:
    """One more line with this worker's pid."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")


def die(path: str) -> None:
    note(path)
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(path: str) -> str:
    first = not Path(path).exists()
    if first:
        die(path)
    return "second"


def wait_once(path: str) -> str:
    """The first call waits to be killed, the second answers."""
    first = not Path(path).exists()
    note(path)
    while first:
        time.sleep(0.01)
    return "second"


def sleep_with_child(path: str) -> None:
    """A job that starts a process of its own and then hangs."""
    if os.fork() == 0:
        note(path)
        time.sleep(600)
        os._exit(0)
    time.sleep(600)


def fork_twin(_: Any) -> int:
    """Comes back twice, in the worker and in a child of it."""
    if os.fork():
        time.sleep(0.2)
        return 1
    return 2


def say(text: str) -> int:
    print(text)
    os.write(1, b"by descriptor\n")
    return len(text)


KEPT: list[bytes] = []


def keep(size: int) -> int:
    """Memory that stays in use after the job."""
    KEPT.append(b"x" * size)
    return os.getpid()


def babble(_: Any) -> str:
    """Writes an answer of its own to every socket it finds."""
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.write(descriptor, b"\0\0\0\2[]")
    return "babbled"


JOBS: dict[str, Callable[[Any], Any]] = {
    "twice": lambda value: 2 * value,
    "echo": lambda value: value,
    "raise": lambda value: [][value],
    "leave": leave,
    "interrupt": interrupt,
    "mute": mute,
    "hang": lambda _: time.sleep(600),
    "spin": lambda _: 9**9**9,
    "sleep": lambda seconds: time.sleep(seconds) or seconds,
    "hog": hog,
    "note": note,
    "die": die,
    "die_once": die_once,
    "wait_once": wait_once,
    "children": sleep_with_child,
    "twin": fork_twin,
    "crash": lambda _: ctypes.string_at(0),
    "exit": lambda status: os._exit(status),
    "say": say,
    "read": lambda _: sys.stdin.read(),
    "set": lambda _: {1, 2},
    "object": lambda _: object(),
    "long": lambda size: "x" * size,
    "nan": lambda _: [float("nan"), float("inf"), -0.0],
    "keep": keep,
    "babble": babble,
    "pid": lambda _: os.getpid(),
    "parent": lambda _: os.getppid(),
    "path": lambda _: [sys.path, os.getcwd()],
    "loaded": lambda name: name in sys.modules,
}


def jobs() -> Callable[[list[Any]], Any]:
    """A job is [name, argument]."""
    return lambda job: JOBS[job[0]](job[1])


def adder(*numbers: float) -> Callable[[float], float]:
    return lambda value: value + sum(numbers)


def failing(text: str) -> Callable[[Any], Any]:
    raise ValueError(text)


def exiting() -> Callable[[Any], Any]:
    os._exit(3)


def sleeping() -> Callable[[Any], Any]:
    time.sleep(600)
    return jobs()
