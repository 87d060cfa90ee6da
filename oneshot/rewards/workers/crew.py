"""The workers of one pool: who is idle, who is new, who has to go. One crew belongs to one process of the caller."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from socket import MSG_PEEK, socket
from typing import Any

from oneshot.errors import DataError, MachineError
from oneshot.rewards.workers.hatchery import START_SECONDS, Hatchery, hatchery
from oneshot.rewards.workers.wire import receive

CLOSED = "the pool of workers is closed"
_TRIES = 3


@dataclass(eq=False)
class Worker:
    """One worker process, seen from here."""

    link: socket
    pid: int
    nest: Hatchery
    """Where it came from, which alone knows the pid to be this worker's."""
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
            known = worker in self._workers
            self._workers.discard(worker)
        return worker.nest.end(worker.pid) if known else None  # once only: the pid may be another's by now

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
        """A new worker that is ready. One that dies before is replaced: its death may not be the factory's doing."""
        why = ""
        for _ in range(_TRIES):
            worker = self._order()
            ready: dict[str, Any] | None = None
            try:
                ready = receive(worker.link, time.monotonic() + START_SECONDS)
            except TimeoutError:
                why = f"it did not come up within {START_SECONDS:g} s"
                break
            except (OSError, EOFError):
                why = f"its process ended while starting ({how(self.end(worker))})"
                continue
            finally:
                if not ready or ready["status"] != "ok":
                    self.end(worker)
            if ready["status"] == "ok":
                return worker
            why = ready["message"]
            break
        raise DataError(f"{self._config['target']} cannot be used: {why}", code="E305")

    def _order(self) -> Worker:
        """A new process, from a new nursery where the old one was killed. Raises MachineError."""
        fault: OSError | EOFError = EOFError()
        for _ in range(_TRIES):
            try:
                nest = self._nest()
            except OSError as error:
                fault = error
                continue
            try:
                link, pid = nest.hatch()
            except (OSError, EOFError) as error:
                fault = error
                self._drop(nest)
                continue
            worker = Worker(link, pid, nest)
            with self._state:
                self._workers.add(worker)
            return worker
        raise MachineError(f"no worker process could be started: {fault}") from fault

    def _nest(self) -> Hatchery:
        with self._state:
            if self.closed:
                raise MachineError(CLOSED)
            if self._hatchery is None:
                self._hatchery = hatchery(self._config)
            return self._hatchery

    def _drop(self, nest: Hatchery) -> None:
        with self._state:
            if self._hatchery is nest:
                self._hatchery = None
        nest.close()


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
