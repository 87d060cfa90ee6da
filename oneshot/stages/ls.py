"""`oneshot ls`: every run, study and evaluation in the folder of runs, newest first. Loads no torch."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from oneshot.config.request import Request
from oneshot.errors import UsageError
from oneshot.measure.heartbeat import ago
from oneshot.report.text import visible
from oneshot.stages.watching.ls_entries import Sizes, entries, short, size

SCHEMA = "oneshot.ls/1"
HEAD = ("name", "state", "step", "training", "points on held-out problems", "size", "model", "what")
_CUT = 72
"""Characters of an example's question."""


def main(request: Request) -> int:
    """Print one line a folder, with --json one object.

    Raises:
        UsageError: E106 the folder does not exist, is a file, or cannot be read.
    """
    root = Path(request.config.save.runs).expanduser()
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise UsageError(
            f"the folder of runs {root} {what}.", code="E106", tries=("oneshot ls --runs DIR", "oneshot demo")
        )
    try:
        found = entries(root, time.time(), Sizes())
    except OSError as error:
        why = f"the folder of runs {root} cannot be read: {error.strerror}."
        raise UsageError(why, code="E106", tries=(f"ls -ld {quote(str(root))}",)) from error
    if request.json:
        print(json.dumps({"schema": SCHEMA, "folder": str(root), "entries": found}))
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for line in lines(found, width=width):
        print(line)
    if not request.quiet and not found:
        print(f"nothing in {root} yet; oneshot demo makes a first run", file=sys.stderr)
    return 0


def lines(found: Sequence[Mapping[str, Any]], *, width: int = 0) -> list[str]:
    """A table, its columns as wide as what stands in them; each line is cut at `width` unless that is 0."""
    if not found:
        return []
    rows = [HEAD, *(tuple(visible(cell).replace("\n", " ") for cell in _row(entry)) for entry in found)]
    wide = [max(len(row[column]) for row in rows) for column in range(len(HEAD) - 1)]
    out = ["  ".join((*(f"{cell:<{w}}" for cell, w in zip(row, wide, strict=False)), row[-1])).rstrip() for row in rows]
    return [short_line(line, width) for line in out]


def short_line(line: str, width: int) -> str:
    """A line that fits the terminal, its columns where they were."""
    return line if not width or len(line) <= width else line[: width - 1] + "…"


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of one folder."""
    name, kept = str(entry["name"]), size(entry["bytes"])
    if entry["kind"] == "damaged":
        return name, "damaged", "", "", "", kept, "", short(str(entry["why"]), 2 * _CUT)
    if entry["kind"] == "study":
        told = f"study: {entry['arms']} arms, {entry['seeds']} seeds; {short(entry['claim'], _CUT)}".rstrip("; ")
        return name, entry["state"], f"{entry['done']}/{entry['cells']} cells", "", "", kept, "", told
    if entry["kind"] == "evaluation":
        return name, "", "", "", "", kept, short(entry["model"], _CUT), f"evaluated on {', '.join(entry['tasks'])}"
    step = f"{entry['step']}/{entry['steps']}" if entry["steps"] else str(entry["step"])
    share = entry["training"]
    training = f"{share['first']:.0%} -> {share['last']:.0%}" if share else ""
    return (
        name,
        _state(entry),
        step,
        training,
        _points(entry["headline"]),
        kept,
        short(entry["model"], _CUT),
        _what(entry),
    )


def _state(entry: Mapping[str, Any]) -> str:
    """`running, 4 s` where the run may be going on: since its last sign of life; `preflight, 12 min` in a phase."""
    state, age = str(entry["state"]), entry["heartbeat_age"]
    word = entry["phase"] or state if state == "running" else state
    return f"{word}, {ago(age)}" if state in ("running", "silent", "gone") and age is not None else word


def _points(pair: Mapping[str, Any] | None) -> str:
    """`36.7% -> 35.0%, -1.7 [-13.0, +9.7]`, with the task's name where it is one."""
    if pair is None:
        return ""
    on = "" if pair["on"] == "held out" else f"{pair['on']} "
    low, high = 100 * pair["ci_low"], 100 * pair["ci_high"]
    change = f"{100 * pair['estimate']:+.1f} [{low:+.1f}, {high:+.1f}]"
    return f"{on}{pair['base']:.1%} -> {pair['trained']:.1%}, {change}"


def _what(entry: Mapping[str, Any]) -> str:
    """The label of an arm first: it must not be cut off."""
    count = entry["examples"]
    more = f" (the first of {count} examples)" if count > 1 else ""
    example = short(entry["example"], _CUT)
    return "; ".join(part for part in (entry["label"].upper(), example + more if example else "") if part)
