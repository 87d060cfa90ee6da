"""The problems of a task: generated, from a file, from a folder of files, or from the Hub; checked against the pin."""

from __future__ import annotations

from pathlib import Path

from oneshot.config.environment import data_dir
from oneshot.data.hub import HUB_LINE, hub_rows
from oneshot.data.rows import RawRow, read_rows
from oneshot.data.tasks.digest import digest_of
from oneshot.data.tasks.files import SUFFIXES
from oneshot.data.tasks.task import Hub, Task, TaskData
from oneshot.errors import DataError, MachineError, UsageError
from oneshot.types import Problem

NEVER_RAN = "Reading tasks from the Hub was written from descriptions and has never run against the Hub."
FOLDERS = (".", "benchmarks")
"""Places in a data folder where a task's file may lie."""
_ROW = '{"id": "1", "problem": "What is 17 + 25?", "answer": "42"}'
_CHOICE_ROW = '{"id": "1", "question": "...", "choices": {"label": ["A", "B"], "text": ["..", ".."]}, "answerKey": "A"}'


def load_task(task: Task, *, folder: str = "", offline: bool = False, limit: int = 0, task_seed: int = 0) -> TaskData:
    """Every problem of a task, or the first `limit`.

    Another number of rows or other content than is known is no error: `notes` says it.

    Args:
        task: as `suites.resolve` gives it.
        folder: with the tasks' files, `FOLDER/math500.jsonl` or in `FOLDER/benchmarks`; empty means what `ONESHOT_DATA`
            names, and without that the Hub.
        offline: open no socket; the Hub's cache is read.
        limit: problems that are kept, the first ones; 0 means all. Digest and row count are those of all.
        task_seed: of a generated task.

    Raises:
        MachineError: E203, E204 a benchmark that cannot be fetched, with how to provide it.
        UsageError: E103 a negative limit, E106 no such file or folder.
        DataError: E301 a row that is no problem, or two with one id.
    """
    if limit < 0:
        raise UsageError(f"--limit {limit} is below 0; 0 means all problems.", code="E103", tries=("--limit 20",))
    problems, origin = _problems(task, folder or data_dir(), offline, task_seed)
    digest = digest_of(problems)
    return TaskData(
        task=task,
        problems=tuple(problems[:limit] if limit else problems),
        digest=digest,
        rows=len(problems),
        origin=origin,
        notes=_notes(task, origin, len(problems), digest),
    )


def how_to_provide(task: Task) -> tuple[str, ...]:
    """Lines that say which file to put where."""
    row = _CHOICE_ROW if task.floor and task.protocol.grader == "choice" else _ROW
    return (
        f"--data-dir DIR   (or export ONESHOT_DATA=DIR, with DIR/{task.file}.jsonl or DIR/{task.file}.parquet)",
        f"{row}   (a row of it)",
    )


def _problems(task: Task, folder: str, offline: bool, task_seed: int) -> tuple[list[Problem], str]:
    """(problems, where they came from)."""
    if task.make is not None:
        return task.make(task_seed), f"generated: {task.title}, task seed {task_seed}"
    path = Path(task.file) if Path(task.file).suffix in SUFFIXES else _in_folder(task, folder)
    if path is not None:
        return task.problems(read_rows(path), str(path)), str(path)
    rows, origin = _from_hub(task, folder, offline)
    try:
        return task.problems(rows, origin), origin
    except DataError as error:
        said = f"{error.message} {NEVER_RAN}"
        raise DataError(said, code=error.code, tries=how_to_provide(task), kept=error.kept) from error


def _in_folder(task: Task, folder: str) -> Path | None:
    """The task's file in the data folder, if there is one."""
    if not folder:
        return None
    base = Path(folder).expanduser()
    if not base.is_dir():
        raise UsageError(f"the data folder {folder} does not exist.", code="E106", tries=how_to_provide(task)[:1])
    places = (base / inner / f"{task.file}{suffix}" for inner in FOLDERS for suffix in SUFFIXES)
    return next((path for path in places if path.is_file()), None)


def _from_hub(task: Task, folder: str, offline: bool) -> tuple[list[RawRow], str]:
    """(rows, id of the data set); `MachineError` with how to provide the file."""
    ways = how_to_provide(task)
    where = f"{folder} has no {task.file}.jsonl or .parquet" if folder else "no data folder was given"
    if task.hub is None:
        said = f"the task {task.name} must be provided as a file, and {where}: no Hub data set of it is known."
        raise MachineError(said, code="E203", tries=ways)
    hub = task.hub
    try:
        rows = hub_rows(hub.name, split=hub.split, config=hub.config, revision=hub.revision, offline=offline)
    except (MachineError, UsageError) as error:
        missing = error.code == "E204"
        raise MachineError(
            f"the task {task.name} cannot be fetched, and {where}: {error.message} {NEVER_RAN}",
            code="E204" if missing else "E203",
            tries=(*ways, HUB_LINE) if missing else ways,
            kept="Nothing was measured.",
        ) from error
    return rows, origin_of(hub)


def origin_of(hub: Hub) -> str:
    """How rows that were read from the Hub are recorded: `owner/name/config:split@revision`."""
    config = f"/{hub.config}" if hub.config else ""
    at = f"@{hub.revision[:12]}" if hub.revision else ""
    return f"{hub.name}{config}:{hub.split}{at}"


def _notes(task: Task, origin: str, rows: int, digest: str) -> tuple[str, ...]:
    """What differs from the pin, one sentence each."""
    if task.count and rows != task.count:
        return (f"{task.name}: {task.count} rows are known, {origin} has {rows}; this is not the whole known task",)
    if task.make is None and task.digest and digest != task.digest:
        said = f"{task.name}: {origin} has the {rows} rows that are known, but other content or another order"
        return (f"{said} (sha256 {digest[:12]}, known {task.digest[:12]})",)
    return ()
