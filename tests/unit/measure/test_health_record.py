"""Health rules on what surrounds training: state, graders, evaluations, control arms, disk, damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.measure import health
from oneshot.measure.findings import Machine
from oneshot.measure.heartbeat import Process
from oneshot.record import RunFolder
from tests.unit.measure.health_runs import CONFIG, HEALTHY, examined, make, one, rows


@pytest.mark.parametrize(
    ("state", "level", "does"),
    [("done", "ok", ""), ("stopped", "warn", "--resume"), ("failed", "bad", "--resume"), ("running", "ok", "")],
)
def test_the_state_as_told(tmp_path: Path, state: str, level: str, does: str) -> None:
    found = one(make(tmp_path, state=state), "state")
    assert found.level == level
    assert does in found.next
    assert "step 20 of 20" in found.text


def test_a_run_whose_process_is_gone_is_broken(tmp_path: Path) -> None:
    run = make(tmp_path / "a folder", state="running", steps=7)
    updated = run.status()["updated"]
    found = examined(run, now=updated + 120, process=Process(alive=False, here=True))
    state = next(finding for finding in found if finding.rule == "state")
    assert state.level == "bad"
    assert "the process is gone" in state.text
    assert "the last sign of life is 2 min old; step 7 of 20" in state.text
    assert state.next == f"oneshot train --resume '{run.path}'"
    assert health.broken(found)


def test_a_failed_run_tells_its_last_error(tmp_path: Path) -> None:
    run = make(tmp_path, state="failed", steps=0)
    run.log("E305 the function failed on row 3.\nTraceback (most recent call last):")
    found = one(run, "state")
    assert "E305 the function failed on row 3." in found.text
    assert "no step was recorded" in found.text


@pytest.mark.parametrize("before", ["", "12:00:01 Every E-mail: "])
def test_the_last_error_is_found_wherever_it_stands(tmp_path: Path, before: str) -> None:
    run = make(tmp_path)
    run.log_path.write_text(f"12:00:00 began\n{before}E202 the disk is full.\n", "utf-8")
    run.write_status(state="failed")
    assert one(run, "state").text.endswith(": E202 the disk is full.")


def test_a_run_that_died_before_its_example(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "early", {}, [])
    run.start_attempt()
    run.write_status(state="failed")
    found = examined(run)
    assert next(f for f in found if f.rule == "state").next == f"cat {run.path}/logs/attempt_1/main.log"
    assert {finding.rule for finding in found} == {"state", "evaluations"}


def test_damaged_files_are_findings(tmp_path: Path) -> None:
    run = make(tmp_path)
    (run.path / "metrics.jsonl").write_text('{"step": 0, "attempt": 1}\nnonsense\n{"step": 1, "attempt": 1}\n')
    (run.path / "events.jsonl").write_text('{"kind": "attempt"}\n[1]\n')
    found = [finding for finding in examined(run) if finding.rule == "damage"]
    assert {finding.level for finding in found} == {"warn"}
    assert ["line 2 is not JSON" in found[0].text, "line 2 is not a JSON object" in found[1].text] == [True, True]
    assert [finding.numbers for finding in found] == [{"lines": [2]}, {"lines": [2]}]
    assert one(run, "finite").numbers["dropped"] == 0
    assert "of 20" in one(run, "state").text  # what could be read is judged as ever
    (run.path / "metrics.jsonl").write_text("nonsense\n[]\n")
    (whole,) = [finding for finding in examined(run) if finding.level == "bad"]
    assert "line 1 is not JSON, and 1 more like it: left out here, 0 rows are read" in whole.text


def test_a_torn_last_line_is_no_damage(tmp_path: Path) -> None:
    run = make(tmp_path, steps=3)
    with open(run.path / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 3, "att')
    assert not [finding for finding in examined(run) if finding.rule == "damage"]
    assert one(run, "success").text.endswith("in 3 steps")


def test_a_damaged_evaluation_hides_no_other(tmp_path: Path) -> None:
    run = make(tmp_path)
    for name in ("base", "checkpoint-20"):
        run.write_eval("dev", name, {}, rows(1, 4))
    (run.path / "evals" / "dev" / "base" / "results.json").write_text("{")
    (damaged,) = [finding for finding in examined(run) if finding.rule == "damage"]
    assert damaged.level == "bad"
    assert "evals/dev/base/results.json cannot be read" in damaged.text
    assert one(run, "evaluations").numbers["evaluations"] == 2


def test_rows_of_another_version_are_a_finding(tmp_path: Path) -> None:
    run = make(tmp_path)
    (run.path / "metrics.jsonl").write_text('{"iteration": 0}\n')
    (found,) = [finding for finding in examined(run) if finding.rule == "damage"]
    assert "metrics" in found.text


def test_verdicts_that_were_not_reached(tmp_path: Path) -> None:
    some = make(tmp_path, lambda step: {"grader/timeout": 2 / 32} if step == 3 else {})
    found = one(some, "verifier")
    assert (found.level, found.numbers["timeout"]) == ("warn", 2)
    assert "2 of 640 verdicts" in found.text
    most = make(tmp_path / "most", lambda step: {"grader/error": 0.75})
    assert one(most, "verifier").level == "bad"


def test_resumes_are_told(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.event("resume", step=4, redone=2)
    run.event("resume", step=9, redone=3)
    found = one(run, "resumes")
    assert (found.level, found.numbers) == ("info", {"resumes": 2, "redone": 5})
    assert "after step 4, 9" in found.text


def test_a_grader_that_changed_between_attempts(tmp_path: Path) -> None:
    run = make(tmp_path)
    before, now = ({"grader": "mine.py:f", "sha256": digest} for digest in ("a" * 64, "b" * 64))
    run.event("attempt", reward=before, evaluation={"grader": "math"})
    run.event("attempt", reward=before, evaluation={"grader": "math"})
    assert "grader" not in {finding.rule for finding in examined(run)}
    run.start_attempt()
    run.event("attempt", reward=now, evaluation={"grader": "math"})
    found = one(run, "grader")
    assert found.level == "warn"
    assert "since attempt 2 (attempt 1: its sha256 differs)" in found.text
    assert found.next == f"oneshot regrade {run.path} --grader mine.py:f"


def test_evaluations_that_are_missing(tmp_path: Path) -> None:
    run = make(tmp_path, evals={"every": 5})
    for step in (5, 15, 20):
        run.write_eval("dev", f"checkpoint-{step}", {}, rows(1, 4))
    run.write_eval("test", "base", {}, rows(1, 4))  # read before and after only
    run.write_eval("test", "checkpoint-20", {}, rows(1, 4))
    found = one(run, "evaluations")
    assert found.level == "warn"
    assert found.numbers["missing"] == ["dev, base", "dev, checkpoint-10"]


def test_a_reading_under_way_is_not_missing(tmp_path: Path) -> None:
    run = make(tmp_path, steps=10, state="running", evals={"every": 5})
    run.write_eval("dev", "base", {}, rows(1, 4))
    run.write_eval("dev", "checkpoint-5", {}, rows(1, 4))
    assert one(run, "evaluations").level == "ok"


@pytest.mark.parametrize(
    ("source", "state", "steps", "level"),
    [("dev.jsonl", "done", 20, "warn"), ("", "done", 20, "info"), ("dev.jsonl", "running", 0, "info")],
)
def test_no_evaluation_at_all(tmp_path: Path, source: str, state: str, steps: int, level: str) -> None:
    found = one(make(tmp_path, steps=steps, state=state, evals={"source": source}), "evaluations")
    assert found.level == level
    assert (found.next == "") == (steps == 0)


def test_the_control_arm_that_is_missing_and_the_one_that_is_there(tmp_path: Path) -> None:
    run = make(tmp_path)
    found = one(run, "arm")
    assert found.level == "info"
    assert found.next == "oneshot train --data 'one file.jsonl' --answer 5 --control shuffled"
    make(tmp_path, reward={"control": "format"}, data={"source": "another.jsonl"})
    assert one(run, "arm").level == "info"  # of another example
    control = make(tmp_path, reward={"control": "shuffled"})
    found = one(run, "arm")
    assert found.level == "ok"
    assert found.next == f"oneshot report {run.path} --with {control.path}"


def test_the_demo_has_no_control_arms_so_its_settings_are_given_to_train(tmp_path: Path) -> None:
    line = one(make(tmp_path, argv=["demo", "--seed", "1"]), "arm").next
    assert line.startswith("oneshot train --model.name tiny --data.source one.jsonl")
    assert line.endswith("--control shuffled")


@pytest.mark.parametrize(
    "given",
    [
        ["--rollout.group-size", "8"],
        ["--rollout.group_size=8"],
        ["--num-generations", "8"],
        ["rollout.n=8"],
        ["--rollout.group-size", "8", "--rollout.group-size=4"],
    ],
)
def test_a_line_to_paste_has_each_flag_once(tmp_path: Path, given: list[str]) -> None:
    argv = ["train", "--data", "one.jsonl", *given, "--seed", "1"]
    run = make(tmp_path, lambda step: {"train/accuracy": 0.03, "frac_reward_zero_std": 0.95}, argv=argv)
    assert one(run, "signal").next == "oneshot train --data one.jsonl --seed 1 --rollout.group-size 16"


def test_room_for_the_next_save(tmp_path: Path) -> None:
    run = make(tmp_path, state="running")
    for folder in (run.checkpoint_dir(10), run.last_state_dir):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 1000)
    assert one(run, "disk", free=2000).level == "ok"
    found = one(run, "disk", free=1999)
    assert (found.level, found.numbers) == ("warn", {"free": 1999, "next_save": 2000})
    run.write_status(state="done")
    assert "disk" not in {finding.rule for finding in examined(run, free=0)}


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3), st.just([]), st.just({})
)


def some(names: list[str]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(names), ANYTHING)


@given(
    st.lists(some(["step", "attempt", "time", *HEALTHY]), max_size=4),
    st.lists(some(["kind", "step", "gap", "ci_low", "reward", "redone"]), max_size=3),
    some([*CONFIG]),
    some(["state", "pid", "updated", "step", "steps", "host"]),
    some(["argv", "created"]),
)
def test_no_content_of_a_folder_makes_the_rules_raise(
    tmp_path_factory: pytest.TempPathFactory,
    metrics: list[dict[str, object]],
    events: list[dict[str, object]],
    config: dict[str, object],
    status: dict[str, object],
    env: dict[str, object],
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name, told in (("config", config), ("status", status), ("env", env)):
        (folder / f"{name}.json").write_text(json.dumps(told))
    for name, told_rows in (("metrics", metrics), ("events", events)):
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps({"step": i, "attempt": 1} | row) + "\n" for i, row in enumerate(told_rows))
        )
    found = health.examine(RunFolder(folder), Machine(now=1e9, process=Process(alive=False), free=1))
    assert found
    json.dumps([finding.as_dict() for finding in found])
