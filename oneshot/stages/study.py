"""`oneshot study FILE`: arms and seeds, each cell an ordinary run, and one table against a baseline."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot._store.alone import alone
from oneshot.config.environment import go_offline
from oneshot.config.origins import DEFAULT, show
from oneshot.config.request import Request
from oneshot.config.sources import find_study
from oneshot.errors import OneshotError, Stopped, UsageError
from oneshot.stages.display import Lines
from oneshot.stages.studies import cells as study_cells
from oneshot.stages.studies import forecast
from oneshot.stages.studies import text as study_text
from oneshot.stages.studies.arms import PROBLEMS, Plan, check_different, contents, passed_over, plan_of
from oneshot.stages.studies.file import read_study
from oneshot.stages.studies.folder import DONE, Cell, StudyFolder
from oneshot.stages.studies.results import told
from oneshot.stages.studies.table import table_of

OURS = ("save.runs", "save.name")
"""Settings of the command line; all others are the study file's."""


def main(request: Request) -> int:
    """Run what is left of a study and show its table; on stdout the table, or with `--json` one object.

    Returns:
        0, or the status of the first cell that failed.

    Raises:
        UsageError: E101 to E106 the study file or one of its settings; E105 two arms that are the same training; E107
            the study was preregistered otherwise, or a finished cell was made with other settings.
        Stopped: 130 or 75; the running cell is saved, and the same command goes on.
    """
    _refuse_settings(request)
    study = read_study(find_study(request.positional[0]), request.positional[0])
    name = request.config.save.name if request.given("save.name") else ""
    plan = plan_of(study, Path(request.config.save.runs), name)
    folder, flags = StudyFolder(plan), request.verb_flags
    if "cell" in flags:
        folder.check_registered()
        return study_cells.run_here(folder, study_cells.cell_of(folder, str(flags["cell"])), request, alone=True)
    check_different(plan)
    wanted, say = _wanted(folder, flags), Lines(quiet=request.quiet or request.json).note
    for note in passed_over(study):
        say(note)
    if request.dry_run:
        return _dry_run(request, folder, wanted)
    failed: list[tuple[Cell, int]] = []
    if "table" not in flags:
        _check_names(plan)
        with alone(folder.path, "is being run", say):
            failed = _run(request, folder, wanted, say)
    elif folder.registered.is_file():
        folder.check_registered()
    _show(request, folder, failed)
    return next((code if code > 0 else OneshotError.exit_code for _, code in failed), 0)


def _run(
    request: Request, folder: StudyFolder, wanted: list[Cell], say: Callable[[str], None]
) -> list[tuple[Cell, int]]:
    """Register, then run what is left; the cells that failed, with their exit status."""
    folder.register(problems(folder.plan, request))
    say(f"study {folder.plan.name}: {folder.plan.study.claim}")
    say(f"preregistered in {folder.registered} (sha256 {folder.sha256()[:16]})")
    try:
        return study_cells.run_cells(folder, wanted, request, say)
    except Stopped as stop:
        again = " ".join(("oneshot", *request.argv))
        raise Stopped(stop.message, exit_code=stop.exit_code, tries=(again,)) from stop


def _show(request: Request, folder: StudyFolder, failed: list[tuple[Cell, int]]) -> None:
    """The table of what is there, written to study.md and printed."""
    table = table_of(folder)
    lines = study_text.markdown(table)
    if folder.registered.is_file():
        files.write_bytes(folder.path / "study.md", ("\n".join(lines) + "\n").encode())
        files.write_bytes(folder.path / "table.json", files.dumps(told(table), indent=2).encode() + b"\n")
    if request.json:
        print(files.dumps(told(table)))
        return
    print("\n".join(study_text.text(table)))
    for cell, _ in failed:
        print(f"failed: seed {cell.seed}, {cell.arm}: {cell.said}", file=sys.stderr)


def _refuse_settings(request: Request) -> None:
    """A study takes its settings from its file alone, so that the file says what was done."""
    for key, origin in request.origins.items():
        if origin != DEFAULT and key not in OURS:
            raise UsageError(
                f"{key} is set by {origin}, but the settings of a study stand in its file alone.",
                code="E105",
                tries=(f"[base] {key} = ...   (in a copy of the study file)",),
            )


def _wanted(folder: StudyFolder, flags: Mapping[str, Any]) -> list[Cell]:
    """The cells of `--seeds` and `--only`, which take from the study's and add nothing.

    Raises:
        UsageError: E102 an arm, E103 a seed that is none of the study.
    """
    arms = [arm.name for arm in folder.plan.study.arms]
    seeds = [str(seed) for seed in folder.plan.study.seeds]
    only = _words(flags, "only") or arms
    some = _words(flags, "seeds") or seeds
    for name in only:
        if name not in arms:
            raise UsageError(f"--only {name}: the study has no such arm; it has {', '.join(arms)}.", code="E102")
    for seed in some:
        if seed not in seeds:
            raise UsageError(
                f"--seeds {seed}: the study announces the seeds {', '.join(seeds)}; no other runs under its name.",
                code="E103",
                tries=("seeds = [...] in a copy of the study file, with --name ANOTHER",),
            )
    return [cell for cell in folder.cells() if cell.arm in only and str(cell.seed) in some]


