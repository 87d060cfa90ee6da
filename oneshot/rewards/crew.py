"""The workers of one pool: who is idle, who is new, who has to go. One crew belongs to one process of the caller."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from socket import MSG_PEEK, socket
from typing import Any

from oneshot.errors import DataError, MachineError
from oneshot.rewards.hatchery import START_SECONDS, Hatchery, hatchery
from oneshot.rewards.wire import receive

CLOSED = "the pool of workers is closed"


@dataclass(eq=False)
class Worker:
    """One worker process, seen from here."""

    link: socket
    pid: int
    jobs: int = 0
    """Jobs it was given; the number of an answer must be this one."""


class Crew:
    """Up to `size` workers, made when there is work. Thread-safe."""

    def __init__(self, config: dict[str, Any], size: int, *, closed: bool = False) -> None:
        self.closed = closed
        self._config = config
        self._free = size
        self._idle: list[Worker] = []
        self._workers: set[Worker] = set()
        self._hatchery: Hatchery | None = None
        self._state = threading.Condition()

    def enter(self, *, wait: bool = True) -> bool:
        """Take one of the `size` places, waiting for it unless told not to; False when there is none to be had."""
        with self._state:
            while wait and not self._free and not self.closed:
                self._state.wait()
            if self.closed or not self._free:
                return False
            self._free -= 1
            return True

    def leave(self) -> None:
        """Give the place back."""
        with self._state:
            self._free += 1
            self._state.notify()

    def worker(self) -> Worker:
        """One that waits for a job, idle or new. Raises MachineError, or DataError when the factory fails."""
        while True:
            with self._state:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return self._hatch()
            if _silent(worker.link):
                return worker
            self.end(worker)  # it died while idle, or something in it wrote out of turn

    def rest(self, worker: Worker) -> None:
        """Keep the worker for another job."""
        with self._state:
            if not self.closed:
                self._idle.append(worker)
                return
        self.end(worker)

    def end(self, worker: Worker) -> int | None:
        """Kill the worker: its exit status, or minus the signal that ended it, where known."""
        worker.link.close()
        with self._state:
            self._workers.discard(worker)
            nest = self._hatchery
        return nest.end(worker.pid) if nest else None

    def close(self) -> None:
        """End everything; jobs in progress lose their worker. Idempotent."""
        with self._state:
            self.closed = True
            idle, self._idle = self._idle, []
            nest, self._hatchery = self._hatchery, None
            self._state.notify_all()
        for worker in idle:
            worker.link.close()
        if nest:
            nest.close()

    def abandon(self) -> None:
        """In a forked child, before any other code runs: close the copies of the parent's sockets. Takes no lock."""
        for worker in self._workers:
            worker.link.close()
        if self._hatchery:
            self._hatchery.abandon()

    def _hatch(self) -> Worker:
        try:
            worker = self._order()
        except (OSError, EOFError) as error:
            why = CLOSED if self.closed else f"a worker process could not be started ({error})"
            raise MachineError(f"{why}.") from error
        why = "interrupted"
        try:
            why = self._not_ready(worker)
        finally:
            if why:
                self.end(worker)
        if why:
            raise DataError(f"{self._config['target']} cannot be used: {why}", code="E305")
        return worker

    def _order(self) -> Worker:
        nest = self._nest()
        try:
            link, pid = nest.hatch()
        except (OSError, EOFError):  # the nursery itself was killed
            with self._state:
                if self._hatchery is nest:
                    self._hatchery = None
            nest.close()
            link, pid = self._nest().hatch()
        worker = Worker(link, pid)
        with self._state:
            self._workers.add(worker)
        return worker

    def _nest(self) -> Hatchery:
        with self._state:
            if self.closed:
                raise EOFError(CLOSED)
            if self._hatchery is None:
                self._hatchery = hatchery(self._config)
            return self._hatchery

    def _not_ready(self, worker: Worker) -> str:
        """Wait until the factory has made the function; an empty string, or why it has not."""
        try:
            ready = receive(worker.link, time.monotonic() + START_SECONDS)
        except TimeoutError:
            return f"it did not come up within {START_SECONDS:g} s"
        except (OSError, EOFError):
            return f"its process ended while starting ({how(self.end(worker))})"
        return "" if ready["status"] == "ok" else str(ready["message"])


def how(status: int | None) -> str:
    """A few words on how a process ended."""
    if status is None:
        return "its nursery ended too"
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def _silent(link: socket) -> bool:
    """Whether nothing is to be read, the end of file included."""
    link.settimeout(0)
    try:
        link.recv(1, MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False
