"""`oneshot select POOL`: rank the examples of a pool, write the best of them, show how sure that is.

The ranking comes from a recorded history (the paper's published record, or a run that trained on the pool) or from a
probe of the base model. Loads no torch, except for a probe. Nothing is overwritten; no row is merged or dropped.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.config.request import Request
from oneshot.errors import UsageError
from oneshot.measure.selection import ANSWERS, SCORES
from oneshot.measure.uncertainty import REDRAWS
from oneshot.registry import nearest
from oneshot.stages.selecting import candidates
from oneshot.stages.selecting import notes as select_notes
from oneshot.stages.selecting import table as selection_table
from oneshot.stages.selecting.candidates import Candidate, Choice, read_candidates
from oneshot.stages.selecting.output import check_place, write_new

SCHEMA = "oneshot.selection/1"
SOURCES = ("history", "run", "probe")
PROBED: Mapping[str, float] = {"distance-to-half": 0.5, "mean-accuracy": 1.0}
"""Scores of the pass rate that a probe can rank by -> the rate that it looks for; it can rank by `ANSWERS` too."""
_OF_HISTORIES = ("samples", "redraws", "allow_ragged")
"""Flags that say how a recorded history is read."""
_FROM = ("--history FILE   (index -> accuracies, or a run's history.jsonl)", "--run RUN", "--probe 8 --out FILE")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The flags, checked as far as they can be without opening a file."""

    pool: str
    score: str
    source: str
    """`history`, `run`, `probe`, or empty (chance needs none)."""
    value: str
    """What the source's flag was given."""
    top: int
    """0: all."""
    out: Path | None
    redraws: int
    allow_ragged: bool
    samples: int = 0
    """Samples a visit of a published record; 0: told from its accuracies."""

    @property
    def command(self) -> str:
        """The command as far as it goes in a line to paste."""
        return f"oneshot select {self.pool}" + (f" --{self.source} {self.value}" if self.source else "")


@dataclass(frozen=True, kw_only=True)
class Selected:
    """A ranking of the whole pool, and what there is to say of it."""

    choices: Sequence[Choice]
    """Best first, every row of the pool."""
    facts: Mapping[str, Any]
    """JSON-able: what it was made from, noise, ties."""
    notes: Sequence[str]


def main(request: Request) -> int:
    """Rank, write and show.

    Raises:
        UsageError: E102 unknown score, E103 a number out of range, E104 --out exists or the run does not, E105 flags
            or files that do not belong together, E106 a file that cannot be read or written.
        DataError: E301 a bad row or history, E303 nothing was ever solved, E306 nothing to rank by, E307 all solved.
    """
    asked = ask(request)
    pool = read_candidates(asked.pool, offline=request.offline)
    if asked.top > len(pool):
        raise UsageError(
            f"--top {asked.top} is more than the {len(pool)} rows of {asked.pool}.",
            code="E103",
            tries=(f"{asked.command} --top {len(pool)}",),
            kept="Nothing was written.",
        )
    if asked.source == "probe":
        from oneshot.stages.selecting.probe import probed  # loads torch and the model

        selected = probed(request, asked, pool)
    else:
        from oneshot.stages.selecting.history import recorded

        selected = recorded(request, asked, pool)
    picks = selected.choices[: asked.top or None]
    unusable = select_notes.unusable(picks, request.config.reward) if asked.top else []
    of_picks = select_notes.of_picks(picks, unusable, request.config.reward.name, top=asked.top)
    notes = [*selected.notes, *candidates.notes(pool), *of_picks]
    if asked.out:
        write_new(asked.out, files.json_lines(choice.row() for choice in picks))
    if request.json:
        print(files.dumps(told(asked, pool, picks, selected, notes)))
        return 0
    selection_table.show(selection_table.table(picks, selection_table.blocks_for(sys.stdout.encoding)))
    if not request.quiet:
        selection_table.show(["", *notes])
    if asked.out:
        then = f" Train on them: oneshot train --data {asked.out}" if len(unusable) < len(picks) else ""
        print(f"wrote {asked.out}: {len(picks)} of {len(pool)} rows.{then}")
    return 0


