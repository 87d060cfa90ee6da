"""The folder of a model that has no run: whose evaluations it holds, and the evaluations. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot._store.evaluations import Evaluations
from oneshot.errors import UsageError


class EvalFolder(Evaluations):
    """Evaluations of a model that has no run: `<folder>/model.json` and `evals/`."""

    def __init__(self, path: Path) -> None:
        """Wrap an existing folder; reads and writes nothing. `open` and `find` check."""
        self.path = path

    @classmethod
    def open(cls, path: Path, model: Mapping[str, Any]) -> EvalFolder:
        """The folder of this model, made when there is none.

        Args:
            path: where.
            model: what makes it this model, e.g. name, revision, weights' fingerprint and dtype.

        Raises:
            UsageError: E104 it is another model's or no such folder; E106 `model.json` is damaged.
            MachineError: E202 the disk is full.
        """
        file, asked = path / "model.json", files.plain(model)
        tries = (f"ls {path}", "--out ANOTHER-FOLDER")
        if file.is_file():
            there = files.read_json(file)
            differ = [name for name in dict.fromkeys((*there, *asked)) if there.get(name) != asked.get(name)]
            if differ:
                what = ", ".join(f"{name} is {there.get(name)!r} and not {asked.get(name)!r}" for name in differ)
                raise UsageError(f"{path} holds evaluations of another model: its {what}.", code="E104", tries=tries)
            return cls(path)
        if path.exists() and not (path.is_dir() and next(path.iterdir(), None) is None):
            rule = "it has no model.json, and it is not empty" if path.is_dir() else "it is a file"
            raise UsageError(f"{path} is not a folder of evaluations: {rule}.", code="E104", tries=tries)
        try:
            files.write_bytes(file, files.dumps(asked, indent=2).encode() + b"\n")
        except (NotADirectoryError, PermissionError) as error:
            message = f"no folder of evaluations can be made at {path}: {error.strerror}."
            raise UsageError(message, code="E104", tries=(f"ls -ld {path.parent}",)) from error
        return cls(path)

    @classmethod
    def find(cls, path: Path) -> EvalFolder | None:
        """The folder of evaluations at `path`, whosever they are; None where there is none."""
        return cls(path) if (path / "model.json").is_file() and (path / "evals").is_dir() else None

    def model(self) -> dict[str, Any]:
        """What `open` was told of the model."""
        return files.read_json(self.path / "model.json")
