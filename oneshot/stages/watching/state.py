"""What `oneshot watch` knows of a run at one moment. Reads only what changed, and survives whatever it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from oneshot._store import names
from oneshot._store.rows import metric_rows
from oneshot.errors import OneshotError
from oneshot.measure.findings import Machine, Seen
from oneshot.measure.heartbeat import Heartbeat, step_seconds
from oneshot.record import RunFolder
from oneshot.stages.watching.events import sentences
from oneshot.stages.watching.files import Tail
from oneshot.stages.watching.pair import Pair, pair_of
from oneshot.stages.watching.readings import Reading, Readings
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
    def left(self) -> float | None:
        """Seconds left, by the median of the last steps, without evaluations; None where it is not known or over."""
        each, steps = step_seconds(self.seen.metrics), self.seen.steps - self.seen.done
        return each * steps if each and steps >= 0 and not self.heart.over else None

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
        """The run as it is; `now` in seconds since 1970."""
        run = RunFolder(self.run.path)  # anew, because a resume begins another attempt
        notes: list[str] = []
        nothing: dict[str, Any] = {}
        status = _read(run.status, nothing, notes)
        rows, events = metric_rows(self._metrics.rows()), self._events.rows()
        if strange := self._metrics.strange + self._events.strange:
            notes.append(f"{strange} lines of metrics.jsonl and events.jsonl are no JSON objects and are left out")
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
        steps = run.rollout_steps()
        path = run.path / "rollouts" / names.rollout(steps[-1] if steps else 0)
        if not steps or not path.exists():
            return None
        key = (steps[-1], path.stat().st_mtime_ns)
        if self._pair is None or self._pair[0] != key:
            self._pair = (key, _read(lambda: pair_of(path), None, notes))
        return self._pair[1]


def _read(what: Callable[[], Found], empty: Found, notes: list[str]) -> Found:
    try:
        return what()
    except OneshotError as error:
        notes.append(error.message)
    return empty
