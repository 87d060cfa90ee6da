"""A Hub of folders and rows: what `fetch` asks of huggingface_hub and datasets, without a socket."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from oneshot.cli.main import main

PROBLEMS = [{"problem": "1+1?", "answer": "2", "unique_id": "a/1", "level": 2, "subject": "é"}]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Models:
    """Repositories by name, each a local folder; fills a cache as huggingface_hub lays it out."""

    def __init__(self, cache: Path, **repositories: Path) -> None:
        self.cache, self.repositories = cache, {name.replace("__", "/"): path for name, path in repositories.items()}
        self.fails: Exception | None = None
        self.asked: list[dict[str, Any]] = []

    def snapshot_download(
        self, name: str, *, allow_patterns: Sequence[str], revision: str | None = None, dry_run: bool = False
    ) -> Any:
        self.asked.append({"name": name, "revision": revision, "dry_run": dry_run, "patterns": list(allow_patterns)})
        if self.fails:
            raise self.fails
        if name not in self.repositories:
            raise huggingface_hub.errors.RepositoryNotFoundError(f"404 for {name}\nmore", response=_RESPONSE)
        source, home = self.repositories[name], self.cache / f"models--{name.replace('/', '--')}"
        snapshot = home / "snapshots" / COMMIT
        names = [path.relative_to(source).as_posix() for path in sorted(source.rglob("*")) if path.is_file()]
        names = [each for each in names if any(fnmatch(each, pattern) for pattern in allow_patterns)]
        if dry_run:
            return [
                SimpleNamespace(
                    filename=each,
                    file_size=(source / each).stat().st_size,
                    is_cached=(snapshot / each).exists(),
                    commit_hash=COMMIT,
                )
                for each in names
            ]
        for each in names:
            (snapshot / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / each, snapshot / each)
        if revision != COMMIT:
            (home / "refs").mkdir(exist_ok=True)
            (home / "refs" / (revision or "main")).write_text(COMMIT)
        return str(snapshot)


_RESPONSE: Any = SimpleNamespace(headers={}, request=None, status_code=404, text="")


def models(monkeypatch: pytest.MonkeyPatch, cache: Path, **repositories: Path) -> Models:
    """Put one in place of huggingface_hub's download, with a cache of its own."""
    made = Models(cache, **repositories)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made.snapshot_download)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return made


class Rows:
    """Data sets by name; what was read once is in the cache, and the cache is all there is when `online` is off."""

    def __init__(self, cache: Path, **sets: Any) -> None:
        self.cache, self.sets = cache, dict(sets)
        self.online, self.asked = True, list[str]()

    def load_dataset(self, name: str, /, **options: Any) -> list[dict[str, Any]]:
        self.asked.append(name)
        arrow = self.cache / name.replace("/", "___") / "1" / "rows.arrow"
        if not self.online and not arrow.is_file():
            raise ConnectionError(f"Couldn't reach {name}")
        rows = self.sets.get(name, ValueError(f"there is no {name}"))
        if isinstance(rows, Exception):
            raise rows
        arrow.parent.mkdir(parents=True, exist_ok=True)
        arrow.write_text("x" * 100)
        found: list[dict[str, Any]] = rows
        return found


def rows(monkeypatch: pytest.MonkeyPatch, cache: Path, **sets: Any) -> Rows:
    """Put one in place of the library `datasets`."""
    made, module = Rows(cache, **sets), ModuleType("datasets")
    vars(module).update(load_dataset=made.load_dataset, config=SimpleNamespace(HF_DATASETS_CACHE=cache))
    monkeypatch.setitem(sys.modules, "datasets", module)
    return made


def alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything inside one folder, and no sockets."""
    monkeypatch.setenv("ONESHOT_HOME", str(folder / "home"))
    monkeypatch.delenv("ONESHOT_DATA", raising=False)
    monkeypatch.chdir(folder)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refused)


def fetched(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> list[dict[str, Any]]:
    """What `oneshot fetch WORDS --json` says of each thing."""
    assert main(["fetch", *words, "--json"]) == status
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "oneshot.fetch/1"
    found: list[dict[str, Any]] = told["fetched"]
    return found
