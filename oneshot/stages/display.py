"""What a person sees while a run goes on: a live panel in a terminal, elsewhere one line a step. Always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BLOCKS = "▁▂▃▄▅▆▇█"


class Display(Protocol):
    """Where a stage says what it does."""

    def note(self, text: str) -> None:
        """One sentence."""
        ...

    def step(self, step: int, steps: int, metrics: Mapping[str, float], sample: str) -> None:
        """A finished training step."""
        ...

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def printable(text: str) -> str:
    """Model text on one line with every control character made visible: a terminal must not obey it."""
    return "".join(c if c.isprintable() else "·" for c in text.replace("\n", " "))


def spark(values: list[float]) -> str:
    """Values in [0, 1] as a row of blocks."""
    return "".join(BLOCKS[min(int(v * len(BLOCKS)), len(BLOCKS) - 1)] for v in values)


class Eta:
    """Seconds left, from the median of the last steps of this attempt."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def left(self, step: int, steps: int, metrics: Mapping[str, float]) -> float:
        """Seconds left after this step."""
        self.times = [*self.times, metrics["step_time"]][-9:]
        return (steps - step) * sorted(self.times)[len(self.times) // 2]


def duration(seconds: float) -> str:
    """`1:05` or `2:03:04`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def ahead(step: int, steps: int, left: float) -> str:
    """What is left after a step: after the last one readings may follow, whose time is not in `left`."""
    if step < steps:
        return f"left {duration(left)}"
    return "all steps done" if steps else "steps left unknown"


def step_line(step: int, steps: int, metrics: Mapping[str, float], left: float) -> str:
    """A step's headline numbers on one line; `left` in seconds."""
    return (
        f"step {step}/{steps}  right {metrics['train/accuracy']:.2f}  signal {metrics['signal']:.2f}  "
        f"entropy {metrics['entropy']:.2f}  tokens {metrics['completions/mean_length']:.0f}  "
        f"cut {metrics['completions/clipped_ratio']:.2f}  {metrics['step_time']:.1f} s  {ahead(step, steps, left)}"
    )


class Lines:
    """One line a note and a step."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.eta = Eta()

    def note(self, text: str) -> None:
        """Print a sentence."""
        if not self.quiet:
            print(printable(text), file=sys.stderr, flush=True)

    def step(self, step: int, steps: int, metrics: Mapping[str, float], sample: str) -> None:
        """Print the step's headline numbers."""
        self.note(step_line(step, steps, metrics, self.eta.left(step, steps, metrics)))

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""


class LivePanel:
    """A panel that redraws itself: progress, accuracy so far, the step's numbers and one response."""

    def __init__(self, label: str = "") -> None:
        """`label`: what sets the run apart from a normal one; it is part of the title."""
        self.label = label
        self.console = Console(stderr=True)
        self.live = Live(console=self.console, refresh_per_second=4, transient=True)
        self.eta = Eta()
        self.accuracy: list[float] = []
        self.began = time.monotonic()

    def note(self, text: str) -> None:
        """Print a sentence above the panel."""
        self.console.print(Text(printable(text)))

    def step(self, step: int, steps: int, metrics: Mapping[str, float], sample: str) -> None:
        """Redraw."""
        self.accuracy.append(metrics["train/accuracy"])
        left = self.eta.left(step, steps, metrics)
        table = Table.grid(padding=(0, 2))
        table.add_row("training accuracy", f"{self.accuracy[-1]:.2f}  {spark(self.accuracy[-60:])}")
        table.add_row("signal", f"{metrics['signal']:.2f} of responses in groups with unequal rewards")
        table.add_row("entropy", f"{metrics['entropy']:.2f} nats a token")
        table.add_row(
            "length", f"{metrics['completions/mean_length']:.0f} tokens, {metrics['completions/clipped_ratio']:.0%} cut"
        )
        table.add_row("a response", Text(printable(sample)[:160], style="dim", overflow="fold"))
        bar = Table.grid(expand=True)  # a bare bar ends without a line break and swallows the next row
        bar.add_row(ProgressBar(total=steps, completed=step))
        title = f"step {step} of {steps} · {duration(time.monotonic() - self.began)} · {ahead(step, steps, left)}"
        title += f" · {self.label}" if self.label else ""
        self.live.update(Panel(Group(bar, table), title=title, title_align="left"))

    def __enter__(self) -> LivePanel:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        self.live.stop()


def display(*, quiet: bool, plain: bool, label: str = "") -> Display:
    """The live panel, titled `label`, in a terminal; lines elsewhere or when `plain` (NO_COLOR, CI) is asked for."""
    return Lines(quiet=quiet) if quiet or plain or not sys.stderr.isatty() else LivePanel(label)
