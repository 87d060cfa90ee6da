from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from oneshot.errors import MachineError, UsageError
from oneshot.record import RunFolder
from oneshot.types import Problem
from tests.unit.store.samples import eval_row, everything, full_disk, groups, make


def test_evaluations_come_back(tmp_path: Path) -> None:
    run = make(tmp_path)
    rows = [eval_row("a"), eval_row("b", correct=False)]
    for checkpoint in ("checkpoint-12", "checkpoint-4", "base"):
        run.write_eval("builtin-dev", checkpoint, {"accuracy": 0.5}, rows)
    assert run.evals() == [
        ("builtin-dev", "base"),
        ("builtin-dev", "checkpoint-4"),
        ("builtin-dev", "checkpoint-12"),
    ]
    results, back = run.read_eval("builtin-dev", "base")
    assert (results["accuracy"], results["task"], back) == (0.5, "builtin-dev", rows)
    with pytest.raises(UsageError):
        run.read_eval("builtin-dev", "checkpoint-99")


def test_task_names_cannot_leave_the_folder_or_meet(tmp_path: Path) -> None:
    run = make(tmp_path)
    names = ["../../x", "a/b", "a b", "a-b", ".", ".."]
    for name in names:
        run.write_eval(name, "base", {"name": name}, [])
    assert sorted(task for task, _ in run.evals()) == sorted(names)
    assert all(run.read_eval(name, "base")[0]["name"] == name for name in names)
    assert [path.name for path in tmp_path.iterdir()] == [run.path.name]


def test_samples_of_a_later_version_can_be_read(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_eval("dev", "base", {}, [eval_row("a")])
    path = run.path / "evals" / "dev" / "base" / "samples.jsonl.gz"
    row = json.loads(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(json.dumps(row | {"new": 1}).encode() + b"\n"))
    assert run.read_eval("dev", "base")[1] == [eval_row("a")]


def test_example_and_selection(tmp_path: Path) -> None:
    run = make(tmp_path)
    assert (run.example(), run.selection()) == ([], [])
    run.write_example([Problem(id="p", prompt="?", answer="7", meta={"kind": "add"})], {"base_rate": 0.25})
    run.write_selection([{"id": "p", "solved": 2}])
    assert run.example() == [
        {"id": "p", "prompt": "?", "answer": "7", "category": "", "meta": {"kind": "add"}, "base_rate": 0.25}
    ]
    assert run.selection() == [{"id": "p", "solved": 2}]


def test_checkpoints_are_sorted_by_number(tmp_path: Path) -> None:
    run = make(tmp_path)
    assert run.checkpoints() == []
    for name in ("checkpoint-12", "checkpoint-4", "last_state", ".checkpoint-8.tmp", "checkpoint-x"):
        (run.checkpoints_dir / name).mkdir(parents=True)
    assert run.checkpoints() == [4, 12]
    assert run.checkpoint_dir(4) == run.path / "checkpoints" / "checkpoint-4"
    assert run.last_state_dir.is_dir() and run.history_path.name == "history.jsonl"


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path)
    run.start_attempt()
    run.step(0, {"reward": 1.0}, groups())
    run.write_eval("dev", "base", {"value": 1}, [eval_row("a")])
    before = everything(run.path)
    attempts = (
        lambda: run.write_status(state="done"),
        lambda: run.write_json("summary.json", {"a": 1}),
        lambda: run.step(1, {"reward": 0.0}, groups()),
        lambda: run.event("note"),
        lambda: run.write_eval("dev", "base", {"value": 2}, [eval_row("b")]),
    )
    for attempt in attempts:
        with full_disk(monkeypatch), pytest.raises(MachineError, match="disk is full") as caught:
            attempt()
        assert caught.value.code == "E202" and "intact" in caught.value.kept
    after = everything(run.path)
    assert {name: data for name, data in after.items() if data} == {name: data for name, data in before.items() if data}
    assert run.read_eval("dev", "base")[0]["value"] == 1


def test_a_full_disk_while_a_run_is_made_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with full_disk(monkeypatch), pytest.raises(MachineError):
        make(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_kill_are_not_read_and_are_cleared(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.start_attempt()
    run.step(0, {}, groups())
    run.write_eval("dev", "base", {}, [])
    stale = [
        run.path / ".status.json.12345678.tmp",
        run.path / "rollouts" / ".step_000001.jsonl.gz.12345678.tmp",
        run.path / "evals" / "dev" / "base" / ".results.json.12345678.tmp",
    ]
    for path in stale:
        path.write_text("{")
    again = RunFolder.open(str(run.path), tmp_path)
    assert (again.rollout_steps(), again.evals(), again.status()["state"]) == ([0], [("dev", "base")], "running")
    again.start_attempt()
    assert not any(path.exists() for path in stale)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.step(0, {}, groups())
    path = run.path / "rollouts" / "step_000000.jsonl.gz"
    whole = path.read_bytes()
    for damaged in (whole[:-9], b"\x00" + whole, whole[:20] + b"\xff\xff" + whole[22:]):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match="damaged"):
            run.rollouts(0)
    with pytest.raises(UsageError, match="there is no"):
        run.rollouts(1)
    for text in ("{", "[]"):
        (run.path / "status.json").write_text(text)
        with pytest.raises(UsageError, match="is not"):
            run.status()


def test_a_killed_run_keeps_every_step_it_recorded(tmp_path: Path, root: Path) -> None:
    code = """
import itertools, sys
from pathlib import Path
from tests.unit.store.samples import groups, make
run = make(Path(sys.argv[1]))
run.start_attempt()
for step in itertools.count():
    run.step(step, {"reward": 1.0}, groups())
    run.write_status(step=step)
    print(step, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=root) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            writer.stdout.readline()
        writer.kill()
        reported = 19 + len(writer.stdout.read().splitlines())
    run = RunFolder.open("latest", tmp_path)
    steps = [row["step"] for row in run.metrics()]
    assert steps == list(range(len(steps))) and len(steps) > reported
    assert all(run.read_groups(step) == run.read_groups(0) for step in run.rollout_steps())
    assert set(steps) <= set(run.rollout_steps())
    assert run.status()["step"] >= reported
    assert run.start_attempt() == 2