def _words(flags: Mapping[str, Any], name: str) -> list[str]:
    return [word.strip() for word in str(flags.get(name, "")).split(",") if word.strip()]


def _check_names(plan: Plan) -> None:
    """Look up every name of every arm before the first cell. `UsageError` E101 to E105, with the arm."""
    from oneshot.stages.setup import resolve_names
    from oneshot.stages.training import controls

    for arm, config in plan.arms.items():
        if config.optim.steps < 1:
            raise UsageError(f"arm {arm}: optim.steps = 0: a run trains for at least one step.", code="E103")
        try:
            controls.check(config, resolve_names(config).verify)
        except UsageError as error:
            raise UsageError(f"arm {arm}: {error.message}", code=error.code, tries=error.tries) from error


def problems(plan: Plan, request: Request) -> dict[str, int]:
    """Task -> how many problems of it every cell reads.

    Raises:
        UsageError, DataError, MachineError: a task that cannot be had.
    """
    return _of_dev(plan, request) | _of_tasks(plan, request)


def _of_dev(plan: Plan, request: Request) -> dict[str, int]:
    from oneshot.stages.evals import best
    from oneshot.stages.setup import held_out

    config = next(iter(plan.arms.values()))
    if plan.study.test_per_kind:
        rows = contents(plan)[PROBLEMS].count(b"\n")
        return {best.dev_task(config): min(rows, config.evals.limit or rows)}
    if not config.evals.source:
        return {}
    kind = plan.study.examples[0].get("kind", "") if plan.study.examples else ""
    return {best.dev_task(config): len(held_out(config, kind, offline=request.offline))}


def _of_tasks(plan: Plan, request: Request) -> dict[str, int]:
    from oneshot.stages.training import tasks

    config = next(iter(plan.arms.values()))
    found = tasks.load(config, offline=request.offline, say=lambda text: None)
    return {asked.name: len(asked.problems) for asked in found}


def _counted(plan: Plan, request: Request) -> tuple[dict[str, int] | None, str]:
    """(`problems`, None where a task is not on this machine; what is told where there are none).

    As in a plan, a test task that is not here is passed over, and a dev set that no file holds is refused.
    """
    from oneshot.stages.training.tasks import ABSENT

    read = dict[str, int]()
    for count, absent in ((_of_dev, set(ABSENT) - {"E106"}), (_of_tasks, set(ABSENT))):
        try:
            read |= count(plan, request)
        except OneshotError as error:
            if error.code not in absent:
                raise
            return None, f"not counted, since a task is not on this machine ({error.code})"
    return read, "nothing"


def _dry_run(request: Request, folder: StudyFolder, wanted: list[Cell]) -> int:
    """Print what would be run; nothing is written, and no socket is opened: a task that is not here is not counted."""
    go_offline()
    plan, study = folder.plan, folder.plan.study
    read, why = _counted(plan, replace(request, offline=True))
    left = [cell for cell in wanted if cell.state != DONE]
    if request.json:
        cells = [{"arm": cell.arm, "seed": cell.seed, "state": cell.state} for cell in wanted]
        body = {
            "study": plan.name,
            "claim": study.claim,
            "folder": str(folder.path),
            "problems": read,
            "cells": cells,
        }
        body["forecast"] = forecast.told(plan, folder.cells(), left)
        print(files.dumps({"schema": "oneshot.study-plan/1", **body}))
        return 0
    print(f"study {plan.name} in {folder.path}\nclaim: {study.claim}")
    for arm in study.arms:
        own = ", ".join(f"{setting.key} = {show(setting.value)}" for setting in arm.settings) or "as the base"
        more = f"; {arm.examples} examples" if arm.examples else ""
        mark = "   (baseline)" if arm.name == study.baseline else ""
        print(f"  {arm.name}: {own}{more}{mark}")
    for one, two in study.contrasts:
        print(f"contrast: {one} against {two}")
    for one, two in study.primary:
        print(f"claimed: {one} against {two}")
    print("reads: " + (", ".join(f"{task} ({n} problems)" for task, n in (read or {}).items()) or why))
    print(f"{len(study.arms)} arms x {len(study.seeds)} seeds; {len(left)} of {len(wanted)} cells are left to run")
    print("\n".join(forecast.lines(plan, folder.cells(), left)))
    print("nothing was loaded, downloaded or written")
    return 0
