"""`oneshot rollouts RUN`: what the model said, in training and in evaluations. Changes nothing, loads no torch.

A listing that pipes into `less -R`; colours only in a terminal (or with FORCE_COLOR), the words say the same.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Any

from rich.console import Console

from oneshot._store import files
from oneshot.config.request import Request
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.report.text import visible
from oneshot.stages.watching import rollouts_show as show
from oneshot.stages.watching.rollouts_choose import (
    LAST,
    Filter,
    checkpoint_of,
    count_of,
    filter_of,
    named,
    pair_of,
    steps_of,
    task_of,
)
from oneshot.stages.watching.rollouts_read import Response, evaluation, training

SCHEMA = "oneshot.rollouts/1"
FLIPS = {(False, True): "gained", (True, False): "lost", (False, False): "wrong", (True, True): "right"}
TURNED, UNGRADED = ("gained", "lost"), "ungraded"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What is shown, and how much of it there is."""

    responses: Sequence[Response]
    """Of a comparison two by two."""
    read: int
    """Responses, or pairs, that were looked at."""
    right: int
    """Of them graded right; of pairs, the second."""
    matching: int
    """As many as the filter let pass, shown or not."""
    flips: Mapping[str, int] = field(default_factory=dict)
    """Of a comparison, how many of what was looked at went which way; see `FLIPS`."""
    problems: int = 0
    """Of a comparison, the problems behind it."""


def main(request: Request) -> int:
    """Show recorded responses; with `--json` one object with the rows.

    Raises:
        UsageError: E104 no such run folder; E106 nothing recorded, no such step or evaluation; E102 an unknown task;
            E103 and E105 flags that mean nothing, or do not go together.
    """
    flags = request.verb_flags
    run = RunFolder.open(request.positional[0], Path(request.config.save.runs))
    wanted, most = filter_of(flags), count_of(flags)
    compares = bool(flags.get("diff") or flags.get("flipped"))
    asks_eval = [name for name in ("task", "checkpoint", "diff", "flipped") if flags.get(name)]
    if asks_eval and flags.get("step"):
        raise UsageError(
            f"--step shows training responses and --{asks_eval[0]} evaluated ones.",
            code="E105",
            tries=(f"oneshot rollouts {quote(str(run.path))} --step {flags['step']}",),
        )
    if compares:
        return _compare(request, run, wanted, most)
    rows, source = _evaluated(flags, run) if asks_eval else _trained(flags, run)
    found = choose(rows, wanted, most)
    if request.json:
        _json(run, source, found, [response.as_dict() for response in found.responses])
        return 0
    console = _console()
    for part in show.listing(list(found.responses), full=bool(flags.get("full"))):
        console.print(part)
    if not request.quiet:
        print(f"{found.read:,} responses, {found.right:,} of them right; {shown(found)}", file=sys.stderr)
    return 0


def _trained(flags: Mapping[str, Any], run: RunFolder) -> tuple[Iterator[Response], dict[str, Any]]:
    steps = steps_of(run, str(flags.get("step") or "last"))
    return training(run, steps), {"steps": steps}


def _evaluated(flags: Mapping[str, Any], run: RunFolder) -> tuple[Iterator[Response], dict[str, Any]]:
    asked = named(str(flags.get("checkpoint") or ""))
    task = task_of(run, str(flags.get("task") or ""), [] if asked in LAST else [asked])
    checkpoint = checkpoint_of(run, task, asked)
    return evaluation(run, task, checkpoint), {"task": task, "checkpoint": checkpoint}


def choose(rows: Iterator[Response], wanted: Callable[[Response], bool], most: int) -> Chosen:
    """The first `most` that are wanted; the others are counted and not kept."""
    kept: list[Response] = []
    read = right = matching = 0
    for response in rows:
        read += 1
        right += response.correct is True
        if wanted(response):
            matching += 1
            if len(kept) < most:
                kept.append(response)
    return Chosen(responses=kept, read=read, right=right, matching=matching)


