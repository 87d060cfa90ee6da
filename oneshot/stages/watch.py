"""`oneshot watch RUN`: a run while it goes on, in the terminal or as a page on 127.0.0.1. Changes nothing.

In a terminal one picture that redraws itself, elsewhere a line a step. It ends when the run ends. Loads no torch.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote

from rich.console import Console
from rich.live import Live

from oneshot._store import files
from oneshot.config.environment import plain
from oneshot.config.request import Request
from oneshot.errors import Stopped, UsageError
from oneshot.record import RunFolder
from oneshot.report.text import visible
from oneshot.stages.watching.lines import Lines
from oneshot.stages.watching.state import Snapshot, Watcher
from oneshot.stages.watching.view import state_line, view

EVERY = 1.0
"""Seconds between two looks."""

Wait = Callable[[float], object]


def main(request: Request) -> int:
    """Watch until the run ends; 0 however it ended.

    Raises:
        UsageError: E104 no such run folder, or it went away; E103 or E105 flags that do not go together.
        Stopped: 130 after Ctrl-C; the run goes on.
    """
    flags = request.verb_flags
    run = RunFolder.open(request.positional[0], Path(request.config.save.runs))
    if flags.get("web"):
        _alone(flags.get("once"), "--once", "--web", run)
        from oneshot.stages.watching import live_page  # the whole report, which the terminal does not need

        return live_page.main(run, flags.get("port"), offline=request.offline, as_json=request.json)
    _alone(flags.get("port"), "--port", "", run)
    watcher = Watcher(run)
    if request.json:
        print(files.dumps(watcher.look(time.time()).as_dict()))
        return 0
    console = Console(highlight=False, markup=False, emoji=False)
    if flags.get("once"):
        console.print(view(watcher.look(time.time()), console.width))
        return 0
    try:
        if console.is_terminal and not plain() and not request.quiet:
            last = draw(watcher, console)
        else:
            last = say(watcher, quiet=request.quiet)
    except KeyboardInterrupt:
        raise Stopped(
            f"no longer watching {run.path}; the run is not touched.",
            exit_code=130,
            tries=(f"oneshot watch {quote(str(run.path))}",),
        ) from None
    print("\n".join(ending(last)), file=sys.stderr)
    return 0


def _alone(given: object, flag: str, other: str, run: RunFolder) -> None:
    """Refuse a flag that acts only with, or only without, `--web`."""
    if given:
        why = f"{flag} and {other} do not go together" if other else f"{flag} is the port of the page: it needs --web"
        line = f"oneshot watch {quote(str(run.path))} " + (other or f"--web {flag} {given}")
        raise UsageError(f"{why}.", code="E105", tries=(line,))


def draw(watcher: Watcher, console: Console, wait: Wait = time.sleep) -> Snapshot:
    """Redraw the picture on a screen of its own until the run ends; the last picture stays in the terminal."""
    now = watcher.look(time.time())
    with Live(view(now, console.width), console=console, screen=True, auto_refresh=False) as live:
        while not now.heart.over:
            wait(EVERY)
            now = watcher.look(time.time())
            live.update(view(now, console.width), refresh=True)
    console.print(view(now, console.width))
    return now


def say(watcher: Watcher, *, quiet: bool, wait: Wait = time.sleep) -> Snapshot:
    """Print a line for each thing that happens until the run ends; nothing when `quiet`."""
    lines = Lines(time.monotonic)
    while True:
        now = watcher.look(time.time())
        for line in () if quiet else lines.new(now):
            print(line, flush=True)
        if now.heart.over:
            return now
        wait(EVERY)


def ending(last: Snapshot) -> Sequence[str]:
    """How it ended, and what to do next."""
    run, state, word = last.run.path, last.heart.state, visible(quote(str(last.run.path)))
    step = f"step {last.seen.done}" + (f" of {last.seen.steps}" if last.seen.steps else "")
    following = f"oneshot report {word}" if state == "done" else f"oneshot doctor {word}"
    return [f"{visible(run.name)}: {state_line(last)}, {step}", f"next: {following}"]
