"""How answers look while they are made: side by side where there is room, else one after the other.

A model wrote them: control characters are shown by name and do not reach the terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from oneshot.report.text import visible
from oneshot.types import Completion

BESIDE = 100
"""From so many columns on two answers stand side by side."""
REDRAW = 0.08
"""Seconds between two pictures, at least."""
AROUND = 6
"""Lines that a picture needs beside its text."""


def facts(made: Completion) -> str:
    """`41 tokens`, and whether the limit cut it."""
    count = f"{len(made.tokens)} token{'s' * (len(made.tokens) != 1)}"
    return count if made.finished else f"{count}, cut at the limit"


class Show(AbstractContextManager["Show"]):
    """One question being answered."""

    def tell(self, name: str, text: str) -> None:
        """The text of one model so far."""
        raise NotImplementedError

    def done(self, name: str, made: Completion) -> None:
        """One model is through."""
        raise NotImplementedError


class Lines(Show):
    """One after the other, each piece printed as it comes; nothing is ever overwritten."""

    def __init__(self, names: Sequence[str]) -> None:
        self.titled = len(names) > 1
        self._name, self._shown = "", ""

    def tell(self, name: str, text: str) -> None:
        """Print what is new; text that changed what was printed waits for the end."""
        if name != self._name:
            self._name, self._shown = name, ""
            if self.titled:
                print(f"{visible(name)}:")
        now = visible(text)
        if now.startswith(self._shown):
            print(now[len(self._shown) :], end="", flush=True)
            self._shown = now

    def done(self, name: str, made: Completion) -> None:
        """The rest, and how long it is."""
        self.tell(name, made.text)
        final = visible(made.text)
        print("" if final == self._shown else f"\n{final}")
        sys.stdout.flush()
        self._shown = ""
        self._name = ""
        print(f"[{facts(made)}]\n" if self.titled else f"[{facts(made)}]", file=sys.stderr, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """An answer that was stopped ends its line."""
        if kind is not None and self._name:
            print(flush=True)


class Columns(Show):
    """Side by side; redrawn in place, and left in the terminal as a whole at the end."""

    def __init__(self, names: Sequence[str], console: Console) -> None:
        self.console = console
        self.texts = dict.fromkeys(names, "")
        self.notes = dict.fromkeys(names, "")
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._drawn = 0.0

    def tell(self, name: str, text: str) -> None:
        """Redraw, but not too often."""
        self.texts[name] = text
        if time.monotonic() - self._drawn > REDRAW:
            self._redraw()

    def done(self, name: str, made: Completion) -> None:
        """The whole answer and how long it is."""
        self.texts[name], self.notes[name] = made.text, facts(made)
        self._redraw()

    def _redraw(self) -> None:
        self._drawn = time.monotonic()
        # What is above the screen cannot be redrawn, so the end of a long answer is shown while it grows.
        most = max(1, self.console.height - AROUND) * max(1, self.console.width // len(self.texts) - 6)
        self._live.update(self.view(most), refresh=True)

    def view(self, most: int = 0) -> RenderableType:
        """The columns; with `most` the last so many characters of each."""
        grid = Table.grid(expand=True, padding=(0, 1))
        panels = []
        for name, text in self.texts.items():
            grid.add_column(ratio=1)
            body = Text(visible(text)[-most:] if most else visible(text), overflow="fold")
            panels.append(Panel(body, title=Text(visible(name)), subtitle=Text(self.notes[name], style="dim")))
        grid.add_row(*panels)
        return grid

    def __enter__(self) -> Columns:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the whole answers, or what there is of them, in the terminal."""
        self._live.stop()
        self.console.print(self.view())


def shown(names: Sequence[str], console: Console, *, plain: bool) -> Show:
    """Columns in a terminal that is wide enough, for more than one model."""
    if len(names) > 1 and console.is_terminal and not plain and console.width >= BESIDE:
        return Columns(names, console)
    return Lines(names)
