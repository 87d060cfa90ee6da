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
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from oneshot._store import files
from oneshot._store.values import is_number
from oneshot.config.load import from_dict
from oneshot.config.schema import SaveConfig
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.stages.studies.arms import Plan, contents, resolved
from oneshot.stages.studies.registration import canonical, config_differences, differences, preregistration, short

SCHEMA = "oneshot.study/1"
PREREGISTERED = "preregistered"
"""The event of every run of a study."""
WAITING, RUNNING, DONE, STOPPED, FAILED = "waiting", "running", "done", "stopped", "failed"


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
        there = {cell.key: cell for cell in self._told() if not cell.run or self.run_of(cell) is not None}
        return [there.get((arm, seed), Cell(arm=arm, seed=seed)) for arm, seed in self.plan.cells]

    def _told(self) -> list[Cell]:
        """The cells of study.json. What a later version says of them is passed over; `UsageError` E106 if damaged."""
        try:
            return _cells(self.read().get("cells", []))
        except TypeError as error:
            raise UsageError(
                f"{self.path / 'study.json'} is damaged: {error}.",
                code="E106",
                tries=(self.line(name=f"{self.plan.name}-2"),),
                kept="Nothing was changed.",
            ) from error

    def line(self, *words: str, name: str = "") -> str:
        """The command of this study, to be pasted; `name`: of another folder."""
        study, runs = self.plan.study, str(self.path.parent)
        name = name or self.plan.name
        out = () if runs == str(Path(SaveConfig().runs)) else ("--out", runs)
        named = () if name == study.name else ("--name", name)
        return shlex.join(("oneshot", "study", study.asked or study.file, *words, *out, *named))

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
            "asked": study.asked,
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
            told = list(differences(files.read_json(self.registered), json.loads(files.dumps(now))))
            if told:
                raise self._changed(told)
        else:
            files.write_bytes(self.registered, canonical(now))
        for name, data in contents(self.plan).items():
            if not (self.path / name).is_file():
                files.write_bytes(self.path / name, data)
            elif (self.path / name).read_bytes() != data:
                raise self._changed([(name, "written by the study", "another file")])
        return self.sha256()

    def check_registered(self) -> None:
        """Refuse a folder without a preregistration, or with another one than the plan's. `UsageError` E104, E107."""
        if not self.registered.is_file():
            raise UsageError(
                f"{self.path} has no preregistration; a study writes it first.", code="E104", tries=(self.line(),)
            )
        before = files.read_json(self.registered)
        now = preregistration(self.plan, before.get("problems", {}))
        if told := list(differences(before, json.loads(files.dumps(now)))):
            raise self._changed(told)

    def _changed(self, told: Sequence[tuple[str, Any, Any]]) -> UsageError:
        shown = "; ".join(f"{key} was {short(was)} and is {short(now)}" for key, was, now in told[:4])
        more = f"; and {len(told) - 4} more" if len(told) > 4 else ""
        return UsageError(
            f"{self.path} was preregistered otherwise: {shown}{more}. A study keeps what it announced.",
            code="E107",
            tries=(self.line(name=f"{self.plan.name}-2"), "the study file as it was"),
            kept="Nothing was changed.",
        )

    def check_cell(self, cell: Cell, run: RunFolder) -> None:
        """Refuse a run folder that was made with other settings than the cell's. `UsageError` E107 names them."""
        stored = from_dict(run.config(), where=str(run.path / "config.json"))
        told = list(config_differences(self.plan.config(cell.arm, cell.seed), stored))
        if told:
            shown = "; ".join(f"{key} is {short(was)}, and was {short(now)} there" for key, was, now in told[:4])
            raise UsageError(
                f"seed {cell.seed}, arm {cell.arm}: {run.path} was made with other settings: {shown}.",
                code="E107",
                tries=(f"mv {run.path} ELSEWHERE   (the cell is then run again)",),
                kept="Nothing was changed.",
            )


def _cells(rows: Any) -> list[Cell]:
    """The cells of study.json; `TypeError` says what is wrong with them."""
    kinds, found = get_type_hints(Cell), list[Cell]()
    if not isinstance(rows, list):
        raise TypeError(f"cells = {short(rows)} is no list")
    for row in rows:
        known = {key: value for key, value in row.items() if key in kinds} if isinstance(row, dict) else {}
        if not {"arm", "seed"} <= set(known):
            raise TypeError(f"a cell in it is none: {short(row)}")
        for key, value in known.items():
            if not (is_number(value) if kinds[key] is float else type(value) is kinds[key]):
                raise TypeError(f"a cell in it is none: {key} = {short(value)}")
        found.append(Cell(**known))
    return found
