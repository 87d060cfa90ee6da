"""Stop signals: the first Ctrl-C or SIGTERM lets the step finish and be saved, a second Ctrl-C stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
RUN_ME_AGAIN = 75


class StopRequest:
    """Which signal asked for a stop, if any did."""

    def __init__(self) -> None:
        self.signal = 0

    @property
    def exit_code(self) -> int:
        """0 nobody asked · 130 Ctrl-C · 75 SIGTERM."""
        return {0: 0, int(signal.SIGINT): INTERRUPTED}.get(self.signal, RUN_ME_AGAIN)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Remember the first request; a second Ctrl-C interrupts."""
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM inside the block; outside the main thread nothing is caught."""
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, stop.handle) for kind in kinds]
    try:
        yield stop
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
