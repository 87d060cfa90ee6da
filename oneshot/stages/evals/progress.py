"""How far an evaluation is, and how long it still takes: a bar in a terminal, elsewhere a line now and then. Stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress

from oneshot.stages.display import duration, printable

EVERY = 10.0
"""Seconds between two lines."""


class Progress(Protocol):
    """Told of each phase of work; phases do not overlap."""

    def begin(self, title: str, total: int, known: int) -> None:
        """A phase of `total` pieces begins, of which `known` are there already and took no time."""
        ...

    def advance(self, pieces: int) -> None:
        """So many more are done."""
        ...

    def end(self) -> None:
        """The phase is over, finished or not."""
        ...


class Pace:
    """Pieces done and the time they took; what was known before is not counted in the speed."""

    def __init__(self, total: int, known: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.done, self._known, self._clock = total, known, known, clock
        self._began = clock()

    def left(self) -> str:
        """`1:05`, the time left at the speed so far; empty before the first piece."""
        made = self.done - self._known
        if not made:
            return ""
        return duration((self._clock() - self._began) / made * (self.total - self.done))


class Silent:
    """Says nothing."""

    def begin(self, title: str, total: int, known: int) -> None:
        """Nothing."""

    def advance(self, pieces: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Lines:
    """A line every ten seconds, to `note`."""

    def __init__(self, note: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is for tests."""
        self._note, self._clock = note, clock
        self._title, self._pace, self._said = "", Pace(0, 0, clock), clock()

    def begin(self, title: str, total: int, known: int) -> None:
        """Count from here."""
        self._title, self._pace, self._said = title, Pace(total, known, self._clock), self._clock()

    def advance(self, pieces: int) -> None:
        """A line, if the last one is long enough ago."""
        self._pace.done += pieces
        now = self._clock()
        if now - self._said >= EVERY and self._pace.done < self._pace.total:
            self._said = now
            self._note(f"{self._title}: {self._pace.done:,} of {self._pace.total:,}, about {self._pace.left()} left")

    def end(self) -> None:
        """Nothing: what comes of it is said by who measures."""


class Bar:
    """One bar that goes away when its phase ends."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._pace = Pace(0, 0)
        self._bar: RichProgress | None = None
        self._task = TaskID(0)

    def begin(self, title: str, total: int, known: int) -> None:
        """Draw it."""
        self.end()
        self._pace = Pace(total, known)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            TextColumn("{task.fields[left]}"),
        )
        self._bar = RichProgress(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task(printable(title), total=total, completed=known, left="")
        self._bar.start()

    def advance(self, pieces: int) -> None:
        """Move it."""
        self._pace.done += pieces
        if self._bar is not None:
            left = self._pace.left()
            self._bar.update(self._task, completed=self._pace.done, left=f"{left} left" if left else "")

    def end(self) -> None:
        """Take it away; the terminal is as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def progress(*, quiet: bool, plain: bool) -> Progress:
    """A bar in a terminal, lines on stderr elsewhere or where `plain` is asked for, nothing when `quiet`."""
    if quiet:
        return Silent()
    if plain or not sys.stderr.isatty():
        return Lines(lambda text: print(printable(text), file=sys.stderr, flush=True))
    return Bar()
