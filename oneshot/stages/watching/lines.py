"""A run as lines, where there is no terminal to draw in: what is new since the last look, and a heartbeat."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from oneshot.measure.findings import number
from oneshot.report.text import visible
from oneshot.stages.display import step_line
from oneshot.stages.watching.state import Snapshot
from oneshot.stages.watching.view import saturation_note, state_line

HEARTBEAT = 30.0
"""Seconds of silence after which it is said that nothing is new."""
NEEDED = ("train/accuracy", "signal", "entropy", "completions/mean_length", "completions/clipped_ratio", "step_time")


class Lines:
    """Remembers what was said."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds, and never goes back."""
        self._clock = clock
        self._first = True
        self._last: tuple[float, float] = (-1, -1)
        """(attempt, step) of the last line about a step."""
        self._readings: set[tuple[str, int]] = set()
        self._findings: list[str] = []
        self._state = self._note = self._after = ""
        self._spoke = clock()

    def new(self, now: Snapshot) -> list[str]:
        """What is to be said now. The first time that is the state, the last step and the last readings."""
        lines = [visible(line).replace("\n", " ") for line in self._new(now)]
        self._first = False
        if lines or self._clock() - self._spoke >= HEARTBEAT:
            self._spoke = self._clock()
        else:
            return []
        told = f"; {now.after_training}" if now.after_training else ""
        return lines or [visible(f"step {now.seen.done}: {state_line(now)}{told}")]

    def _new(self, now: Snapshot) -> Iterator[str]:
        if self._first:
            yield now.run.path.name + (f"  {now.seen.label}" if now.seen.label else "")
        if now.heart.state != self._state:
            self._state = now.heart.state
            yield state_line(now)
        yield from self._steps(now)
        yield from self._held_out(now)
        after, before = now.after_training.partition(":")[0], self._after  # what it does, without the time left
        self._after = after
        if after and after != before:
            yield now.after_training
        if (note := saturation_note(now)) != self._note:
            self._note = note
            if note:
                yield note
        findings, said = now.findings, self._findings
        same = next((i for i, pair in enumerate(zip_longest(findings, said)) if pair[0] != pair[1]), len(findings))
        yield from findings[-3:] if self._first else findings[same:]  # a resumed run has cut its events back
        self._findings = findings

    def _steps(self, now: Snapshot) -> Iterator[str]:
        """A line for each step that is new; of what was there before the first look the last step only.

        A resumed run does some steps again, in a later attempt: they are new too.
        """
        new = [row for row in now.seen.metrics if (row["attempt"], row["step"]) > self._last]
        for row in new[-1:] if self._first else new:
            self._last = (row["attempt"], row["step"])
            each, left = number(row.get("step_time")) or 0.0, max(0, now.seen.steps - int(row["step"]) - 1)
            yield line_of(row, now.seen.steps, each * left)

    def _held_out(self, now: Snapshot) -> Iterator[str]:
        for task, readings in now.readings.items():
            for reading in readings[-1:] if self._first else readings:
                if (task, reading.step) not in self._readings:
                    yield (
                        f"held-out {task}, step {reading.step}: {reading.value:.1%} of {reading.n} problems "
                        f"(95 % interval {reading.low:.1%} to {reading.high:.1%})"
                    )
            self._readings |= {(task, reading.step) for reading in readings}


def line_of(row: Mapping[str, Any], steps: int, left: float) -> str:
    """A recorded step as `display.step_line` says it; `nan` where nothing was recorded."""
    values = {key: math.nan if (value := number(row.get(key))) is None else value for key in NEEDED}
    return step_line(int(row["step"]) + 1, steps, values, left)
