"""Stop signals. In the training loop Ctrl-C lets the step finish and be saved; a second Ctrl-C stops at once.

A scheduler's SIGTERM does not wait for the step: at the next token, verdict or micro-batch it is given up, and the last
finished one is saved.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from oneshot.errors import Stopped
from oneshot.record import RunFolder

STEP = ("step", "and saving; Ctrl-C now stops without saving")
"""What is finished after Ctrl-C, and what happens then: in training."""
BATCH = ("batch", "with finished responses kept; Ctrl-C now drops the others")
"""The same of an evaluation, which has no steps."""
INTERRUPTED = 130
RUN_ME_AGAIN = 75


class Abandoned(Exception):
    """The running step was given up because a stop signal came; weights, moments and history are the last step's."""


class StopRequest:
    """Which signal asked for a stop, if any did."""

    def __init__(self, told: tuple[str, str] = STEP) -> None:
        self.told = told
        self.signal = 0
        self.at_once = False
        """SIGTERM came, first or after a Ctrl-C: the running step is given up."""

    def check(self) -> None:
        """Raise `Abandoned` where a step may be given up and is to be."""
        if self.at_once:
            raise Abandoned

    @property
    def exit_code(self) -> int:
        """0 nobody asked · 130 Ctrl-C · 75 SIGTERM."""
        return {0: 0, int(signal.SIGINT): INTERRUPTED}.get(self.signal, RUN_ME_AGAIN)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Remember the first request; a second Ctrl-C interrupts."""
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.at_once = self.at_once or number == signal.SIGTERM
        if not self.signal:
            piece, then = self.told
            when = f"after this {piece}" if number == signal.SIGINT else "now"
            os.write(2, f"\nstopping {when} {then}\n".encode())  # print is not reentrant
        self.signal = self.signal or number


@contextmanager
def stop_requests(told: tuple[str, str] = STEP) -> Iterator[StopRequest]:
    """Note SIGINT and SIGTERM inside the block, and say `told`; outside the main thread nothing is caught."""
    stop = StopRequest(told)
    with handled_by(stop.handle):
        yield stop


@contextmanager
def stops_at_once(run: RunFolder) -> Iterator[None]:
    """Turn SIGINT and SIGTERM inside the block into `Stopped`, with the line that continues the run."""

    def stop(number: int, frame: FrameType | None) -> None:
        why, code = ("Ctrl-C", INTERRUPTED) if number == signal.SIGINT else ("a stop signal", RUN_ME_AGAIN)
        raise Stopped(
            f"stopped by {why}; what {run.path} holds so far is kept.",
            exit_code=code,
            tries=(f"oneshot train --resume {run.path}",) if run.example() else (),
        )

    with handled_by(stop):
        yield


@contextmanager
def handled_by(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let `handle` have SIGINT and SIGTERM inside the block, if this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, handle) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
