"""The folder of a study: its preregistration, the state of each cell, and the run folders inside it. Loads no torch.

runs/study-entropy/
  preregistration.json   written once, before the first cell; its sha256 stands in every run
  study.json             every cell and its run folder; replaced atomically
  study.md               the table
  examples-1.jsonl  problems.jsonl     where the study file has them
  1121-1405-full-s0-7f3a/ ...          one ordinary run folder a cell
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.config.load import from_dict, to_dict
from oneshot.config.schema import Config
from oneshot.config.sources import flatten
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.stages.studies.arms import Plan, contents, resolved

SCHEMA = "oneshot.study/1"
PREREGISTERED = "preregistered"
"""The event of every run of a study."""
RULES = (
    "Claims are the primary pairs, or where none are named each arm minus the baseline and the contrasts, at equal "
    "steps, on every test task, or on the dev set where there is none; other pairs are described. The "
    "interval is that of new seeds (t of the paired differences, S - 1 degrees of freedom, never narrower than that "
    "of these runs), and Holm's adjusted p over all of them must be at most .05."
)
WAITING, RUNNING, DONE, STOPPED, FAILED = "waiting", "running", "done", "stopped", "failed"
DECIDED = ("save.runs", "model.threads", "evals.data_dir")
"""Settings that this machine decides."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One arm with one seed."""

    arm: str
    seed: int
    run: str = ""
    """The run folder's name; empty before it was begun."""
    state: str = WAITING
    seconds: float = 0.0
    """Of all its attempts."""
    said: str = ""
    """What ended it, where that was not its end."""

    @property
    def key(self) -> tuple[str, int]:
        """(arm, seed)."""
        return self.arm, self.seed


class StudyFolder:
    """What is known of a study on disk."""

    def __init__(self, plan: Plan) -> None:
        """Nothing is read or written."""
        self.plan = plan
        self.path = plan.folder

    def cells(self) -> list[Cell]:
        """Every cell of the plan, in its order, as study.json has it; one whose run folder is gone begins anew."""
        told = {(row["arm"], row["seed"]): Cell(**row) for row in self.read().get("cells", ())}
        there = {key: cell for key, cell in told.items() if not cell.run or self.run_of(cell) is not None}
        return [there.get((arm, seed), Cell(arm=arm, seed=seed)) for arm, seed in self.plan.cells]

    def read(self) -> dict[str, Any]:
        """study.json; empty before there is one."""
        return files.read_json(self.path / "study.json")

    def update(self, arm: str, seed: int, **changes: Any) -> Cell:
        """Change what is known of one cell, atomically."""
        cells = {cell.key: cell for cell in self.cells()}
        cells[arm, seed] = replace(cells[arm, seed], **changes)
        self._write(cells.values())
        return cells[arm, seed]

    def _write(self, cells: Any) -> None:
        study = self.plan.study
        body = {
            "schema": SCHEMA,
            "name": self.plan.name,
            "file": study.file,
            "claim": study.claim,
            "baseline": study.baseline,
            "contrasts": study.contrasts,
            "primary": study.primary,
            "seeds": study.seeds,
            "sha256": self.sha256(),
            "arms": {arm.name: {"paper": arm.paper, **resolved(self.plan.arms[arm.name])} for arm in study.arms},
            "cells": [asdict(cell) for cell in cells],
        }
        files.write_bytes(self.path / "study.json", files.dumps(body, indent=2).encode() + b"\n")

    def run_of(self, cell: Cell) -> RunFolder | None:
        """The run folder of a cell; None before it was begun."""
        path = self.path / cell.run
        return RunFolder(path) if cell.run and (path / "config.json").is_file() else None

    def runs(self) -> Iterator[tuple[Cell, RunFolder]]:
        """Cells that were begun, with their run folders."""
        for cell in self.cells():
            if (run := self.run_of(cell)) is not None:
                yield cell, run

    # The preregistration

    @property
    def registered(self) -> Path:
        """The file."""
        return self.path / "preregistration.json"

    def sha256(self) -> str:
        """Of the preregistration; empty before it is written."""
        return hashlib.sha256(self.registered.read_bytes()).hexdigest() if self.registered.is_file() else ""

    def register(self, tasks: Mapping[str, int]) -> str:
        """Write the preregistration and the study's own files, or check that they are the same; returns the sha256.

        `tasks`: problems of every task that is read.

        Raises:
            UsageError: E107 the study was begun with another claim, contrast, seed, problem or setting.
            MachineError: E202.
        """
        now = preregistration(self.plan, tasks)
        if self.registered.is_file():
            told = list(_differences(files.read_json(self.registered), json.loads(files.dumps(now))))
            if told:
                raise self._changed(told)
        else:
            files.write_bytes(self.registered, _canonical(now))
        for name, data in contents(self.plan).items():
            if not (self.path / name).is_file():
                files.write_bytes(self.path / name, data)
        return self.sha256()

    def check_registered(self) -> None:
        """Refuse a folder without a preregistration, or with another one than the plan's. `UsageError` E104, E107."""
        if not self.registered.is_file():
            again = f"oneshot study {self.plan.study.file}"
            raise UsageError(
                f"{self.path} has no preregistration; a study writes it first.", code="E104", tries=(again,)
            )
        before = files.read_json(self.registered)
        now = preregistration(self.plan, before.get("problems", {}))
        if told := list(_differences(before, json.loads(files.dumps(now)))):
            raise self._changed(told)

    def _changed(self, told: Sequence[tuple[str, Any, Any]]) -> UsageError:
        shown = "; ".join(f"{key} was {_short(was)} and is {_short(now)}" for key, was, now in told[:4])
        more = f"; and {len(told) - 4} more" if len(told) > 4 else ""
        return UsageError(
            f"{self.path} was preregistered otherwise: {shown}{more}. A study keeps what it announced.",
            code="E107",
            tries=(f"oneshot study {self.plan.study.file} --name {self.plan.name}-2", "the study file as it was"),
            kept="Nothing was changed.",
        )

    def check_cell(self, cell: Cell, run: RunFolder) -> None:
        """Refuse a run folder that was made with other settings than the cell's. `UsageError` E107 names them."""
        stored = from_dict(run.config(), where=str(run.path / "config.json"))
        told = list(config_differences(self.plan.config(cell.arm, cell.seed), stored))
        if told:
            shown = "; ".join(f"{key} is {_short(was)}, and was {_short(now)} there" for key, was, now in told[:4])
            raise UsageError(
                f"seed {cell.seed}, arm {cell.arm}: {run.path} was made with other settings: {shown}.",
                code="E107",
                tries=(f"mv {run.path} ELSEWHERE   (the cell is then run again)",),
                kept="Nothing was changed.",
            )


