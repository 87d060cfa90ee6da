"""How a finished stage speaks: data on stdout, talk on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from oneshot.config.request import Request
from oneshot.record import RunFolder


def result(request: Request, run: RunFolder, summary: Mapping[str, Any]) -> None:
    """The headline and where things are; with --json the summary and the run folder as one object."""
    if request.json:
        print(json.dumps({**summary, "run": str(run.path)}))
        return
    if not request.quiet:
        print(f"\n{summary['headline']}", file=sys.stderr)
        print(f"report: {run.path / 'report.html'}", file=sys.stderr)
    print(run.path)


def row(name: str, pair: Mapping[str, Any]) -> str:
    """One line of a before/after table."""
    interval = f"[{100 * pair['ci_low']:>+6.1f}, {100 * pair['ci_high']:>+6.1f}]"
    return (
        f"{name:<16} {pair['n']:>4}   {pair['base']:>6.1%} -> {pair['trained']:>6.1%}   "
        f"{100 * pair['estimate']:>+6.1f}   {interval}   {pair['badge']}"
    )


def table(summary: Mapping[str, Any]) -> str:
    """The ladder, every kind and the overall mean as text; losses are shown like gains."""
    head = f"{'':<16} {'n':>4}   {'base':>6}    {'trained':>7}   points   95 % interval      each line alone"
    lines = [head]
    lines += [row(name, pair) for name, pair in summary["ladder"].items()]
    lines += ["", *(row(name, pair) for name, pair in summary["categories"].items())]
    return "\n".join([*lines, "", row("overall", summary["overall"])])
