"""`oneshot compare A B [C ...]`: recorded evaluations of the same problems against each other. Loads no torch.

A is the baseline. Every other arm has its paired difference from it on each task, with interval, p, Holm's p over the
whole table and the detectable size; then where the difference comes from. How to read it: `docs/compare.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.config.request import Request
from oneshot.errors import UsageError
from oneshot.stages.comparing import format as compare_format
from oneshot.stages.comparing import seeds as compare_seeds
from oneshot.stages.comparing import text as compare_text
from oneshot.stages.comparing.averages import averages
from oneshot.stages.comparing.gains import Table
from oneshot.stages.comparing.match import Matched, matched_tasks
from oneshot.stages.comparing.models import BASE, Arm, Model
from oneshot.stages.comparing.numbers import Line, adjusted, line_of
from oneshot.stages.comparing.origin import origin
from oneshot.stages.comparing.refs import arms_of, find
from oneshot.stages.display import printable
from oneshot.stages.selecting.table import show

SCHEMA = "oneshot.compare/1"


def main(request: Request) -> int:
    """Compare; a table, or with `--json` one object, on stdout.

    Raises:
        UsageError: E102 an arm lacks a checkpoint or a task, E103 arms or problems that cannot be paired, E104 no such
            folder, E105 evaluations that were made differently, E106 nothing evaluated or a damaged file.
    """
    flags, root = request.verb_flags, Path(request.config.save.runs)
    tasks = _tasks(str(flags["tasks"])) if "tasks" in flags else []
    arms = arms_of(request.positional, root, tasks)
    format_only = find(str(flags["format_only"]), root, tasks) if "format_only" in flags else None
    matched, notes = matched_tasks(arms, tasks, allow_different="allow_different" in flags)
    notes += [
        f"{task.name}: a checkpoint or a prompt was chosen by it, so it is no test." for task in matched if task.dev
    ]
    if format_only is not None:
        _check_format(format_only, arms, matched, notes)
    lines = _lines(arms, matched)
    origins = _origins(arms, matched, lines, format_only, notes)
    notes = list(dict.fromkeys(notes))
    if request.json:
        print(files.dumps(told(arms, matched, lines, origins, notes, format_only)))
    else:
        show(text(arms, matched, lines, origins, [] if request.quiet else notes))
    return 0


def _tasks(given: str) -> list[str]:
    """Names of tasks; a suite stands for its own."""
    suites, found = _suites(), list[str]()
    for name in filter(None, (word.strip() for word in given.split(","))):
        found += suites.get(name, (name,))
    if not found:
        raise UsageError("--tasks names no task.", code="E103", tries=("--tasks math500,aime24",))
    return list(dict.fromkeys(found))


def _suites() -> Mapping[str, Sequence[str]]:
    from oneshot.data.tasks.suites import SUITES

    return SUITES


def _check_format(model: Model, arms: Sequence[Arm], matched: Sequence[Matched], notes: list[str]) -> None:
    """Refuse a run of `--format-only` that is none (E103); beside a control that was trained it is not used."""
    control = arms[0]
    if any(one.checkpoint != BASE for one in control.models):
        notes.append(f"--format-only is used where A is a base model, and it is {control.models[0].name}.")
    else:
        compare_format.check(model, arms, matched[0].arms[control.letter][0], notes)


def _lines(arms: Sequence[Arm], matched: Sequence[Matched]) -> list[Line]:
    """Every task, then the averages, with Holm's p over all their claims."""
    doubts = [{arm.letter: compare_seeds.doubt(arms[0], arm, task.arms) for arm in arms[1:]} for task in matched]

    def made(claims: int) -> list[Line]:
        of_tasks = [line_of(task, why, claims) for task, why in zip(matched, doubts, strict=True)]
        return [*of_tasks, *averages(of_tasks, _suites(), claims)]

    found = made(1)
    claims = sum(len(line.claims) for line in found)  # known only now; the detectable differences depend on it
    return adjusted(found if claims == 1 else made(claims))


def _origins(
    arms: Sequence[Arm],
    matched: Sequence[Matched],
    lines: Sequence[Line],
    format_only: Model | None,
    notes: list[str],
) -> dict[tuple[str, str], dict[str, Any]]:
    """(task, letter) -> where the difference comes from, with the gains of the whole comparison."""
    table = Table(arms=arms, format_only=format_only, notes=notes)
    for task, line in zip(matched, lines, strict=False):  # averages follow
        table.add(task, line)
    gains = table.adjusted()
    return {
        (task.name, arm.letter): {
            **origin(task, arms[0], arm, notes),
            "gains": {name: gain.as_dict() for name, gain in gains.get((task.name, arm.letter), {}).items()},
        }
        for task in matched
        for arm in arms[1:]
    }


def told(
    arms: Sequence[Arm],
    matched: Sequence[Matched],
    lines: Sequence[Line],
    origins: Mapping[tuple[str, str], Mapping[str, Any]],
    notes: Sequence[str],
    format_only: Model | None,
) -> dict[str, Any]:
    """The one object of `--json`."""
    by_name = {task.name: task for task in matched}
    tasks, means = dict[str, Any](), dict[str, Any]()
    for line in lines:
        claims = {letter: claim.as_dict() for letter, claim in line.claims.items()}
        if line.tasks:
            means[line.name] = {**line.as_dict(), "comparisons": claims}
            continue
        whole = {letter: {**claim, **origins[line.name, letter]} for letter, claim in claims.items()}
        task = by_name[line.name]
        own = {"different": list(task.different), "chosen_by": task.dev}
        tasks[line.name] = {**line.as_dict(), **own, "comparisons": whole}
    return {
        "schema": SCHEMA,
        "baseline": arms[0].letter,
        "arms": {
            arm.letter: [{"path": str(m.store.path), "checkpoint": m.checkpoint, "label": m.label} for m in arm.models]
            for arm in arms
        },
        "format_only": format_only.name if format_only else None,
        "claims": sum(len(line.claims) for line in lines),
        "tasks": tasks,
        "averages": means,
        "notes": list(notes),
    }


def text(
    arms: Sequence[Arm],
    matched: Sequence[Matched],
    lines: Sequence[Line],
    origins: Mapping[tuple[str, str], Mapping[str, Any]],
    notes: Sequence[str],
) -> list[str]:
    """The same for people."""
    by_name = {line.name: line for line in lines}
    runs = max(len(arm.models) for arm in arms)
    out = [*compare_text.named(arms), "", *compare_text.table(lines, arms), "", *compare_text.sizes(lines)]
    out += [*compare_text.reading(sum(len(line.claims) for line in lines), runs), *compare_text.said(lines, arms)]
    for task in matched:
        for arm in arms[1:]:
            claim = by_name[task.name].claims[arm.letter]
            out += ["", *compare_text.origin(task, arms[0], arm, claim, origins[task.name, arm.letter])]
        if task.different:
            out += ["", *compare_text.different(task)]
    out += [*([""] if notes else []), *(f"note: {note}" for note in notes)]
    return [printable(line) for line in out]  # names come from the disk
