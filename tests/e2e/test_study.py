"""`oneshot study` from a file to its table, on a tiny random model: run, stopped, gone on with, changed, failed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot._store.alone import alone
from oneshot.config.request import Request
from oneshot.config.sources import Setting, find_study, shipped_studies
from oneshot.record import RunFolder
from oneshot.stages.studies.arms import plan_of
from oneshot.stages.studies.cells import run_cells
from oneshot.stages.studies.file import Study, read_study
from oneshot.stages.studies.folder import StudyFolder
from oneshot.stages.studies.table import table_of
from oneshot.stages.studies.text import text
from oneshot.stages.study import problems
from tests.e2e.conftest import OneShot, Told
from tests.e2e.stopping import during_step, recorded

TEXT = """\
name = "small"
claim = "One example teaches."
baseline = "shuffled"
seeds = [0, 1]
test_per_kind = 1
[[example]]
prompt = "What is 2 + 3?"
answer = "5"
[base]
model.name = "{tiny}"
model.threads = 1
data.allow_unsolved = true
reward.name = "number"
rollout.groups = 2
rollout.group_size = 4
rollout.max_new_tokens = 6
optim.steps = 2
optim.lr = 1e-3
evals.every = 1
evals.max_new_tokens = 4
save.best = false
[[arm]]
name = "full"
[[arm]]
name = "shuffled"
set = {{ "reward.control" = "shuffled" }}
"""
Run = Callable[..., Told]


@pytest.fixture
def study(oneshot: OneShot, tiny: Path) -> Run:
    """`oneshot study s.toml --one-process --yes` in an empty folder; the file is there."""
    Path("s.toml").write_text(TEXT.format(tiny=tiny), encoding="utf-8")
    return lambda *words: oneshot("study", "s.toml", "--one-process", "--yes", *words)


def edit(before: str, after: str) -> None:
    text = Path("s.toml").read_text("utf-8")
    assert before in text
    Path("s.toml").write_text(text.replace(before, after), encoding="utf-8")


def cells() -> dict[tuple[str, int], dict[str, Any]]:
    found = json.loads(Path("runs/study-small/study.json").read_text("utf-8"))
    return {(cell["arm"], cell["seed"]): cell for cell in found["cells"]}


def run_of(arm: str, seed: int) -> RunFolder:
    return RunFolder(Path("runs/study-small") / cells()[arm, seed]["run"])


def steps(run: RunFolder) -> list[dict[str, Any]]:
    """What was recorded of every step; the examples' file lies in another folder."""
    return [{key: value for key, value in row.items() if key != "meta"} for row in recorded(run)]


def test_a_whole_study(study: Run) -> None:
    told = study("--json")
    assert told.code == 0, told.err
    table = told.json
    assert table["study"] == "small"
    assert table["arms"]["full"]["seeds"] == [0, 1]
    assert table["arms"]["shuffled"]["label"] == "control arm: shuffled rewards"
    (claim,) = table["tasks"]["problems"]["claims"]
    assert (claim["arm"], claim["against"], claim["paired_seeds"]) == ("full", "shuffled", [0, 1])
    assert claim["claim"].startswith("not tested over seeds")
    assert claim["seeds"]["badge"] == "not tested"
    folder = Path("runs/study-small")
    (digest,) = table["preregistered"]
    for arm, seed in cells():
        run = run_of(arm, seed)
        events = [event["kind"] for event in run.events()]
        assert events.index("preregistered") < events.index("preflight")
        (own,) = [event for event in run.events() if event["kind"] == "preregistered"]
        assert (own["study"], own["sha256"], own["claim"]) == ("small", digest, "One example teaches.")
        assert not run.last_state_dir.exists()
        assert run.checkpoint_dir(2).is_dir()
    first, other = run_of("full", 0), run_of("shuffled", 1)
    (copied,) = [event for event in other.events() if event["kind"] == "base_copied"]
    assert (copied["source"], copied["tasks"]) == (first.path.name, ["problems"])
    assert other.read_eval("problems", "base")[1] == first.read_eval("problems", "base")[1]
    registered = json.loads((folder / "preregistration.json").read_text("utf-8"))
    assert (registered["seeds"], registered["problems"]) == ([0, 1], {"problems": 8})
    assert "save" not in registered["arms"]["full"]
    assert (folder / "study.md").read_text("utf-8").startswith("# small\n\nClaim: One example teaches.\n")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/metrics.jsonl")}
    told = study()
    assert told.code == 0
    assert "4 of 4 cells are done already" in told.err
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/metrics.jsonl")} == before


