"""What a folder is that was named as a run and is none: a study, whose run folders are told, or something else."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from oneshot._store import files, names
from oneshot.errors import UsageError

STUDY = ("study.json", "preregistration.json")
"""Each of them makes a folder a study's."""
SHOWN = 6
"""Run folders of a study that an error names."""


def refuse_other(ref: str, root: Path) -> None:
    """Refuse what is there under a name and no run; nothing happens where there is nothing.

    Raises:
        UsageError: E104.
    """
    for path in (Path(ref), root / ref):
        if any((path / name).is_file() for name in STUDY):
            raise _study(path)
    if Path(ref).exists():
        lacks = next(name for name in ("status.json", "config.json") if not (Path(ref) / name).is_file())
        raise UsageError(f"{ref} is not a run folder: it has no {lacks}.", code="E104", tries=(_ls(root),))


def _study(path: Path) -> UsageError:
    """Finished cells first, for they are what is mostly meant."""
    told = _told(path)
    cells = told.get("cells")
    rows = [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else []
    found = [(str(cell.get("run") or ""), cell) for cell in rows]
    runs = [(path / name, cell) for name, cell in found if name and names.is_run(path / name)]
    runs.sort(key=lambda run: run[1].get("state") != "done")
    shown = [f"{run} ({cell.get('arm')}, seed {cell.get('seed')}, {cell.get('state')})" for run, cell in runs[:SHOWN]]
    more = [f"{len(runs) - SHOWN} more"] if len(runs) > SHOWN else []
    which = f"Name one of its run folders: {'; '.join([*shown, *more])}." if runs else "No run of it was begun yet."
    first = (shlex.join(("oneshot", "report", str(runs[0][0]))),) if runs else ()
    return UsageError(
        f"{path} is a study and not one run. {which}",
        code="E104",
        tries=(*first, _ls(path), f"{_table(path, str(told.get('asked') or 'FILE.toml'))}   (the table of the study)"),
    )


def _table(path: Path, file: str) -> str:
    """The command that shows a study's table. Its folder may have been named by `.`, by `..` or by a link."""
    folder, here = path.resolve(), Path.cwd()
    name = folder.name.removeprefix("study-")
    out = folder.parent.relative_to(here) if folder.parent.is_relative_to(here) else folder.parent
    return shlex.join(("oneshot", "study", file, "--table", "--out", str(out), "--name", name))


def _ls(root: Path) -> str:
    return shlex.join(("oneshot", "ls", "--runs", str(root)))


def _told(path: Path) -> dict[str, Any]:
    """study.json; empty where it cannot be read, since what is refused is something else."""
    try:
        return files.read_json(path / "study.json")
    except UsageError:
        return {}