def preregistration(plan: Plan, tasks: Mapping[str, int]) -> dict[str, Any]:
    """What is announced before the first step."""
    study = plan.study
    own = {name: hashlib.sha256(data).hexdigest() for name, data in contents(plan).items()}
    return {
        "schema": "oneshot.preregistration/1",
        "study": plan.name,
        "claim": study.claim,
        "baseline": study.baseline,
        "contrasts": [list(pair) for pair in study.contrasts],
        "primary": [list(pair) for pair in study.primary],
        "seeds": list(study.seeds),
        "problems": dict(tasks),
        "rules": RULES,
        "files": own,
        "arms": {name: resolved(config) for name, config in plan.arms.items()},
    }


def _canonical(told: Mapping[str, Any]) -> bytes:
    """Sorted keys, one form of every number: the text whose digest stands in the runs."""
    return json.dumps(told, sort_keys=True, indent=1, ensure_ascii=True).encode() + b"\n"


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(key, before, now) of what differs; a setting that is new since then and has its default is no difference."""
    defaults = {".".join(path): value for path, value in flatten(to_dict(Config()))}
    old, new = (dict(flatten(told)) for told in (before, now))
    for path in sorted({*old, *new}):
        setting = ".".join(path[2:]) if path[0] == "arms" else ""  # arms.NAME.optim.lr
        if path not in old and setting in defaults and new[path] == defaults[setting]:
            continue
        if old.get(path) != new.get(path):
            yield ".".join(path), old.get(path), new.get(path)


def config_differences(expected: Config, found: Config) -> Iterator[tuple[str, Any, Any]]:
    """(key, expected, found) of two configurations; what a machine decides for `auto` and 0 is no difference."""
    one, two = ({".".join(path): value for path, value in flatten(to_dict(config))} for config in (expected, found))
    for key in dict.fromkeys((*one, *two)):
        asked, has = one.get(key), two.get(key)
        auto = asked == "auto" or (asked == 0 and key.endswith(".batch"))
        moved = key.endswith(".source") and own_file(asked, expected) == own_file(has, found)
        if asked != has and key not in DECIDED and not auto and not moved:
            yield key, asked, has


def own_file(source: Any, config: Config) -> str:
    """The name of a file of the study's own folder, wherever that lies; of another file its path."""
    path = Path(str(source))
    return path.name if path.parent == Path(config.save.runs) else str(path)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
