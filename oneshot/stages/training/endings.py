"""How a run ends that does not come to its end: marked `failed` or `stopped`, with what it keeps and how it goes on."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from oneshot.errors import DataError, MachineError, OneshotError, Stopped, UsageError
from oneshot.record import RunFolder
from oneshot.report import page
from oneshot.stages import push
from oneshot.stages.signals import stops_at_once


@contextmanager
def starting(run: RunFolder | None) -> Iterator[Callable[[], None]]:
    """Around what a resumed run loads: it says at once that it runs, so nobody takes it for the attempt before it.

    Gives a function to call when `failing` has begun inside, so that a stop signal always meets one of the two. What
    ends it before that has changed nothing yet, so its status is put back as it was. None: a run that is new.
    """
    loaded = list[bool]()
    if run is None:
        yield lambda: None
        return
    before = run.status()
    try:
        with stops_at_once(run):
            run.write_status(state="running", phase="starting")
            yield lambda: loaded.append(True)
    finally:
        with suppress(MachineError, UsageError):  # a full or a damaged disk: what ended it says enough
            if not loaded and run.status().get("pid") == os.getpid():  # nobody else took it over
                run.write_json("status.json", before)


@contextmanager
def failing(run: RunFolder) -> Iterator[None]:
    """Around everything that a run does: one that does not come to its end is marked `failed`, or `stopped`.

    Inside, a stop signal ends the run at once, except in the training loop, which first finishes and saves its step.
    What was written before is whole either way.
    """
    state, attempt = "failed", run.attempt
    try:
        with stops_at_once(run):
            run.write_status(state="running", phase="starting")
            yield
        state = ""
    except (Stopped, KeyboardInterrupt):
        state = "stopped"
        raise
    except DataError as error:
        if error.code != "E305":
            raise
        raise unusable(error, run) from error
    finally:
        if state:
            with suppress(MachineError, OSError):
                if run.attempt == attempt:  # it ended before training began: what it said is in no log yet
                    run.start_attempt()
            run.log(_last_words())
            with suppress(MachineError):  # a full disk: what ended the run says so already
                run.write_status(state=state)


def ended(run: RunFolder, summary: Mapping[str, Any]) -> None:
    """What a run that came to its end leaves: its summary, its state, its page, and the draft of a model card."""
    run.write_json("summary.json", summary)
    run.write_status(state="done")
    page.write(run)
    run.write_text("README.md", push.draft(run.path, run.path.parent))


def _last_words() -> str:
    """For the log: what ends the run, with its traceback unless somebody asked for the end."""
    error = sys.exc_info()[1]
    said = [error.render() if isinstance(error, OneshotError) else type(error).__name__]
    traced = [] if isinstance(error, (Stopped, KeyboardInterrupt)) else [traceback.format_exc()]
    return "\n".join([*said, *traced])


def unusable(error: DataError, run: RunFolder) -> DataError:
    """A reward that failed in a run: the same error with what the run keeps and how it goes on once it is mended."""
    recorded = len(run.metrics())
    kept = f"{recorded} recorded steps are whole in {run.path}." if recorded else "Nothing was trained."
    again = f"oneshot train --resume {run.path}   (once the function is mended)"
    tries = (*error.tries, again) if run.example() else error.tries
    return DataError(error.message, code=error.code, tries=tries, kept=kept)
