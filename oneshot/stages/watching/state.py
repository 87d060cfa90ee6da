"""What `oneshot watch` knows of a run at one moment. Reads only what changed, and survives whatever it finds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from shlex import quote
from typing import Any, TypeVar

from oneshot._store import names
from oneshot._store.rows import metric_rows
from oneshot.errors import OneshotError, UsageError
from oneshot.measure.findings import Machine, Seen, number
from oneshot.measure.heartbeat import Heartbeat, step_seconds
from oneshot.record import RunFolder
from oneshot.stages.display import duration
from oneshot.stages.watching.events import sentences
from oneshot.stages.watching.files import Tail
from oneshot.stages.watching.pair import Pair, pair_of
from oneshot.stages.watching.readings import Reading, Readings, own
from oneshot.stages.watching.run_process import process_of, written

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A run at one moment."""

    run: RunFolder
    seen: Seen
    """Configuration, status, metrics and events, with what follows from them."""
    readings: Mapping[str, Sequence[Reading]]
    """Task -> its evaluations by step."""
    pair: Pair | None
    notes: Sequence[str]
    """What could not be read."""

    @property
    def heart(self) -> Heartbeat:
        """Whether it goes on."""
        return self.seen.heart

    @property
    def last(self) -> Mapping[str, Any]:
        """The metrics of the last step; empty before the first."""
        return self.seen.metrics[-1] if self.seen.metrics else {}

    @property
    def trained(self) -> bool:
        """Whether all steps are done, and the run is not over: it reads what was learned, and sums up."""
        begins = self.heart.phase in ("starting", "preflight")  # a run that is continued, perhaps with more steps
        return 0 < self.seen.steps <= self.seen.done and not begins and not self.heart.over

    @property
    def left(self) -> float | None:
        """Seconds left; None where it is not known or over.

        Of the steps by the median of the last ones, without evaluations. After the last step of the last readings, by
        what the ones before took.
        """
        if self.trained:
            return self._reading_left()
        each, steps = step_seconds(self.seen.metrics), self.seen.steps - self.seen.done
        return each * steps if each and steps > 0 and not self.heart.over else None

    @property
    def to_read(self) -> list[str]:
        """The tasks that the run reads itself, and that were read before and not yet with the last checkpoint."""
        return [task for task in self._own if not self._read_last(task)]

    @property
    def _own(self) -> list[str]:
        source, tasks = (str(self.seen.setting(f"evals.{name}") or "") for name in ("source", "tasks"))
        return own(self.readings, source, tasks)

    def _read_last(self, task: str) -> bool:
        return any(reading.step == self.seen.steps for reading in self.readings[task])

    def _reading_left(self) -> float | None:
        before = [self.readings[task][-1].seconds for task in self.to_read]
        now = [self.readings[task][-1].seconds for task in self._own if self._read_last(task)]
        ended = number(self.last.get("time"))
        if not before or ended is None or None in before:
            return None
        spent = self.seen.machine.now - ended - math.fsum(seconds or 0.0 for seconds in now)
        left = math.fsum(seconds or 0.0 for seconds in before) - max(0.0, spent)
        return left if left > 0 else None

    @property
    def after_training(self) -> str:
        """What goes on once all steps are done, and how long it may take; empty before, and when the run is over."""
        if not self.trained:
            return ""
        if not self.to_read and self.heart.phase != "evaluating":
            return "all steps done, finishing"
        left = self.left
        told = "time left unknown" if left is None else f"about {duration(left)} left, as the readings before took"
        return f"all steps done, evaluating: {told}"

    @property
    def findings(self) -> list[str]:
        """What happened, one sentence each, in order."""
        return sentences(self.seen.events)

    def as_dict(self) -> dict[str, Any]:
        """JSON form, the object of `oneshot watch RUN --json`."""
        heart, seen = self.heart, self.seen
        return {
            "schema": "oneshot.watch/1",
            "run": str(self.run.path),
            "state": heart.state,
            "phase": heart.phase,
            "heartbeat_age": heart.age,
            "pid": heart.pid,
            "control": seen.control,
            "step": seen.done,
            "steps": seen.steps,
            "eta": self.left,
            "saturated": seen.saturated,
            "metrics": dict(self.last),
            "held_out": {task: [asdict(reading) for reading in found] for task, found in self.readings.items()},
            "findings": self.findings,
            "notes": list(self.notes),
        }


class Watcher:
    """Looks at one run again and again."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._metrics, self._events = Tail(run.path / "metrics.jsonl"), Tail(run.path / "events.jsonl")
        self._readings = Readings(run)
        self._pair: tuple[tuple[int, int], Pair | None] | None = None

    def look(self, now: float) -> Snapshot:
        """The run as it is; `now` in seconds since 1970.

        Raises:
            UsageError: E104 its folder was moved or deleted meanwhile.
        """
        path = self.run.path
        if not path.is_dir():
            tries = (f"oneshot ls --runs {quote(str(path.parent))}",)
            raise UsageError(f"{path} is not there any more: it was moved or deleted.", code="E104", tries=tries)
        with suppress(OSError):  # it goes in this moment
            self.run = RunFolder(path)  # anew, because a resume begins another attempt
        run = self.run
        notes: list[str] = []
        nothing: dict[str, Any] = {}
        status = _read(run.status, nothing, notes)
        rows, events = metric_rows(self._metrics.rows()), self._events.rows()
        if strange := self._metrics.strange + self._events.strange:
            what = "line" if strange == 1 else "lines"
            notes.append(f"metrics.jsonl and events.jsonl: {strange} {what} without a JSON object, left out")
        seen = Seen(
            run=run,
            machine=Machine(now=now, process=process_of(status), written=written(run)),
            config=_read(run.config, nothing, notes),
            env={},
            status=status,
            metrics=rows,
            events=events,
            evals=(),
            examples=len(_read(run.example, list[dict[str, Any]](), notes)),
        )
        readings = self._readings.now(notes)
        return Snapshot(run=run, seen=seen, readings=readings, pair=self._best_and_worst(run, notes), notes=notes)

    def _best_and_worst(self, run: RunFolder, notes: list[str]) -> Pair | None:
        """Of the last recorded step; its file is read again only when it is another one."""
        try:
            steps = run.rollout_steps()
            path = run.path / "rollouts" / names.rollout(steps[-1] if steps else 0)
            key = (steps[-1] if steps else 0, path.stat().st_mtime_ns)
            if self._pair is None or self._pair[0] != key:
                self._pair = (key, pair_of(path))
        except OSError:  # none yet, or moved by a resume in this moment
            return None
        except OneshotError as error:
            notes.append(error.message)
            return None
        return self._pair[1]


def _read(what: Callable[[], Found], empty: Found, notes: list[str]) -> Found:
    try:
        return what()
    except OneshotError as error:
        notes.append(error.message)
    except (OSError, RecursionError) as error:
        notes.append(f"{type(error).__name__}: {error}")
    return empty
