"""The attempts of one run: each has a folder in `logs/`; what a later attempt does again moves there."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from oneshot._store import files, names
from oneshot._store.disk import full_disk

_STEPS_DONE = ("save", "stop", "health", "resume", "drift")
"""Events whose `step` counts the steps done; that of every other kind is a step's own number, from 0."""


class Attempts:
    """What a run folder knows about its attempts."""

    def __init__(self, path: Path) -> None:
        """Wrap an existing folder; reads and writes nothing but the attempt number."""
        self.path = path
        self.attempt = max(names.numbers(path / "logs", names.ATTEMPT), default=0)
        """The attempt that is being written, or the last one; 0 before the first."""
        self._unlogged: list[str] | None = []

    def start_attempt(self) -> int:
        """Begin a new attempt (1 for the first): makes `logs/attempt_N/main.log`, clears leftovers of a killed one."""
        for folder in (self.path, self.path / "rollouts", self.path / "regrade", *self.path.glob("evals/*/*")):
            files.remove_leftovers(folder)
        self.attempt += 1
        with full_disk(self.log_path):
            self.log_path.parent.mkdir(parents=True)
            self.log_path.touch()
        waiting, self._unlogged = self._unlogged or [], None
        for line in waiting:
            self._append(line)
        return self.attempt

    @property
    def log_path(self) -> Path:
        """The current attempt's log file."""
        return self._folder(self.attempt) / "main.log"

    def _folder(self, attempt: int) -> Path:
        return self.path / "logs" / f"attempt_{attempt}"

    def log(self, text: str) -> None:
        """Add what was said to the attempt's log; before the attempt begins it waits. A full disk loses it, no more."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n"
        if self._unlogged is None:
            self._append(line)
        else:
            self._unlogged.append(line)

    def _append(self, line: str) -> None:
        with suppress(OSError), open(self.log_path, "a", encoding="utf-8", errors="replace") as file:
            file.write(line)

    def cut_back(self, step: int) -> int:
        """Move what was recorded after the first `step` steps to the folder of the attempt that ended.

        Metrics, history, drift, events and rollouts; every file is whole at any moment, and a kill in between leaves
        rows in both places, never in none. Returns how many steps were moved.

        Raises:
            MachineError: E202 when the disk is full; nothing is lost.
        """
        into = self._folder(max(self.attempt - 1, 1))
        moved = self._cut("metrics.jsonl", into, lambda row: row["step"] >= step)
        self._cut("history.jsonl", into, lambda row: row["step"] >= step)
        self._cut("drift.jsonl", into, lambda row: row["step"] > step)  # it counts the steps done
        self._cut("events.jsonl", into, lambda row: _came_after(row, step))
        rollouts = self.path / "rollouts"
        late = [number for number in names.numbers(rollouts, names.ROLLOUT) if number >= step]
        for number in late:
            with full_disk(into):
                (into / "rollouts").mkdir(parents=True, exist_ok=True)
                os.replace(rollouts / names.rollout(number), into / "rollouts" / names.rollout(number))
        if late:
            files.sync_folder(into / "rollouts")
            files.sync_folder(rollouts)
        return moved

    def set_aside(self, folder: Path) -> None:
        """Move a folder of the run, which is about to be made anew, to that of the attempt that ended.

        Raises:
            MachineError: E202 when the disk is full; it is where it was.
        """
        target = self._folder(max(self.attempt - 1, 1)) / folder.relative_to(self.path)
        with full_disk(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)  # of a kill in between
            os.replace(folder, target)

    def _cut(self, name: str, into: Path, late: Callable[[Mapping[str, Any]], bool]) -> int:
        rows = files.read_lines(self.path / name)
        cut = [row for row in rows if late(row)]
        if cut:
            files.write_bytes(into / name, files.json_lines([*files.read_lines(into / name), *cut]))
            files.write_bytes(self.path / name, files.json_lines(row for row in rows if not late(row)))
        return len(cut)


def _came_after(event: Mapping[str, Any], step: int) -> bool:
    """Whether an event belongs to what follows the first `step` steps; one without a step never does."""
    at = event.get("step")
    if not isinstance(at, int):
        return False
    return at > step if event.get("kind") in _STEPS_DONE else at >= step
