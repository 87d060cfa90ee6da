"""`oneshot eval --export`: recorded evaluations in the files of other tools.

Every exporter is a function of what is recorded and of a date: equal input gives equal files (the `.eval` archive
apart, whose entries carry the time they were written). `docs/exports.md` says what each file holds, and what is not
the same as where its format comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from oneshot._store import files
from oneshot.data.tasks.task import Task
from oneshot.errors import UsageError
from oneshot.export import hub_results, inspect_log, lm_eval
from oneshot.export.recorded import Recorded, Say
from oneshot.record import Evaluations
from oneshot.registry import nearest

Exporter = Callable[[Sequence[Recorded], datetime, Say], dict[str, bytes]]
"""(evaluations, date, what is told) -> path below the output folder -> content."""

EXPORTERS: Mapping[str, Exporter] = {
    "inspect": inspect_log.export,
    "lm-eval": lm_eval.export,
    "hub": hub_results.export,
}


def check(kinds: Sequence[str]) -> None:
    """Fail before anything is measured.

    Raises:
        UsageError: E102 a name that is no exporter. MachineError: E204 the package of one is missing.
    """
    for kind in kinds:
        if kind not in EXPORTERS:
            hint = nearest(kind, list(EXPORTERS))
            raise UsageError(f"unknown export {kind!r}.{hint} Known: {', '.join(EXPORTERS)}.", code="E102")
    if "inspect" in kinds:
        inspect_log.package()


def export(
    kinds: Sequence[str],
    folder: Evaluations,
    tasks: Mapping[str, Task],
    out: Path,
    *,
    date: datetime,
    checkpoints: Collection[str] = (),
    say: Say = lambda text: None,
) -> list[Path]:
    """Write recorded evaluations as other tools keep theirs; all files or none.

    Args:
        kinds: some of `EXPORTERS`; the same one twice counts once.
        folder: a run's or a bare model's evaluations.
        tasks: name of a task's folder in evals/ -> the task.
        out: a folder; it is made, and nothing in it is replaced.
        date: what the files are dated; with a time zone.
        checkpoints: only these; none means all that are recorded.
        say: told in a sentence what is left out and why.

    Returns:
        The files, in the order of `kinds`.

    Raises:
        UsageError: E102 a name that is no exporter, E104 a file is there already, E106 nothing of this is recorded, or
            it is damaged.
        MachineError: E202 the disk is full; nothing was written. E204 a package is missing.
    """
    assert date.tzinfo is not None, "a date without a time zone is another one elsewhere"
    check(kinds)
    names = [(task, at) for task, at in folder.evals() if task in tasks and (not checkpoints or at in checkpoints)]
    if not names:
        asked = ", ".join(tasks) or "no task"
        raise UsageError(f"{folder.path} has no finished evaluation of {asked}.", code="E106")
    evaluations = []
    for name, checkpoint in names:
        results, rows = folder.read_eval(name, checkpoint)
        evaluations.append(
            Recorded(name=name, checkpoint=checkpoint, results=results, rows=tuple(rows), task=tasks[name])
        )
    contents: dict[Path, bytes] = {}
    for kind in dict.fromkeys(kinds):
        contents |= {out / path: data for path, data in EXPORTERS[kind](evaluations, date, say).items()}
    _refuse(out, [path for path in contents if path.exists()])
    files.write_together(contents)
    return list(contents)


def _refuse(out: Path, there: Sequence[Path]) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; exports go to a folder.", code="E104", tries=(f"ls -l {out}",))
    if there:
        more = f" and {len(there) - 1} more of these files" if len(there) > 1 else ""
        raise UsageError(
            f"{there[0]}{more} exist already; nothing is overwritten." if more else f"{there[0]} exists already.",
            code="E104",
            tries=(f"mv {out} {out}.old",),
            kept="No file was written.",
        )
