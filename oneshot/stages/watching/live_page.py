"""`oneshot watch RUN --web`: the report of a run as a page that renews itself while the run goes on.

It is built again when the run's files changed, at most every few seconds, and served by `live_server`.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from types import FrameType

from oneshot.errors import OneshotError, Stopped, UsageError
from oneshot.record import RunFolder
from oneshot.report import page
from oneshot.report.text import visible
from oneshot.stages.signals import INTERRUPTED, handled_by
from oneshot.stages.watching.live_server import HOST, Server

PORT = 8765
EVERY = 3.0
"""Seconds between two buildings of the page, at least."""


def main(run: RunFolder, port: object = None, *, offline: bool, as_json: bool) -> int:
    """Serve the page until somebody ends it; prints the address.

    Raises:
        UsageError: E103 no such port, or it is taken; E105 with `--offline`, which opens no socket.
        Stopped: at the end, with 130 after Ctrl-C and 0 after SIGTERM.
    """
    word = quote(str(run.path))
    if offline:
        raise UsageError(
            f"--web listens on a socket of {HOST}, and --offline opens none.",
            code="E105",
            tries=(f"oneshot watch {word}", f"oneshot report {word}   (a page that opens from disk)"),
        )
    with opened(run, port) as server, _signals() as came:
        url = f"http://{HOST}:{server.server_port}/"
        print(json.dumps({"schema": "oneshot.watch-web/1", "run": str(run.path), "url": url}) if as_json else url)
        sys.stdout.flush()
        print(f"{visible(run.path.name)} live, on this machine only; Ctrl-C ends it", file=sys.stderr, flush=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        while not came:
            time.sleep(0.1)
        server.shutdown()
        thread.join()
    raise Stopped(
        f"the page of {run.path} is no longer served; the run is not touched.",
        exit_code=INTERRUPTED if came[0] == signal.SIGINT else 0,
    )


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The numbers of SIGINT and SIGTERM that came inside the block. A list, because an event's lock may be held."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    with handled_by(note):
        yield came


def opened(run: RunFolder, port: object = None) -> Server:
    """A listening server. Without a port 8765, or any free one where that is taken; 0 is any free one.

    Raises:
        UsageError: E103 no such port, or it is taken.
    """
    if port is not None and not (str(port).isascii() and str(port).isdecimal() and int(str(port)) <= 65535):
        raise UsageError(f"--port {port}: a port is a whole number from 0 to 65535.", code="E103")
    try:
        return Server(LivePage(run), PORT if port is None else int(str(port)))
    except OSError as error:
        free = Server(LivePage(run), 0)
        if port is None:
            return free
        free.server_close()
        raise UsageError(
            f"port {port} of {HOST} cannot be used: {error.strerror}.",
            code="E103",
            tries=(f"oneshot watch {quote(str(run.path))} --web --port {free.server_port}",),
        ) from error


class LivePage:
    """The page of a run: kept until a file of the run changed and `EVERY` seconds went by."""

    def __init__(
        self,
        run: RunFolder,
        build: Callable[[RunFolder], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`build` and `clock` are for tests."""
        self.run = run
        self._build = build or (lambda run: page.build(run, live=True))
        self._clock = clock
        self._lock = threading.Lock()
        self._html: bytes | None = None
        self._made, self._of = -EVERY, object()

    def html(self) -> bytes:
        """The page. While one request builds it, the others get the last one, or wait where there is none yet.

        Raises:
            OneshotError: a file is damaged and there is no earlier page.
        """
        if self._lock.acquire(blocking=self._html is None):
            try:
                self._renew()
            finally:
                self._lock.release()
        assert self._html is not None, "made by this thread or by the one that held the lock"
        return self._html

    def _renew(self) -> None:
        if self._html is not None and self._clock() - self._made < EVERY:
            return
        files = changes(self.run.path)
        if self._html is not None and (files == self._of or not self.run.path.is_dir()):  # gone: the last page stays
            return
        try:
            self._html = self._build(RunFolder(self.run.path)).encode("utf-8", "replace")
        except (OneshotError, OSError):  # damaged, or moved away by a resume in this moment
            if self._html is None:
                raise
        self._made, self._of = self._clock(), files


def changes(folder: Path) -> dict[str, tuple[int, int]]:
    """Time and size of what the page is made from; equal while nothing changed. Rollouts change with the metrics."""
    found = {}
    for pattern in ("*.json", "*.jsonl", "evals/*/*/results.json"):
        with suppress(OSError):  # a folder that is moved by a resume in this moment
            for path in folder.glob(pattern):
                with suppress(OSError):  # replaced in this moment
                    told = path.stat()
                    found[str(path)] = (told.st_mtime_ns, told.st_size)
    return found
