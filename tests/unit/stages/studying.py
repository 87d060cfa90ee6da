"""Studies made by hand, as run folders that nothing was trained for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from oneshot.config.load import to_dict
from oneshot.record import RunFolder
from oneshot.stages.studies.arms import plan_of
from oneshot.stages.studies.file import read_study
from oneshot.stages.studies.folder import DONE, PREREGISTERED, StudyFolder
from tests.unit.stages.comparing import put

TEXT = """\
name = "hand"
claim = "One example teaches."
baseline = "shuffled"
contrast = [["full", "pg"]]
seeds = [0, 1, 2]
[base]
data.example = "1 + 1?"
data.answer = "2"
optim.steps = 4
evals.source = "held.jsonl"
evals.every = 2
[[arm]]
name = "full"
paper = "74.8 (Table 5, row 5)"
[[arm]]
name = "pg"
set = { "algorithm.kl" = 0.0 }
[[arm]]
name = "shuffled"
set = { "reward.control" = "shuffled" }
"""
TASK = "held"
BASE = "0" * 20


def study_in(tmp_path: Path, text: str = TEXT) -> StudyFolder:
    """An empty study folder."""
    tmp_path.mkdir(parents=True, exist_ok=True)
    (tmp_path / "s.toml").write_text(text, encoding="utf-8")
    made = StudyFolder(plan_of(read_study(tmp_path / "s.toml"), tmp_path / "runs"))
    made.path.mkdir(parents=True)
    return made


DRIFT: Mapping[str, Mapping[int, float]] = {
    "full": {2: 0.05, 4: 0.4},
    "shuffled": {2: 0.06, 4: 0.1},
    "pg": {2: 1e-9, 4: 1e-8},
}
"""Arm -> step -> drift of every seed of `fill`: full comes to .4, shuffled to .1, pg hardly moves."""


def fill(folder: StudyFolder, drift: Mapping[str, Mapping[int, float]] | None = None) -> None:
    """Of 20 problems full ends at 12, 14, 13 right, pg at 8, 8, 8 and shuffled at 2, 4, 3."""
    last = {"full": (12, 14, 13), "pg": (8, 8, 8), "shuffled": (2, 4, 3)}
    for arm, counts in last.items():
        for seed, count in enumerate(counts):
            cell(folder, arm, seed, {2: right(count // 2), 4: right(count)}, (drift or {}).get(arm))


def right(count: int, first: int = 0) -> str:
    """20 responses, of which so many are right, from the `first` on."""
    return "".join("1" if first <= i < first + count else "0" for i in range(20))


def cell(
    folder: StudyFolder,
    arm: str,
    seed: int,
    words: Mapping[int, str],
    drift: Mapping[int, float] | None = None,
    accuracy: Sequence[float] = (0.1, 0.9),
) -> RunFolder:
    """A finished cell: step -> responses, step -> drift."""
    config = folder.plan.config(arm, seed)
    run = RunFolder.create(folder.path, config.save.name, to_dict(config), ["oneshot", "study"])
    run.event(PREREGISTERED, study="hand", sha256="abc", claim="One example teaches.")
    for step, share in enumerate(accuracy):
        run.step(step, {"train/accuracy": share}, [])
    put(run, TASK, "base", BASE)
    for step, responses in words.items():
        put(run, TASK, f"checkpoint-{step}", responses)
    for step, kl in (drift or {}).items():
        run.write_drift({"checkpoint": f"checkpoint-{step}", "step": step, "kl": kl})
    folder.update(arm, seed, run=run.path.name, state=DONE, seconds=1.0)
    return run
