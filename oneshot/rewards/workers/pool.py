"""Processes that run one function on one job after another and can be killed: how time and memory are bounded.

The deadline is counted by the caller on the worker's socket and ends in SIGKILL. There are no signals, alarms or
threads in the caller, so a pool works in any thread, under asyncio, in daemonic processes and Ray workers, and in a
script without a main guard. A fork of the caller starts processes of its own.

On Linux all of this holds. macOS has no memory limit. Windows cannot fork: a worker costs a new interpreter there, has
no memory limit, and none of it was ever run there.
"""

from __future__ import annotations

import functools
import os
import time
import weakref
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from oneshot.errors import OneshotError
from oneshot.rewards.workers.crew import CLOSED, Crew, Worker, how
from oneshot.rewards.workers.wire import MEMORY_EXIT, pack, receive

_TRIES = 2
_DIED = "died"


@dataclass(frozen=True)
class Outcome:
    """What became of one job."""

    value: Any
    """What the function returned, after its way through JSON (a tuple is a list); None unless `status` is `ok`."""
    status: str
    """`ok`, `timeout`, `memory` or `error`."""
    message: str
    """What there is to say about a status that is not `ok`."""
    seconds: float
    """From handing the job to a worker to its answer, a second try included; waiting for a free worker is not."""
    printed: bool = False
    """The job printed to `sys.stdout`; it went to stderr."""


class WorkerPool:
    """Killable processes that run one function of ours or the user's on one job after another.

    Args:
        target: `package.module:factory`, called once in each fresh worker; it returns the function that gets the jobs.
        arguments: What the factory is called with; JSON-able, like jobs and values.
        size: Workers; further callers wait for a free one.
        deadline: Seconds a worker may take for one job. Starting is not counted; it has a minute.
        memory: Bytes a worker may use beyond what it uses when the function is made (Linux); None sets no limit.
        recycle: Jobs after which a worker is replaced. One that has grown by 256 MiB is replaced too.
        warm: `package.module:function`, called once before workers are forked, for imports they then share.
    """

    def __init__(
        self,
        target: str,
        arguments: tuple[Any, ...] = (),
        *,
        size: int = 1,
        deadline: float = 2.0,
        memory: int | None = 2 << 30,
        recycle: int = 1000,
        warm: str = "",
    ) -> None:
        self.size = size
        self.deadline = deadline
        pack(arguments)  # a TypeError here says more than one from a worker's start
        self._config = {
            "target": target,
            "arguments": arguments,
            "memory": memory,
            "recycle": recycle,
            "warm": warm,
        }
        self._again = functools.partial(
            WorkerPool, target, arguments, size=size, deadline=deadline, memory=memory, recycle=recycle, warm=warm
        )
        self._crew = Crew(self._config, size)
        self._finalizer = weakref.finalize(self, self._crew.close)  # also at the interpreter's end
        _pools().add(self)

    def __call__(self, job: Any) -> Outcome:
        """Run one job and wait for it. Never raises for what the job does.

        A worker that dies in the middle is replaced and the job tried once more, for the fault may not be the job's.
        """
        try:
            data = pack(job)
        except (TypeError, ValueError, RecursionError) as error:
            return Outcome(None, "error", f"the job cannot be passed on: {error}", 0.0)
        crew = self._crew
        if not crew.enter():
            return Outcome(None, "error", CLOSED, 0.0)
        try:
            return self._try(crew, data)
        finally:
            crew.leave()

    def start(self) -> None:
        """Bring the free workers up now. Raises DataError when the factory fails, MachineError without a process."""
        crew, ready = self._crew, list[Worker]()
        entered = 0
        try:
            while entered < self.size and crew.enter(wait=False):
                entered += 1
                ready.append(crew.worker())
        finally:
            for worker in ready:
                crew.rest(worker)
            for _ in range(entered):
                crew.leave()

    def close(self) -> None:
        """End the processes; jobs in progress and later ones end as errors. Idempotent."""
        self._crew.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """A pool sent to another process (spawn, Ray) is a new one there."""
        return self._again, ()

    def _try(self, crew: Crew, data: bytes) -> Outcome:
        start: float | None = None
        outcome = Outcome(None, _DIED, "", 0.0)
        for _ in range(_TRIES):
            try:
                worker = crew.worker()
            except OneshotError as error:
                return Outcome(None, "error", error.message, 0.0)
            start = start or time.monotonic()
            outcome = replace(self._ask(crew, worker, data), seconds=time.monotonic() - start)
            if outcome.status != _DIED:
                return outcome
        message = CLOSED if crew.closed else f"its process died, and another one in a second try ({outcome.message})"
        return replace(outcome, status="error", message=message)

    def _ask(self, crew: Crew, worker: Worker, data: bytes) -> Outcome:
        """One job on one worker, which is idle or ended afterwards, even if the caller is interrupted."""
        keep, ended = False, None
        outcome = Outcome(None, _DIED, "", 0.0)
        worker.jobs += 1
        until = time.monotonic() + self.deadline
        try:
            worker.link.settimeout(self.deadline)
            worker.link.sendall(data)
            reply = receive(worker.link, until)
            if reply["number"] != worker.jobs:
                raise ValueError("it belongs to another job")
            outcome = Outcome(reply["value"], reply["status"], reply["message"], 0.0, reply["printed"])
            keep = not reply["worn"]
        except TimeoutError:
            outcome = Outcome(None, "timeout", f"no answer within {self.deadline:g} s", 0.0)
        except (ValueError, RecursionError, LookupError, TypeError) as error:
            outcome = Outcome(None, "error", f"its answer cannot be read: {error}", 0.0)
        except (OSError, EOFError):
            pass  # the worker is gone
        finally:
            if keep:
                crew.rest(worker)
            else:
                ended = crew.end(worker)
        if outcome.status == _DIED and ended == MEMORY_EXIT:
            return Outcome(None, "memory", "MemoryError", 0.0)
        return replace(outcome, message=how(ended)) if outcome.status == _DIED else outcome

    def _start_anew(self) -> None:
        """In a forked child: the old crew is the parent's, this pool gets its own."""
        self._finalizer.detach()
        self._crew.abandon()
        self._crew = Crew(self._config, self.size, closed=self._crew.closed)
        self._finalizer = weakref.finalize(self, self._crew.close)


@functools.lru_cache(maxsize=1)
def _pools() -> weakref.WeakSet[WorkerPool]:
    """The pools of this process. A fork renews them in the child before any other code runs there."""
    pools: weakref.WeakSet[WorkerPool] = weakref.WeakSet()

    def renew() -> None:
        for pool in list(pools):
            pool._start_anew()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
    return pools
