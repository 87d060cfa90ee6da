"""A display that also writes what it says into the attempt's `main.log`."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from oneshot.record import RunFolder
from oneshot.stages.display import Display, Eta, printable, step_line


class Logged:
    """Says everything on another display, and in the log too (with --quiet in the log only)."""

    def __init__(self, shown: Display, run: RunFolder) -> None:
        self.shown = shown
        self.run = run
        self.eta = Eta()

    def note(self, text: str) -> None:
        """Say and log a sentence."""
        self.shown.note(text)
        self.run.log(printable(text))

    def step(self, step: int, steps: int, metrics: Mapping[str, float], sample: str) -> None:
        """Show and log a finished step."""
        self.shown.step(step, steps, metrics, sample)
        self.run.log(step_line(step, steps, metrics, self.eta.left(step, steps, metrics)))

    def __enter__(self) -> Logged:
        self.shown.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the other display."""
        self.shown.__exit__(kind, error, trace)
