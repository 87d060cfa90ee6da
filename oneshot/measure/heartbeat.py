"""Whether a run is going on: what its status says against the last thing it wrote and the process that wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from oneshot._store.values import number
from oneshot.record import PHASES

SURE, UNSURE, SILENT = 10.0, 60.0, 300.0
"""Seconds without a sign, at least, until a missing process counts as gone (its machine known, unknown), and until a
living one is called silent."""
WORDLESS = 3600.0
"""Seconds without a sign, at least, until a living process is called silent beside its steps: there a model may be
fetched, or a batch of long responses sampled, and nothing is written. Without a limit a hang would look like work."""
FIRST = "first step"
"""A phase that no status names: the steps have begun, and none is recorded yet."""
ENDED = ("done", "stopped", "failed")
STARTING = PHASES[0]
DOING = {"preflight": "in the preflight", FIRST: "in the first step"}
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
    """What a running run does besides its steps (`record.PHASES`), or `FIRST`; empty for any other step."""

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
        metrics: rows of `metrics.jsonl` in step order; some in the middle may be missing.
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
        phase = _phase(status, metrics, events)
        told = _of_running(age, process, metrics, phase)
    return Heartbeat(state=told, age=age, pid=pid if isinstance(pid, int) else None, phase=phase)


def _phase(status: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> str:
    """What the status names. One that was last written before the attempt's steps began does not know of them.

    Without a phase and before the first step it is starting, whatever an older version wrote.
    """
    told = status.get("phase")
    began = max((_number(row.get("time")) for row in events if row.get("kind") == "attempt"), default=0.0)
    stepping = began > 0 and _number(status.get("updated")) <= began
    if told in PHASES and not (told == STARTING and stepping):
        return str(told)
    if metrics:
        return ""
    return FIRST if stepping else STARTING


def _of_running(age: float | None, process: Process, metrics: Sequence[Mapping[str, Any]], phase: str) -> str:
    """A step may take minutes, an evaluation longer: silence alone never means that the process is gone."""
    step = step_seconds(metrics)
    if process.alive is False and (age is None or age > (SURE if process.here else max(UNSURE, 3 * step))):
        return "gone"
    most = max(SILENT, 10 * step)
    if phase and process.alive:
        most = max(WORDLESS, most, 3 * _longest(metrics))
    return "silent" if age is not None and age > most else "running"


def _longest(metrics: Sequence[Mapping[str, Any]]) -> float:
    """Seconds between two steps at most, with all that was read and saved in between; 0 where that is not known."""
    gaps = [0.0]
    for one, two in pairwise(metrics):
        step, begun, ended = number(one.get("step")), _number(one.get("time")), _number(two.get("time"))
        same = one.get("attempt") == two.get("attempt") and begun and ended
        if step is not None and two.get("step") == step + 1 and same:
            gaps.append(ended - begun)
    return max(gaps)


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