def test_a_stopped_study_goes_on(study: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        during_step(patch, 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
        told = study("--only", "full", "--seeds", "1")
    assert told.code == 75, told.err
    assert "try: oneshot study s.toml --one-process --yes --only full --seeds 1" in told.err
    assert cells()["full", 1]["state"] == "stopped"
    stopped = run_of("full", 1)
    assert len(stopped.metrics()) < 2 or stopped.status()["state"] == "stopped"
    told = study("--only", "full")
    assert told.code == 0, told.err
    assert {key: cell["state"] for key, cell in cells().items() if key[0] == "full"} == {
        ("full", 0): "done", ("full", 1): "done",
    }  # fmt: skip
    assert run_of("full", 1).path == stopped.path
    told = study("--name", "again", "--only", "full", "--seeds", "1")
    assert told.code == 0, told.err
    (straight,) = Path("runs/study-again").glob("*-full-s1-*")
    assert steps(RunFolder(straight)) == steps(stopped)


def test_a_changed_study_is_refused_under_its_name(study: Run) -> None:
    assert study("--only", "full", "--seeds", "0").code == 0
    edit("optim.lr = 1e-3", "optim.lr = 2e-3")
    for words in ((), ("--table",)):
        told = study(*words)
        assert told.code == 2
        said = "E107 runs/study-small was preregistered otherwise: arms.full.optim.lr was 0.001 and is"
        assert told.err.startswith(said)
    assert "try: oneshot study s.toml --name small-2" in told.err
    edit("optim.lr = 2e-3", "optim.lr = 1e-3")
    edit("One example teaches.", "One example harms.")
    assert study().err.startswith("E107 runs/study-small was preregistered otherwise: claim was")
    edit("One example harms.", "One example teaches.")
    config = run_of("full", 0).path / "config.json"
    config.write_text(config.read_text("utf-8").replace('"lr": 0.001', '"lr": 0.002'), encoding="utf-8")
    told = study()
    assert told.code == 2
    assert "was made with other settings: optim.lr is 0.001, and was 0.002 there" in told.err


def test_two_commands_do_not_run_one_study(study: Run) -> None:
    with alone(Path("runs/study-small"), "is being run", print):
        told = study("--only", "full", "--seeds", "0")
        assert (told.code, told.err.splitlines()[0][:44]) == (2, "E104 runs/study-small is being run by proces")
        assert study("--table").code == 0
    assert not list(Path("runs/study-small").iterdir())


def test_a_failed_cell_is_told_and_the_others_are_run(study: Run) -> None:
    edit("data.allow_unsolved = true", "data.allow_unsolved = false")
    told = study("--seeds", "0")
    assert told.code == 4
    assert {key: cell["state"] for key, cell in cells().items() if key[1] == 0} == {
        ("full", 0): "failed", ("shuffled", 0): "failed",
    }  # fmt: skip
    assert cells()["full", 0]["said"].startswith("E303")
    assert told.err.count("the study goes on with the others") == 2
    assert "No cell is done" in told.out


def test_what_is_asked_for_must_be_there(study: Run, oneshot: OneShot) -> None:
    told = study("--dry-run")
    assert (told.code, Path("runs").exists()) == (0, False)
    assert "2 arms x 2 seeds; 4 of 4 cells are left to run" in told.out
    assert study("--seeds", "7").err.startswith("E103 --seeds 7")
    assert study("--only", "fll").err.startswith("E102 --only fll")
    assert oneshot("study", "s.toml", "--cell", "full@0").err.startswith("E104 ")
    assert oneshot("study", "nowhere").err.startswith("E106 ")
    told = study("--table")
    assert told.code == 0
    assert "No cell is done" in told.out


def test_each_cell_has_a_process_of_its_own(study: Run, oneshot: OneShot) -> None:
    told = oneshot("study", "s.toml", "--yes", "--seeds", "0", "--json")
    assert told.code == 0, told.err
    assert told.json["arms"]["full"]["seeds"] == [0]
    pids = {run_of(arm, 0).status()["pid"] for arm in ("full", "shuffled")}
    assert len(pids | {os.getpid()}) == 3


def small(study: Study, tiny: Path) -> Study:
    """The same with a tiny model, two steps and one reading."""
    sizes = {
        "model.name": str(tiny), "model.threads": 1, "rollout.groups": 2, "rollout.group_size": 4,
        "rollout.max_new_tokens": 4, "optim.steps": 2, "evals.every": 2, "evals.max_new_tokens": 4, "save.every": 0,
    }  # fmt: skip
    more = [
        Setting(path=tuple(key.split(".")), value=value, origin="test", where="test") for key, value in sizes.items()
    ]
    return replace(study, base=(*study.base, *more), seeds=(0,), test_per_kind=1)


@pytest.mark.parametrize("name", [name for name in shipped_studies() if name.endswith("-cpu")])
def test_a_shipped_twin_runs(name: str, tiny: Path, oneshot: OneShot, tmp_path: Path) -> None:
    plan = plan_of(small(read_study(find_study(name)), tiny), tmp_path / "runs")
    folder, said = StudyFolder(plan), list[str]()
    request = Request(verb="study", positional=(name,), verb_flags={"one_process": True}, yes=True, offline=True)
    folder.register(problems(plan, request))
    assert run_cells(folder, folder.cells(), request, said.append) == []
    assert {cell.state for cell in folder.cells()} == {"done"}
    table = table_of(folder)
    assert len(table.tasks[0].claims) >= len(plan.arms) - 1
    shown = "\n".join(text(table))
    assert all(arm in shown for arm in plan.arms)
