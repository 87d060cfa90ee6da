"""Tasks for `--offline`: the Hub's rows, into the cache of its library or as the task's file into a folder.

The loader of the Hub has never run against the Hub (`data/tasks/loading.py`), and neither has this.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.config.schema import Config
from oneshot.data.hub import hub_rows
from oneshot.data.problems import load_source
from oneshot.data.tasks.digest import digest_of
from oneshot.data.tasks.files import SUFFIXES
from oneshot.data.tasks.loading import how_to_provide, load_task, origin_of
from oneshot.data.tasks.task import Task, TaskData
from oneshot.errors import DataError, MachineError, UsageError
from oneshot.stages.fetching.fetched import FETCHED, NOTHING, THERE, Fetched, bytes_below


def task_for(task: Task, folder: str) -> Fetched:
    """One task.

    Args:
        task: as `suites.resolve` gives it.
        folder: where its file goes; empty means the cache of the Hub's library.

    Raises:
        MachineError: E202, E203, E204 as `load_task`.
        OneshotError: rows that are none of this task's.
    """
    if task.make is not None:
        return Fetched(name=task.name, kind="task", state=NOTHING, notes=("it is generated",), rows=task.count or None)
    if Path(task.file).suffix in SUFFIXES:
        return _told(task, load_task(task), NOTHING)
    if folder:
        return _into(task, Path(folder).expanduser())
    before = _cached(task)
    found = load_task(task)
    if Path(found.origin).is_file():
        return _told(task, found, THERE)
    new = _cached(task) - before
    where = _cache() or "the cache of the library datasets"
    return Fetched(
        name=task.name,
        kind="task",
        state=FETCHED if new or not before else THERE,
        where=where,
        bytes=sum(path.stat().st_size for path in new) or None,
        rows=found.rows,
        notes=(f"from {found.origin}", *found.notes),
    )


def source_for(config: Config) -> Fetched:
    """The training data of a recipe: a file, or a data set of the Hub. Errors as `load_source`."""
    source = config.data.source
    loaded = load_source(source, offline=False)
    local = Path(source).expanduser().exists()
    return Fetched(
        name=source,
        kind="data",
        state=NOTHING if local else FETCHED,
        where=source if local else _cache(),
        rows=len(loaded.problems),
    )


def _into(task: Task, folder: Path) -> Fetched:
    """The task's file in a folder, with the rows as the Hub has them; read again before it is believed."""
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = f"no data folder can be made at {folder}: {error.strerror}."
        raise UsageError(said, code="E106", tries=(f"ls -ld {folder.parent}",)) from error
    try:
        if (found := _present(task, folder)) is not None:
            return _told(task, found, THERE)
        if task.hub is None:
            said = f"no Hub data set of the task {task.name} is known; its file must be provided."
            raise MachineError(said, code="E203", tries=how_to_provide(task))
        hub, ways = task.hub, how_to_provide(task)
        target = folder / f"{task.file}.jsonl"
        rows = hub_rows(hub.name, split=hub.split, config=hub.config, revision=hub.revision, tries=ways)
        digest = digest_of(task.problems(rows, origin_of(hub)))
        files.write_bytes(target, files.json_lines(_plain(row.values) for row in rows))
    finally:
        if made and not any(folder.iterdir()):
            folder.rmdir()
    found = load_task(task, folder=str(folder))
    if found.digest != digest:
        target.unlink()
        said = f"{task.name} reads otherwise from {target} than from {origin_of(hub)}; the file was removed."
        raise DataError(said, code="E301", tries=(f"oneshot fetch {task.name}   (into the cache)",))
    return _told(task, found, FETCHED, f"from {origin_of(hub)}")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON; what JSON has no word for becomes text."""
    return {name: value if _json(value) else str(value) for name, value in values.items()}


def _json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _json(inner) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_json, value))
    return value is None or isinstance(value, (str, int, float, bool))


def _present(task: Task, folder: Path) -> TaskData | None:
    """The task out of the folder's own file; None where there is none."""
    named = (f"{inner}{task.file}{suffix}" for inner in ("", "benchmarks/") for suffix in SUFFIXES)
    return load_task(task, folder=str(folder)) if any((folder / name).is_file() for name in named) else None


def _told(task: Task, found: TaskData, state: str, *notes: str) -> Fetched:
    """What was read from a file."""
    path = Path(found.origin)
    size, said = bytes_below(path), (*notes, *found.notes)
    return Fetched(name=task.name, kind="task", state=state, where=str(path), bytes=size, rows=found.rows, notes=said)


def _cache() -> str:
    """Where the library `datasets` keeps what it prepared; empty without it."""
    try:
        import datasets
    except ImportError:
        return ""
    return str(getattr(getattr(datasets, "config", None), "HF_DATASETS_CACHE", ""))


def _cached(task: Task) -> set[Path]:
    """Files that the library keeps for the owner of this task's data set."""
    root, owner = _cache(), task.hub.name.partition("/")[0] if task.hub else ""
    if not root or not owner or not Path(root).is_dir():
        return set()
    return {path for folder in Path(root).glob(f"{owner}___*") for path in folder.rglob("*.arrow")}
