"""What a resumed run does again moves to the ended attempt's folder; what was said goes to its log."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from oneshot.record import RunFolder
from tests.unit.store.samples import groups, make


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Five steps of a first attempt with events around them."""
    made = make(tmp_path)
    made.start_attempt()
    made.event("attempt", attempt=1)
    for step in range(5):
        made.step(step, {"reward": step / 3}, groups())
        made.event("verdicts", step=step)
        if step in (1, 3):
            made.event("save", step=step + 1)
    made.event("verdicts", step=None)
    made.history_path.write_text("".join(json.dumps({"step": i}) + "\n" for i in range(4)))
    again = RunFolder(made.path)
    again.start_attempt()
    return again


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in lines(path)]


def test_everything_after_the_step_moves_and_nothing_is_lost(run: RunFolder) -> None:
    names = ("metrics.jsonl", "events.jsonl", "history.jsonl")
    before = {name: lines(run.path / name) for name in names}
    rollout = (run.path / "rollouts" / "step_000003.jsonl.gz").read_bytes()
    assert run.cut_back(2) == 3
    ended = run.path / "logs" / "attempt_1"
    assert steps(run.path / "metrics.jsonl") == [0, 1] == steps(run.history_path)
    assert (steps(ended / "metrics.jsonl"), steps(ended / "history.jsonl")) == ([2, 3, 4], [2, 3])
    for name in names:  # byte for byte
        assert sorted(lines(run.path / name) + lines(ended / name)) == sorted(before[name])
    assert run.rollout_steps() == [0, 1]
    assert sorted(os.listdir(ended / "rollouts")) == [f"step_00000{i}.jsonl.gz" for i in (2, 3, 4)]
    assert (ended / "rollouts" / "step_000003.jsonl.gz").read_bytes() == rollout
    kept = [(event["kind"], event.get("step")) for event in run.events()]
    # `save` counts the steps done, `verdicts` names the step itself; what has no step stays.
    assert kept == [("attempt", None), ("verdicts", 0), ("verdicts", 1), ("save", 2), ("verdicts", None)]


def test_a_second_time_there_is_nothing_left_to_move(run: RunFolder) -> None:
    run.cut_back(2)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert run.cut_back(2) == 0
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_kill_in_the_middle_of_it_leaves_rows_twice_but_never_nowhere(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, left = os.replace, [3]

    def killed(source: Path, goal: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        rename(source, goal)

    before = lines(run.path / "metrics.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            run.cut_back(2)
    again = RunFolder(run.path)
    again.start_attempt()
    again.cut_back(2)
    assert steps(run.path / "metrics.jsonl") == [0, 1]
    assert steps(run.history_path) == [0, 1]
    assert run.rollout_steps() == [0, 1]
    moved = [line for number in (1, 2) for line in lines_of(run, number)]
    assert {*lines(run.path / "metrics.jsonl"), *moved} == set(before)


def lines_of(run: RunFolder, attempt: int) -> list[bytes]:
    path = run.path / "logs" / f"attempt_{attempt}" / "metrics.jsonl"
    return lines(path) if path.exists() else []


def test_a_new_run_has_nothing_to_cut(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.start_attempt()
    before = sorted(run.path.rglob("*"))
    assert run.cut_back(0) == 0
    assert sorted(run.path.rglob("*")) == before


def test_what_is_said_before_the_attempt_waits_for_its_log(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.log("first")
    assert not (run.path / "logs").exists()
    run.start_attempt()
    run.log("second π \ud800")
    said = run.log_path.read_text("utf-8").splitlines()
    assert [line.split(" ", 2)[2] for line in said] == ["first", "second π ?"]


def test_a_log_that_cannot_be_written_costs_nothing_else(run: RunFolder) -> None:
    run.log_path.unlink()
    run.log_path.mkdir()  # cannot be written
    run.log("lost")
    assert run.log_path.is_dir()


def test_a_folder_that_is_made_anew_goes_to_the_attempt_that_ended(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, [])
    folder = run.eval_dir("t", "checkpoint-2")
    for content in ("first", "second"):
        run.start_attempt()
        folder.mkdir(parents=True)
        (folder / "partial.jsonl").write_text(content)
        run.set_aside(folder)
        assert not folder.exists()
    kept = run.path / "logs" / "attempt_1" / "evals" / "t" / "checkpoint-2" / "partial.jsonl"
    assert kept.read_text() == "second"  # set aside twice in one attempt: the later one
