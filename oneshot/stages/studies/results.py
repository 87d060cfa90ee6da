"""What the table of a study holds, and its JSON form. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneshot.measure.differences import LEAST_SEEDS
from oneshot.measure.gains import Paired
from oneshot.measure.statistics import Interval
from oneshot.stages.comparing.numbers import Claim
from oneshot.stages.studies.after import After
from oneshot.stages.studies.dose import DESCRIBED, NOT_OVER_SEEDS, AtDrift, interim

SCHEMA = "oneshot.study-table/1"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One claim of a table: an arm against another one."""

    arm: str
    against: str
    claim: Claim
    seeds: tuple[int, ...]
    announced: int = 0
    """Seeds of the study."""
    primary: bool = True
    """It is one of the pairs that are claimed."""

    @property
    def says(self) -> str:
        """What is claimed; without `LEAST_SEEDS` seeds, or before all that were announced, nothing is."""
        if not self.primary:
            return DESCRIBED
        if len(self.claim.effects) < LEAST_SEEDS or self.claim.seeds is None:
            return f"{NOT_OVER_SEEDS}{f' ({self.claim.doubt})' if self.claim.doubt else ''}"
        return interim(len(self.seeds), self.announced) or self.claim.says

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        told = {"arm": self.arm, "against": self.against, "paired_seeds": list(self.seeds), **self.claim.as_dict()}
        return told | {"claim": self.says, "effects": list(self.claim.effects)}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One arm on one task."""

    base: Interval
    last: Interval
    to_base: Paired
    """Against the untrained model, these runs pooled over problems."""


@dataclass(frozen=True, kw_only=True)
class TaskTable:
    """Every arm on one task after as many steps."""

    task: str
    n: int
    step: int
    rows: Mapping[str, Row]
    claims: Sequence[Compared]
    drift: AtDrift | None = None
    """The same at equal drift; None where that cannot be told."""
    dev: bool = False
    """It is the set that was read during training; nothing was chosen by it."""


@dataclass(frozen=True, kw_only=True)
class StudyTable:
    """What a study shows so far."""

    name: str
    claim: str
    baseline: str
    contrasts: Sequence[tuple[str, str]]
    primary: Sequence[tuple[str, str]]
    seeds: Sequence[int]
    arms: Mapping[str, Mapping[str, Any]]
    """Arm -> `label`, `paper`, `seeds` (done), `training` {first, last}, `drift` (final, mean over seeds)."""
    tasks: Sequence[TaskTable]
    sha256: Mapping[str, Sequence[str]]
    """Digest of a preregistration -> the runs that carry it."""
    after: Mapping[str, After] = field(default_factory=dict)
    """Arms that saturated, and whether they went on gaining."""
    unfinished: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """State -> `arm, seed N` of the cells that are not done."""
    notes: Sequence[str] = ()


def told(table: StudyTable) -> dict[str, Any]:
    """The one object of `--json`."""
    return {
        "schema": SCHEMA,
        "study": table.name,
        "claim": table.claim,
        "baseline": table.baseline,
        "contrasts": [list(pair) for pair in table.contrasts],
        "primary": [list(pair) for pair in table.primary],
        "seeds": list(table.seeds),
        "arms": dict(table.arms),
        "tasks": {each.task: _task_told(each) for each in table.tasks},
        "after_saturation": {arm: found.as_dict() for arm, found in table.after.items()},
        "preregistered": {digest: list(runs) for digest, runs in table.sha256.items()},
        "unfinished": {state: list(cells) for state, cells in table.unfinished.items()},
        "notes": list(table.notes),
    }


def _task_told(table: TaskTable) -> dict[str, Any]:
    return {
        "n": table.n,
        "step": table.step,
        "dev": table.dev,
        "arms": {
            arm: {"base": _value(row.base), "last": _value(row.last), "to_base": row.to_base.as_dict()}
            for arm, row in table.rows.items()
        },
        "claims": [each.as_dict() for each in table.claims],
        "equal_drift": table.drift.as_dict() if table.drift else None,
    }


def _value(found: Interval) -> dict[str, Any]:
    return {"value": found.estimate, "ci_low": found.low, "ci_high": found.high, "method": found.method}
