"""`--track`: readers that follow a run's `metrics.jsonl` and hand each step to experiment trackers.

They only read. A tracker that fails or hangs is dropped with one warning; training goes on, and `metrics.jsonl` has
everything. `tracking.json` keeps for each tracker its run id and how far the file was sent, so that a resumed run
continues the same tracker run: a step that was cut back and done again is not sent twice (it has the same numbers).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from json import loads
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.errors import OneshotError, UsageError
from oneshot.export.trackers import TRACKERS, Opening, Tracker, package
from oneshot.registry import nearest

PATIENCE = 120.0
"""Seconds one call may take: W&B itself waits 90 for its server before it gives up."""
OWN = ("step", "time", "attempt")
"""Columns of `metrics.jsonl` that are no metrics."""
MODULES = {"tensorboard": "torch.utils.tensorboard"}


@dataclass
class Sent:
    """What one tracker has, as `tracking.json` keeps it."""

    id: str = ""
    """The tracker's run."""
    offset: int = 0
    """Bytes of `metrics.jsonl` that were read."""
    step: int = -1
    """The last step that was sent."""


class Reader:
    """One tracker and its place in the file. All its calls happen in a thread of its own, one after another.

    The thread is what makes the promise hold: whatever the package raises comes back as a value, and one that never
    returns costs `PATIENCE` seconds once. (The process then ends only when the package gives up by itself.)
    """

    def __init__(self, name: str, sent: Sent) -> None:
        self.name = name
        self.sent = sent
        self.tracker: Tracker | None = None
        self.failed = ""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"track-{name}")

    def open(self, given: Opening) -> None:
        """Start or continue the tracker's run.

        Raises:
            OneshotError: E105 for what is refused; anything else only drops the tracker.
        """

        def start() -> None:
            self.tracker = TRACKERS[self.name](given)
            self.sent.id = self.tracker.id

        error = self._call(start)
        if isinstance(error, OneshotError):
            self._thread.shutdown(wait=False)
            raise error

    def follow(self, metrics: Path) -> bool:
        """Send every whole line that was added; whether there was one."""
        if self.tracker is None:
            return False
        rows = list(added(metrics, self.sent))
        self._call(lambda: self._send(rows))
        return bool(rows)

    def close(self, summary: Mapping[str, float]) -> None:
        """Send the summary and close."""
        tracker = self.tracker
        if tracker is not None:
            self._call(lambda: tracker.finish(max(self.sent.step, 0), summary))
        self._thread.shutdown(wait=False)

    def _send(self, rows: list[tuple[int, Mapping[str, float], int]]) -> None:
        assert self.tracker is not None, "`follow` has looked"
        for step, values, end in rows:
            if step > self.sent.step:
                self.tracker.log(step, values)
                self.sent.step = step
            self.sent.offset = end

    def _call(self, work: Callable[[], None]) -> BaseException | None:
        """Do something in the thread; what goes wrong is kept in `failed` and returned."""
        if self.failed:
            return None
        with redirect_stdout(io.StringIO()):  # stdout is for data, and some packages print there
            future: Future[None] = self._thread.submit(work)
            try:
                error = future.exception(timeout=PATIENCE)
            except TimeoutError as late:
                error = late
        if error is not None:
            said = " ".join(str(error).split())[:300]
            self.failed = f"{type(error).__name__}: {said}" if said else type(error).__name__
        return error


class Tracking:
    """Every tracker of one run. A callback after each step; does nothing where none was asked for.

    A context: what leaves it without `close` leaves the tracker runs open for a resume.
    """

    def __init__(self, names: str, *, metrics: Path, state: Path, say: Callable[[str], None]) -> None:
        """Opens nothing yet.

        Args:
            names: `save.track`.
            metrics: the run's `metrics.jsonl`; it need not exist yet.
            state: where `tracking.json` goes.
            say: shows one sentence.
        """
        known = files.read_json(state) if state.is_file() else {}
        self.readers = [Reader(name, Sent(**known.get(name, {}))) for name in parse(names)]
        self._known = known
        self._metrics = metrics
        self._state = state
        self._say = say
        self._warned: set[str] = set()

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, *_: object) -> None:
        """Close what `close` has not."""
        self.close()

    def open(self, *, name: str, config: Mapping[str, Any], offline: bool = False) -> None:
        """Start or continue each tracker's run; the configuration goes along.

        Raises:
            UsageError: E105 a tracker that needs a server, under --offline.
        """
        for reader in self.readers:
            reader.open(
                Opening(
                    name=name,
                    folder=self._state.parent,
                    id=reader.sent.id,
                    first_step=reader.sent.step + 1,
                    config=flat(config, "."),
                    offline=offline,
                )
            )
        self._after()

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Send what is new in the file."""
        new = [reader.follow(self._metrics) for reader in self.readers]
        if any(new):
            self._after()

    def close(self, summary: Mapping[str, Any] | None = None) -> None:
        """Send the rest and close, once; without a summary the run is to be continued."""
        numbers = {f"summary/{key}": v for key, v in flat(summary or {}, "/").items() if _number(v)}
        for reader in self.readers:
            reader.follow(self._metrics)
            reader.close(numbers)
        self._after()
        self.readers = []

    def _after(self) -> None:
        """Warn of what has failed since, once each, and keep how far each tracker is."""
        for reader in self.readers:
            if reader.failed and reader.name not in self._warned:
                self._warned.add(reader.name)
                self._say(
                    f"warning: tracking with {reader.name} has stopped ({reader.failed}). Training goes on; "
                    "metrics.jsonl has everything."
                )
        if self.readers:
            told = {reader.name: asdict(reader.sent) for reader in self.readers if reader.sent.id}
            self._known = {**self._known, **told}
            files.write_bytes(self._state, files.dumps(self._known, indent=2).encode() + b"\n")


def parse(names: str) -> list[str]:
    """The trackers in `wandb, trackio`, each once; none for "" and `none`.

    Raises:
        UsageError: E102 for a name that is no tracker.
    """
    found = [name for part in names.split(",") if (name := part.strip().lower())]
    for name in found:
        if name not in (*TRACKERS, "none"):
            hint = nearest(name, list(TRACKERS))
            raise UsageError(f"unknown tracker {name!r}.{hint} Known: {', '.join(TRACKERS)}.", code="E102")
    return list(dict.fromkeys(name for name in found if name != "none"))


def check(names: str) -> None:
    """Fail before anything is loaded: E102 for an unknown tracker, E204 for one whose package is missing."""
    for name in parse(names):
        package(MODULES.get(name, name), needs=name)


def added(metrics: Path, sent: Sent) -> Iterator[tuple[int, Mapping[str, float], int]]:
    """(step, metrics, offset behind it) of every whole line after `sent.offset`; from the start if the file was cut."""
    if not metrics.is_file():
        return
    with open(metrics, "rb") as file:
        start = sent.offset if sent.offset <= metrics.stat().st_size else 0
        file.seek(max(start - 1, 0))
        if start and file.read(1) != b"\n":  # cut back and grown again: no longer the end of a line
            start = 0
            file.seek(0)
        for line in file:
            if not line.endswith(b"\n"):
                return
            start += len(line)
            row = loads(line)
            values = {k: float(v) for k, v in row.items() if k not in OWN and _number(v)}
            yield int(row["step"]), values, start


def flat(values: Mapping[str, Any], joint: str, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level: `{"optim": {"lr": 1}}` -> `{"optim.lr": 1}`."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{joint}{key}" if prefix else str(key)
        found |= flat(value, joint, name) if isinstance(value, Mapping) else {name: value}
    return found


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
