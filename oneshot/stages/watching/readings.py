"""The evaluations of a run that goes on: each result read once, and read again only when its file changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot._store import files, names
from oneshot._store.values import number, section
from oneshot.config.load import from_dict
from oneshot.errors import OneshotError
from oneshot.measure.pairing import by_problem
from oneshot.measure.run_facts import WRONG_FORM
from oneshot.measure.scores import accuracy
from oneshot.record import RunFolder
from oneshot.stages.evals.best import dev_task

DEMOS = "builtin-test"
"""What a demo reads at its end beside its dev set."""
_HASH = re.compile(r"-[0-9a-f]{8}$")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One evaluation of a task."""

    step: int
    """Steps done; 0 is the untrained model."""
    value: float
    low: float
    high: float
    n: int
    """Problems."""
    seconds: float | None = None
    """What it took; None where that was not recorded."""


class Readings:
    """All evaluations of a run's base model and checkpoints."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._known: dict[Path, tuple[int, tuple[str, Reading] | None]] = {}

    def now(self, notes: list[str]) -> dict[str, list[Reading]]:
        """Task -> its readings by step; what cannot be read is noted."""
        found: dict[str, list[Reading]] = {}
        for path in self._results():
            reading = self._of(path, notes)
            if reading is not None:
                found.setdefault(reading[0], []).append(reading[1])
        return {task: sorted(readings, key=lambda reading: reading.step) for task, readings in sorted(found.items())}

    def _results(self) -> list[Path]:
        try:
            return sorted(self.run.path.glob("evals/*/*/results.json"))
        except OSError:  # a folder went between two looks of `glob`; they are all there again the next time
            return [*self._known]

    def _of(self, path: Path, notes: list[str]) -> tuple[str, Reading] | None:
        try:
            changed = path.stat().st_mtime_ns
            if self._known.get(path, (None, None))[0] != changed:
                self._known[path] = (changed, self._read(path))
            return self._known[path][1]
        except FileNotFoundError:  # set aside by a resumed run between the listing and now
            return None
        except OneshotError as error:
            notes.append(error.message)
        except WRONG_FORM as error:
            notes.append(f"{path} cannot be read: {type(error).__name__}: {error}")
        return None

    def _read(self, path: Path) -> tuple[str, Reading] | None:
        told = files.read_json(path)
        task, checkpoint = str(told["task"]), str(told["checkpoint"])
        step = 0 if checkpoint == "base" else names.checkpoint_number(checkpoint)
        if step < 0 or self.run.eval_dir(task, checkpoint) != path.parent:
            return None
        reading = _told(step, told)
        return task, reading if reading is not None else self._computed(task, checkpoint, step)

    def _computed(self, task: str, checkpoint: str, step: int) -> Reading:
        """Of an evaluation whose results hold no accuracy, as an older version's may not."""
        found = accuracy(by_problem(self.run.read_eval(task, checkpoint)[1]))
        return Reading(step=step, value=found.estimate, low=found.low, high=found.high, n=found.n)


def _told(step: int, results: Mapping[str, Any]) -> Reading | None:
    value, low, high = (number(results.get(key)) for key in ("value", "ci_low", "ci_high"))
    if value is None or low is None or high is None:
        return None
    n, seconds = number(results.get("n")), number(section(results, "protocol").get("seconds"))
    return Reading(step=step, value=value, low=low, high=high, n=int(n or 0), seconds=seconds)


def own(known: Iterable[str], source: str, tasks: str) -> list[str]:
    """Those of the evaluated tasks that a run reads itself; others may be read by hand while it goes on.

    Args:
        known: names in evals/; a task that is asked otherwise than it usually is has a hash after its own name.
        source: the run's `evals.source`.
        tasks: the run's `evals.tasks`.
    """
    from oneshot.data.tasks.suites import resolve

    try:
        asked = {task.name for task in resolve(tasks)}
    except OneshotError:  # of another version, which has other tasks
        return list(known)
    alone = (dev_task(from_dict({"evals": {"source": source}})), DEMOS)
    return [task for task in known if task in alone or _HASH.sub("", task) in asked]
