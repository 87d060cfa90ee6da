"""What `oneshot ls` knows of one folder: a run, a study, evaluations of a model, or something damaged. Loads no torch.

Of a long file only its beginning and its end are read, so that hundreds of runs take no longer than they must.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot._store.values import number
from oneshot.errors import OneshotError
from oneshot.measure.heartbeat import heartbeat
from oneshot.measure.run_facts import WRONG_FORM
from oneshot.record import EvalFolder, RunFolder
from oneshot.rewards.controls import label
from oneshot.stages.studies.folder import DONE, FAILED, RUNNING, STOPPED, WAITING
from oneshot.stages.watching.run_process import process_of, written

PART = 1 << 14
"""Bytes that are read of each end of a file of rows."""
SECONDS = 2.0
"""How long sizes on disk are worked out, for all folders together; the newest come first."""
_RECORDS = ("status.json", "env.json", "metrics.jsonl", "events.jsonl", "example.jsonl")
"""A folder with one of these was a run; a model's folder, which has a config.json too, has none of them."""


class Sizes:
    """Bytes below a folder, until the time for all of them is spent."""

    def __init__(self, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._seconds = clock, seconds
        self._end: float | None = None

    def of(self, folder: Path) -> int | None:
        """The sum of all files; None where the time ran out. A file that goes meanwhile counts as nothing."""
        if self._end is None:
            self._end = self._clock() + self._seconds
        total, waiting = 0, [str(folder)]
        while waiting:
            if self._clock() > self._end:
                return None
            with suppress(OSError), os.scandir(waiting.pop()) as inside:
                for entry in inside:
                    with suppress(OSError):
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        else:
                            total += entry.stat(follow_symlinks=False).st_size
        return total


def entries(root: Path, now: float, sizes: Sizes) -> list[dict[str, Any]]:
    """One object a folder directly in `root` that this program made, newest first; `now` in seconds since 1970."""
    found = [made for path in sorted(root.iterdir()) if path.is_dir() if (made := _entry(path, now)) is not None]
    found.sort(key=lambda entry: (-entry["created"], entry["name"]))
    return [{**entry, "bytes": sizes.of(root / entry["name"])} for entry in found]


def _entry(path: Path, now: float) -> dict[str, Any] | None:
    """None for a folder of somebody else's."""
    own = {"name": path.name, "path": str(path)}
    try:
        if (path / "study.json").is_file() or (path / "preregistration.json").is_file():
            return {**own, "kind": "study", **_study(path, now)}
        if any((path / name).is_file() for name in _RECORDS):
            return {**own, "kind": "run", **_run(RunFolder(path), now)}
        if (evaluated := EvalFolder.find(path)) is not None:
            tasks = sorted({result.parents[1].name for result in path.glob("evals/*/*/results.json")})
            model = str(evaluated.model().get("model", ""))
            return {
                **own,
                "kind": "evaluation",
                "state": DONE,
                "created": _changed(path),
                "model": model,
                "tasks": tasks,
            }
    except (OneshotError, *WRONG_FORM) as error:
        said = error.message if isinstance(error, OneshotError) else f"{type(error).__name__}: {error}"
        return {**own, "kind": "damaged", "state": "damaged", "created": _changed(path), "why": said}
    return None


def _run(run: RunFolder, now: float) -> dict[str, Any]:
    """Of one run. `UsageError` or one of Python's own where a file that must be there is missing or strange."""
    for name in ("status.json", "config.json"):
        if not (run.path / name).is_file():
            raise ValueError(f"{name} is missing")
    status, config = run.status(), run.config()
    rows = [*_ends(run.path / "metrics.jsonl")]
    events = [*_ends(run.path / "events.jsonl")]
    heart = heartbeat(status, rows, events, process_of(status), now, written(run))
    shares = [share for row in rows if (share := number(row.get("train/accuracy"))) is not None]
    prompt, examples = _examples(run.path / "example.jsonl")
    step = number(status.get("step")) or 0
    steps = number(status.get("steps")) or number(config["optim"]["steps"]) or 0
    return {
        "state": heart.state,
        "phase": heart.phase,
        "heartbeat_age": heart.age,
        "pid": heart.pid,
        "created": _created(run),
        "step": int(step),
        "steps": int(steps),
        "model": str(config["model"]["name"]),
        "example": prompt,
        "examples": examples,
        "label": label(config),
        "training": {"first": shares[0], "last": shares[-1]} if shares else None,
        "headline": _headline(run.summary()),
    }


def _headline(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """The paired difference the summary puts first: on what was held out, else on the first test task."""
    tasks = {name: told["paired"] for name, told in dict(summary.get("tasks") or {}).items()}
    task, pair = ("held out", summary["paired"]) if summary.get("paired") else next(iter(tasks.items()), ("", None))
    if pair is None:
        return None
    return {"on": task, **{key: pair[key] for key in ("base", "trained", "estimate", "ci_low", "ci_high", "n")}}


def _study(path: Path, now: float) -> dict[str, Any]:
    """Of a study: how many of its cells are done, and of one that is said to run whether it does."""
    told = files.read_json(path / "study.json")
    cells = [dict(cell) for cell in told.get("cells", ())]
    states = Counter(_cell_state(path, cell, now) for cell in cells)
    order = (RUNNING, FAILED, "gone", STOPPED, WAITING)
    state = next((name for name in order if states[name]), DONE if cells else WAITING)
    return {
        "state": state,
        "created": _changed(path / "preregistration.json") or _changed(path),
        "claim": str(told.get("claim", "")),
        "arms": len(dict(told.get("arms") or {})),
        "seeds": len(told.get("seeds") or ()),
        "cells": len(cells),
        "states": dict(sorted(states.items())),
        "done": states[DONE],
    }


def _cell_state(path: Path, cell: Mapping[str, Any], now: float) -> str:
    state, folder = str(cell["state"]), path / str(cell.get("run", ""))
    if state != RUNNING or not cell.get("run") or not (folder / "status.json").is_file():
        return state
    run = RunFolder(folder)
    status = run.status()
    rows, events = [*_ends(folder / "metrics.jsonl")], [*_ends(folder / "events.jsonl")]
    heart = heartbeat(status, rows, events, process_of(status), now, written(run))
    return heart.state if heart.over else RUNNING


def _examples(path: Path) -> tuple[str, int]:
    """(the question of the first, how many)."""
    if not path.is_file():
        return "", 0
    data = path.read_bytes()
    rows = [*_objects(data.split(b"\n", 1)[:1])]
    return (str(rows[0].get("prompt", "")) if rows else ""), data.count(b"\n")


def _ends(path: Path) -> Iterator[dict[str, Any]]:
    """The rows in the first and the last bytes of a file that grows, in order; torn and strange lines are left out."""
    if not path.is_file():
        return
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size <= 2 * PART:
            yield from _objects(file.read().split(b"\n"))
            return
        yield from _objects(file.read(PART).split(b"\n")[:-1])
        file.seek(size - PART)
        yield from _objects(file.read().split(b"\n")[1:])


def _objects(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        with suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict):
                yield row


def _created(run: RunFolder) -> float:
    """Seconds since 1970. A damaged env.json costs a run its time, not its line."""
    with suppress(OneshotError):
        if made := number(run.env().get("created")):
            return made
    return _changed(run.path / "config.json")


def _changed(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def size(count: int | None) -> str:
    """`3.4 GiB`; a question mark where the time for it was spent."""
    if count is None:
        return "?"
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def short(text: str, most: int) -> str:
    """The text on one line, at most `most` characters."""
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= most else line[: most - 1] + "…"
