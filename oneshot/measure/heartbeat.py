"""Whether a run is going on: what its status says against the last thing it wrote and the process that wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from oneshot._store.values import number
from oneshot.record import PHASES

SURE, UNSURE, SILENT = 10.0, 60.0, 300.0
"""Seconds without a sign, at least, until a missing process counts as gone (its machine known, unknown), and until a
living one is called silent."""
ENDED = ("done", "stopped", "failed")
DOING = {"preflight": "in the preflight"}
"""Phases in a sentence, where that is not the word itself."""


@dataclass(frozen=True, kw_only=True)
class Process:
    """The process named in `status.json`, as far as it can be looked for from here."""

    alive: bool | None = None
    """None: it cannot be known, as of a process on another machine."""
    here: bool = False
    """The status names this machine. Where it names none, a missing process may be one of another machine."""


UNKNOWN = Process()
"""Nothing was looked for."""


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """The state of a run as it is now."""

    state: str
    """`done`, `stopped` and `failed` as told; of a running one `running`, `silent` or `gone`; else `unknown`."""
    age: float | None
    """Seconds since the last sign of life; None where nothing has a time."""
    pid: int | None
    phase: str = ""
    """What a running run does besides its steps (`record.PHASES`); empty for a step, and where nothing says it."""

    @property
    def over(self) -> bool:
        """Whether nothing more will be written unless somebody resumes the run."""
        return self.state in (*ENDED, "gone")

    def sentence(self) -> str:
        """What a person should know of it."""
        age = "" if self.age is None else ago(self.age)
        if self.state == "gone":
            return f"the process is gone: status.json says running, process {self.pid} does not exist" + (
                f", and the last sign of life is {age} old" if age else ""
            )
        doing = f", {DOING.get(self.phase, self.phase)}" if self.phase else ""
        if self.state == "silent":
            return f"no sign of life for {age}{doing}, though process {self.pid or 'unknown'} may still be working"
        if self.state == "running":
            return f"running{doing}, last sign of life {age or 'unknown'}{' ago' if age else ''}"
        return self.state if self.state != "unknown" else "status.json does not say whether it runs"


def heartbeat(
    status: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
    process: Process,
    now: float,
    written: float = 0.0,
) -> Heartbeat:
    """The heartbeat of a run.

    Args:
        status: `status.json`.
        metrics: rows of `metrics.jsonl` in step order; only the last ones are looked at.
        events: rows of `events.jsonl`.
        process: what was found of the process.
        now: seconds since 1970.
        written: when files without times of their own last grew (the log, samples of an evaluation); 0 where unknown.
    """
    times = [_number(status.get("updated")), written]
    times += [_number(rows[-1].get("time")) for rows in (metrics, events) if rows]
    last = max(times)
    age = max(0.0, now - last) if last else None
    if process.here and last - now > SURE:  # this machine's clock was put back, so it says nothing of the time between
        age = None
    pid = status.get("pid")
    told, phase = str(status.get("state") or "unknown"), ""
    if told == "running":
        phase = _phase(status, metrics)
        told = _of_running(age, process, step_seconds(metrics), phase)
    return Heartbeat(state=told, age=age, pid=pid if isinstance(pid, int) else None, phase=phase)


def _phase(status: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> str:
    """What the status names; before the first step is done it is starting, whatever an older version wrote."""
    told = status.get("phase")
    return str(told) if told in PHASES else "" if metrics else PHASES[0]


def _of_running(age: float | None, process: Process, step: float, phase: str) -> str:
    """A step may take minutes, an evaluation longer: silence alone never means that the process is gone.

    In a phase nothing may be written for as long as it takes, so a process that exists is not called silent there.
    """
    if process.alive is False and (age is None or age > (SURE if process.here else max(UNSURE, 3 * step))):
        return "gone"
    quiet = age is not None and age > max(SILENT, 10 * step)
    return "silent" if quiet and not (phase and process.alive) else "running"


def step_seconds(metrics: Sequence[Mapping[str, Any]]) -> float:
    """The median time of the last nine steps; 0 where none is recorded."""
    times = [_number(row.get("step_time")) for row in metrics[-9:]]
    return median([t for t in times if t] or [0.0])


def ago(seconds: float) -> str:
    """`4 s`, `12 min`, `3.5 h`, `2.1 days`."""
    for least, unit, name in ((172800.0, 86400.0, "days"), (5400.0, 3600.0, "h"), (90.0, 60.0, "min")):
        if seconds >= least:
            return f"{seconds / unit:.{0 if name == 'min' else 1}f} {name}"
    return f"{seconds:.0f} s"


def _number(value: object) -> float:
    """A time, 0 where there is none."""
    found = number(value)
    return found if found is not None and 0 <= found < 1e12 else 0.0
