"""The claims of a run, checked for what holds of any; and runs that were evaluated on one task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oneshot.measure.claims import CLAIMS, Claim, claims
from oneshot.record import RunFolder
from oneshot.types import EvalRow
from tests.unit.measure.recorded import new_run, put, rows

KINDS = ("add", "mul")
BASE = "1" * 10 + "0" * 50


def told(run: RunFolder, control: RunFolder | None = None, task: str = "") -> dict[str, Claim]:
    found = claims(run, control, task=task)
    assert tuple(claim.name for claim in found) == CLAIMS
    assert {claim.badge for claim in found} <= {"supported", "harmed", "inconclusive", "not tested"}
    assert all(claim.sentence.endswith(".") and claim.why for claim in found)
    assert all((claim.p_holm is None) == (claim.badge == "not tested") for claim in found)
    return {claim.name: claim for claim in found}


def run_of(
    root: Path,
    trained: str | Sequence[EvalRow],
    base: str = BASE,
    *,
    control: str = "",
    step: int = 8,
    **put_as: object,
) -> RunFolder:
    made = new_run(root, control=control)
    put(made, "quiz", "base", rows(base, categories=KINDS), **put_as)
    graded = rows(trained, categories=KINDS) if isinstance(trained, str) else trained
    put(made, "quiz", f"checkpoint-{step}", graded, **put_as)
    return made