def ask(request: Request) -> Asked:
    """Check the flags. Raises `UsageError` E102 to E106."""
    flags, (pool,) = request.verb_flags, request.positional
    given = [name for name in SOURCES if name in flags]
    if len(given) > 1:
        both = " and ".join(f"--{name}" for name in given)
        raise UsageError(f"{both} are both given; rank by one of them.", code="E105", tries=_FROM)
    source = given[0] if given else ""
    default = next(iter(PROBED)) if source == "probe" else next(iter(SCORES))
    score = str(flags.get("score", default))
    if score not in SCORES:
        known = ", ".join(SCORES)
        message = f"unknown score {score!r}.{nearest(score, list(SCORES))} Known: {known}."
        raise UsageError(message, code="E102", tries=("oneshot select --help",))
    if not source and SCORES[score].needs:
        raise UsageError(f"--score {score} needs a history or a probe to rank by.", code="E105", tries=_FROM)
    if source not in ("history", "run") and (idle := [name for name in _OF_HISTORIES if name in flags]):
        idle_flags = " and ".join(f"--{name.replace('_', '-')}" for name in idle)
        raise UsageError(f"{idle_flags} says how a history is read, and none is.", code="E105", tries=_FROM[:2])
    out = Path(flags["out"]).expanduser() if "out" in flags else None
    asked = Asked(
        pool=pool,
        score=score,
        source=source,
        value=str(flags.get(source, "")),
        top=_count(flags, "top", 0, least=1),
        out=out,
        redraws=_count(flags, "redraws", REDRAWS, least=0),
        allow_ragged="allow_ragged" in flags,
        samples=_count(flags, "samples", 0, least=1),
    )
    if source == "probe":
        _check_probe(asked)
    if out is not None:
        check_place(out, probe=source == "probe")
    return asked


def _count(flags: Mapping[str, Any], name: str, default: int, *, least: int) -> int:
    text = str(flags.get(name, default))
    if not (text.isascii() and text.isdigit()) or (name in flags and int(text) < least):
        raise UsageError(f"--{name} {text}: a whole number from {least} on is needed.", code="E103")
    return int(text)


def _check_probe(asked: Asked) -> None:
    _count({"probe": asked.value}, "probe", 0, least=1)
    if asked.score not in (*PROBED, *ANSWERS):
        known = [*PROBED, *ANSWERS]
        raise UsageError(
            f"a probe visits each problem of {asked.pool} once: it ranks by {', '.join(known[:-1])} or {known[-1]}, "
            f"not by {asked.score}.",
            code="E105",
            tries=tuple(f"{asked.command} --score {name}" for name in known),
        )
    if asked.out is None:
        raise UsageError(
            "--probe needs --out FILE: its samples are recorded beside that file, so that it can be resumed.",
            code="E105",
            tries=(f"{asked.command} --out picks.jsonl",),
        )


def told(
    asked: Asked, pool: Sequence[Candidate], picks: Sequence[Choice], selected: Selected, notes: Sequence[str]
) -> dict[str, Any]:
    """The one object of `--json`."""
    groups = {tuple(sorted(map(str, (row.index, *row.same_as)))) for row in pool if row.same_as}
    return {
        "schema": SCHEMA,
        "pool": asked.pool,
        "examples": len(pool),
        "different_problems": len({candidate.problem.prompt for candidate in pool}),
        "same_problem": [list(group) for group in sorted(groups)],
        "empty_references": [candidate.index for candidate in pool if not candidate.problem.answer],
        "score": asked.score,
        **selected.facts,
        "notes": list(notes),
        "out": None if asked.out is None else str(asked.out),
        "rows": [choice.told() for choice in picks],
    }