def _compare(request: Request, run: RunFolder, wanted: Filter, most: int) -> int:
    """Two checkpoints on the same problems."""
    flags = request.verb_flags
    first, second = pair_of(str(flags.get("diff") or f"base,{flags.get('checkpoint') or 'last'}"))
    if flags.get("diff") and flags.get("checkpoint"):
        raise UsageError("--diff names both checkpoints; leave --checkpoint out.", code="E105")
    task = task_of(run, str(flags.get("task") or ""), [name for name in (first, second) if name not in LAST], least=2)
    sides = checkpoint_of(run, task, first), checkpoint_of(run, task, second)
    if sides[0] == sides[1]:
        raise UsageError(
            f"{task}: {sides[0]} cannot be compared with itself.", code="E103", tries=("--diff base,last",)
        )
    found = flips(lambda name: evaluation(run, task, name), sides, wanted, most, only=bool(flags.get("flipped")))
    pairs = list(zip(found.responses[::2], found.responses[1::2], strict=True))
    if request.json:
        rows = [{"flip": flip_of(a.correct, b.correct), "first": a.as_dict(), "second": b.as_dict()} for a, b in pairs]
        _json(run, {"task": task, "checkpoints": sides, "flips": dict(found.flips)}, found, rows)
        return 0
    console = _console()
    head = visible(f"{task}: {sides[0]} and {sides[1]} on the same problems").replace("\n", " ")
    console.print(head, style="bold", markup=False)
    for a, b in pairs:
        for part in show.beside(a, b, full=bool(flags.get("full")), width=console.width):
            console.print(part)
    if not request.quiet:
        turned = sum(found.flips[name] for name in TURNED)
        more = " and fit the other flags" if found.matching < turned else ""
        print(visible(compared(found, sides)).replace("\n", " "), file=sys.stderr)
        print(shown(found, f"that turned{more}" if flags.get("flipped") else ""), file=sys.stderr)
    return 0


def flips(
    read: Callable[[str], Iterator[Response]], sides: tuple[str, str], wanted: Filter, most: int, *, only: bool
) -> Chosen:
    """Pairs of responses to the same problem, in the order of the first side.

    Both sides are read twice: first their grades alone, then the texts of what is shown.

    Args:
        read: the responses of a checkpoint.
        sides: the two checkpoints.
        wanted: right or wrong is asked of the second; problem and text of either.
        most: so many pairs are kept.
        only: only those that one got right and the other wrong.
    """
    grades = [{r.key: (r.correct, wanted.names(r)) for r in read(name)} for name in sides]
    went = {key: flip_of(grades[0][key][0], grades[1][key][0]) for key in grades[0] if key in grades[1]}
    matching = [
        key
        for key, flip in went.items()
        if (grades[0][key][1] or grades[1][key][1])
        and (wanted.correct is None or grades[1][key][0] is wanted.correct)
        and (not only or flip in TURNED)
    ]
    keys = dict.fromkeys(islice(matching, most))
    texts = [{r.key: r for r in read(name) if r.key in keys} for name in sides]
    counts = Counter(went.values())
    return Chosen(
        responses=[side[key] for key in keys for side in texts],
        read=len(went),
        right=sum(grades[1][key][0] is True for key in went),
        matching=len(matching),
        flips={name: counts[name] for name in (*FLIPS.values(), UNGRADED)},
        problems=len({key[0] for key in went}),
    )


def flip_of(first: bool | None, second: bool | None) -> str:
    """Which way a response went between two checkpoints, a word of `FLIPS`; `ungraded` where one has no grade."""
    return UNGRADED if first is None or second is None else FLIPS[first, second]


def compared(found: Chosen, sides: tuple[str, str]) -> str:
    """How many went which way, of how many."""
    pairs = "problem" if found.problems == found.read else f"pairs of responses to {found.problems:,} problem"
    what = f"{found.read:,} {pairs}{'' if found.problems == 1 else 's'} that both answered"
    ways = {
        "gained": f"wrong with {sides[0]} and right with {sides[1]}",
        "lost": f"right with {sides[0]} and wrong with {sides[1]}",
        "right": "right with both",
        "wrong": "wrong with both",
        UNGRADED: "without a grade",
    }
    told = [f"{found.flips[name]:,} {way}" for name, way in ways.items() if found.flips[name] or name in TURNED]
    return f"{what}: {', '.join(told)}"


def shown(found: Chosen, which: str = "") -> str:
    """How much of what was looked at stands in the listing; `which`: those that could."""
    there = len(found.responses) // (2 if found.flips else 1)
    which = which or ("that fit the flags" if found.matching < found.read else "")
    if there == found.matching:
        return f"shown: all {there:,} {which}".rstrip() if there else f"shown: none {which}".rstrip()
    return f"shown: {there:,} of the {found.matching:,} {which}".rstrip() + f" (--n {found.matching} shows all)"


def _json(run: RunFolder, source: Mapping[str, Any], found: Chosen, rows: Sequence[Mapping[str, Any]]) -> None:
    counts = {"read": found.read, "right": found.right, "matching": found.matching}
    print(files.dumps({"schema": SCHEMA, "run": str(run.path), **source, **counts, "rows": rows}))


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
