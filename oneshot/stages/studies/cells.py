"""One cell of a study after the other: each an ordinary run, made by the code of `oneshot train`.

Each has a process of its own: its memory is the system's again when it ends, its peak memory is its own, and one that
the system kills, or that ends by an error of ours, does not take the study with it. That costs the seconds in which
Python and torch are imported. `--one-process` runs all cells in this process instead.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType

from oneshot.config.request import Request
from oneshot.errors import OneshotError, Stopped, UsageError
from oneshot.record import RunFolder
from oneshot.stages.signals import INTERRUPTED, RUN_ME_AGAIN, handled_by
from oneshot.stages.studies import forecast
from oneshot.stages.studies.base import copy_base
from oneshot.stages.studies.folder import DONE, FAILED, PREREGISTERED, RUNNING, STOPPED, Cell, StudyFolder
from oneshot.stages.watching.run_process import process_of

Say = Callable[[str], None]


@dataclass
class Relay:
    """Stop signals: handed to the running cell, which saves; where none runs, the study ends at once."""

    child: subprocess.Popen[bytes] | None = None
    starting: bool = False
    """A process is being made: it would go on alone if that were broken off, so the signal is handed on afterwards."""
    signal: int = 0
    """The first one that came."""

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note a signal and hand it on."""
        self.signal = self.signal or number
        if self.child is not None:
            self.child.send_signal(number)
        elif not self.starting:
            raise Stopped("stopped between two cells; everything up to here is kept.", exit_code=self.exit_code)

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, else 75."""
        return INTERRUPTED if self.signal == signal.SIGINT else RUN_ME_AGAIN


@contextmanager
def relayed() -> Iterator[Relay]:
    """Catch SIGINT and SIGTERM inside the block; outside the main thread nothing is caught."""
    relay = Relay()
    with handled_by(relay.handle):
        yield relay


def run_cells(folder: StudyFolder, wanted: Sequence[Cell], request: Request, say: Say) -> list[tuple[Cell, int]]:
    """Run what is not done of the wanted cells, in their order; those that failed, with their exit status.

    Raises:
        UsageError: E107 a finished cell has other settings than the study.
        Stopped: after a stop signal; the running cell is saved.
    """
    failed, here = list[tuple[Cell, int]](), "one_process" in request.verb_flags
    left = [cell for cell in wanted if cell.state != DONE]
    for cell in wanted:
        if (run := folder.run_of(cell)) is not None:
            folder.check_cell(cell, run)
    if len(left) < len(wanted):
        say(f"{len(wanted) - len(left)} of {len(wanted)} cells are done already")
    with relayed() as relay:
        for place, cell in enumerate(left):
            say(_heading(folder, cell, left[place:]))
            code = run_here(folder, cell, request) if here else _in_child(folder, cell, request, relay)
            if relay.signal:
                raise Stopped("stopped; the running cell is saved.", exit_code=relay.exit_code)
            done = next(one for one in folder.cells() if one.key == cell.key)
            if code:
                failed.append((done, code))
                say(f"seed {cell.seed}, {cell.arm}: failed ({done.said}); the study goes on with the others")
    return failed


def _heading(folder: StudyFolder, cell: Cell, left: Sequence[Cell]) -> str:
    """`seed 0, arm 3 of 8 (entropy): 6 cells to run, about 1:20:00 by the 2 cells that ended here (...)`."""
    arms = [arm.name for arm in folder.plan.study.arms]
    time = forecast.time_left(folder.cells(), len(left))
    told = f", {time.sentence()}" if time else "; how long is told when one has ended"
    plural = "s" if len(left) > 1 else ""
    which = f"seed {cell.seed}, arm {arms.index(cell.arm) + 1} of {len(arms)} ({cell.arm})"
    return f"{which}: {len(left)} cell{plural} to run{told}"


def _in_child(folder: StudyFolder, cell: Cell, request: Request, relay: Relay) -> int:
    """Run a cell in a process of its own; its exit status.

    It has a session of its own, so that Ctrl-C in a terminal reaches it once, from here.
    """
    study, runs = request.positional[0], str(folder.path.parent)
    words = ["study", study, "--out", runs, "--name", folder.plan.name, "--cell", f"{cell.arm}@{cell.seed}"]
    flags = {"--quiet": request.quiet, "--verbose": request.verbose, "--yes": request.yes, "--offline": request.offline}
    words += [flag for flag, given in flags.items() if given]
    relay.starting, began = True, time.monotonic()
    relay.child = subprocess.Popen(
        [sys.executable, "-m", "oneshot", *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    relay.starting = False
    try:
        if relay.signal:  # it came while the process was being made
            relay.child.send_signal(relay.signal)
        code = relay.child.wait()
    finally:
        relay.child = None
    if code and not relay.signal:
        now = next(one for one in folder.cells() if one.key == cell.key)
        if now == cell or now.state == RUNNING:  # it was ended before it could say why itself
            what = f"its process was ended by signal {-code}" if code < 0 else f"its process ended with status {code}"
            spent = cell.seconds + time.monotonic() - began
            folder.update(cell.arm, cell.seed, state=FAILED, said=what, seconds=spent)
    return code


def run_here(folder: StudyFolder, cell: Cell, request: Request, *, alone: bool = False) -> int:
    """Run a cell in this process; its exit status, and what became of it in study.json.

    `alone`: an error is raised, for the command line to tell.

    Raises:
        Stopped: after a stop signal, saved.
    """
    began = time.monotonic()
    state, said, code, trained = FAILED, "an internal error", 0, True
    try:
        trained = _train(folder, cell, request)
        state, said = DONE, ""
    except (Stopped, KeyboardInterrupt):
        state, said = STOPPED, ""
        raise
    except OneshotError as error:
        state, said, code = FAILED, f"{error.code} {error.message}".strip(), error.exit_code
        if alone:
            raise
        print(error.render(), file=sys.stderr)
    finally:
        seconds = cell.seconds + (time.monotonic() - began if trained else 0.0)
        folder.update(cell.arm, cell.seed, state=state, said=said, seconds=seconds)
    run = folder.run_of(next(one for one in folder.cells() if one.key == cell.key))
    if state == DONE and run is not None:
        _tidy(run, weights=folder.plan.study.keep_weights)
    return code


def _train(folder: StudyFolder, cell: Cell, request: Request) -> bool:
    """`oneshot train` of one cell, from its last checkpoint where there is one; nothing is printed on stdout.

    Returns:
        False where there was nothing to do: it ended before study.json could be told.
    """
    from oneshot.stages import train

    config, sha256 = folder.plan.config(cell.arm, cell.seed), folder.sha256()
    run = folder.run_of(cell)

    def begun(run: RunFolder) -> None:
        run.event(PREREGISTERED, study=folder.plan.name, sha256=sha256, claim=folder.plan.study.claim)
        folder.update(cell.arm, cell.seed, run=run.path.name, state=RUNNING)
        copy_base(run, [other for _, other in folder.runs()])

    resumed = {} if run is None else {"resume": str(run.path)}
    if run is not None:
        if run.status().get("state") == DONE:
            return False
        _refuse_running(run)
        folder.update(cell.arm, cell.seed, state=RUNNING)
    origins = folder.plan.origins[cell.arm] if run is None else {}
    asked = replace(
        request, verb="train", positional=(), config=config, origins=origins, verb_flags=resumed, json=False
    )
    with contextlib.redirect_stdout(io.StringIO()):
        train.main(asked, begun)
    return True


def _refuse_running(run: RunFolder) -> None:
    """A cell has a session of its own, so it goes on where the study above it was killed. `--yes` changes nothing.

    Raises:
        UsageError: E104 its process is still there.
    """
    status = run.status()
    if status.get("state") == RUNNING and status.get("pid") != os.getpid() and process_of(status).alive:
        raise UsageError(
            f"{run.path} is being written by process {status['pid']} right now.",
            code="E104",
            tries=(
                f"kill {status['pid']}   (it saves, and the study then goes on from there)",
                f"oneshot train --resume {run.path} --yes   (if process {status['pid']} is something else)",
            ),
            kept="Nothing was changed.",
        )


def _tidy(run: RunFolder, *, weights: bool) -> None:
    """Delete what only a cell that goes on needs: the optimiser's state, and weights that are not to be kept."""
    for place in (run.last_state_dir, run.previous_state_dir, *([] if weights else [run.checkpoints_dir])):
        shutil.rmtree(place, ignore_errors=True)


def cell_of(folder: StudyFolder, words: str) -> Cell:
    """The cell that `ARM@SEED` names. `UsageError` E102."""
    arm, _, seed = words.rpartition("@")
    found = [cell for cell in folder.cells() if cell.arm == arm and str(cell.seed) == seed]
    if not found:
        raise UsageError(f"--cell {words}: the study has no such cell.", code="E102", tries=("--cell ARM@SEED",))
    return found[0]
