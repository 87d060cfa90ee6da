"""`oneshot watch` beside the steps: while a run starts, reads, and ends, and where it vanishes."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from oneshot.cli.main import main
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.stages import ls, watch
from oneshot.stages.watching.lines import Lines
from oneshot.stages.watching.ls_entries import Sizes, entries
from oneshot.stages.watching.readings import own
from oneshot.stages.watching.run_process import process_of
from oneshot.stages.watching.state import Snapshot, Watcher
from oneshot.stages.watching.view import view
from tests.unit.measure.health_runs import rows
from tests.unit.stages.watching import drawn, flat, running, step

SCORES = {"value": 0.5, "ci_low": 0.25, "ci_high": 0.75, "n": 4}


def read(run: RunFolder, task: str, checkpoint: str, seconds: float | None) -> None:
    """An evaluation that took so long."""
    run.write_eval(task, checkpoint, {**SCORES, "protocol": {"seconds": seconds}}, rows(2, 4))


def after(run: RunFolder, seconds: float) -> Snapshot:
    """The run so many seconds after its last step was recorded."""
    return Watcher(run).look(run.metrics()[-1]["time"] + seconds)


@pytest.fixture
def trained(tmp_path: Path) -> RunFolder:
    """All 20 steps are done; dev took 40 s and the test task 90 s with the base model."""
    run = running(tmp_path, steps=0, evals={"tasks": "test.jsonl,old.jsonl"})
    for number in (18, 19):
        step(run, number)
    read(run, "dev", "base", 40.0)
    read(run, "test", "base", 90.0)
    return run


def test_after_the_last_step_it_says_what_goes_on(trained: RunFolder) -> None:
    now = after(trained, 10.0)
    assert now.left == pytest.approx(120.0)  # 40 + 90, of which 10 are spent
    said = "all steps done, evaluating: about 2:00 left, as the readings before took"
    assert now.after_training == said
    text = flat(drawn(view(now, 120), 120))
    assert "step 20 of 20 · 2.0 s a step" in text and said in text
    assert "left 0:00" not in text
    read(trained, "dev", "checkpoint-20", 50.0)
    assert after(trained, 60.0).left == pytest.approx(80.0)  # dev took 50 of the 60 s
    assert after(trained, 200.0).after_training == "all steps done, evaluating: time left unknown"
    read(trained, "test", "checkpoint-20", 90.0)
    assert after(trained, 150.0).after_training == "all steps done, finishing"
    trained.write_status(phase="evaluating")
    assert after(trained, 150.0).after_training == "all steps done, evaluating: time left unknown"
    trained.write_status(state="done")
    assert (after(trained, 151.0).after_training, after(trained, 151.0).left) == ("", None)


def test_a_reading_of_unknown_length(trained: RunFolder) -> None:
    read(trained, "old", "base", None)
    assert after(trained, 1.0).after_training == "all steps done, evaluating: time left unknown"
    assert after(trained, 1.0).as_dict()["eta"] is None


def test_a_task_that_is_read_by_hand_is_not_waited_for(trained: RunFolder) -> None:
    read(trained, "math500", "base", 70.0)
    read(trained, "dev-0123abcd", "base", 70.0)  # the dev set itself has no hash
    assert after(trained, 10.0).left == pytest.approx(120.0)
    read(trained, "dev", "checkpoint-20", 50.0)
    read(trained, "test-0123abcd", "base", 30.0)  # asked with other limits, say
    read(trained, "math500", "checkpoint-20", 500.0)
    assert after(trained, 60.0).to_read == ["test", "test-0123abcd"]
    assert after(trained, 60.0).left == pytest.approx(110.0)  # 90 + 30, of which 10 are spent
    assert own(["dev", "math500"], "dev.jsonl", "of-another-version") == ["dev", "math500"]


def test_lines_say_it_once(trained: RunFolder) -> None:
    clock = [0.0]
    lines = Lines(lambda: clock[0])
    told = lines.new(after(trained, 10.0))
    assert told[2].startswith("step 20/20") and told[2].endswith("2.0 s  all steps done")
    assert told[-1] == "all steps done, evaluating: about 2:00 left, as the readings before took"
    assert lines.new(after(trained, 20.0)) == []
    clock[0] = 31.0
    (beat,) = lines.new(after(trained, 41.0))
    assert beat.endswith("; all steps done, evaluating: about 1:29 left, as the readings before took")


def test_a_run_that_starts_again_is_not_at_its_end(trained: RunFolder) -> None:
    trained.write_status(state="running", phase="starting")
    now = after(trained, 900.0)
    assert (now.heart.state, now.after_training, now.left) == ("running", "", None)
    text = flat(drawn(view(now, 100)))
    assert "running, starting, last sign of life" in text
    assert json.loads(json.dumps(now.as_dict()))["phase"] == "starting"


@pytest.mark.parametrize("draws", [True, False])
def test_a_folder_that_vanishes_ends_the_watching(tmp_path: Path, draws: bool) -> None:
    run, out = running(tmp_path), io.StringIO()

    def gone(seconds: float) -> None:
        shutil.rmtree(run.path)

    with pytest.raises(UsageError, match="is not there any more"):
        if draws:
            watch.draw(Watcher(run), Console(file=out, force_terminal=True, width=40, height=20), wait=gone)
        else:
            watch.say(Watcher(run), quiet=True, wait=gone)
    assert not draws or out.getvalue().endswith("\x1b[?25h\x1b[?1049l")  # the terminal is as it was


def test_files_that_go_in_the_middle_of_a_look(trained: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher, now = Watcher(trained), trained.metrics()[-1]["time"]

    def vanished(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    assert watcher.look(now).pair is not None
    monkeypatch.setattr(Path, "glob", vanished)
    monkeypatch.setattr(RunFolder, "rollout_steps", vanished)
    monkeypatch.setattr(RunFolder, "example", vanished)
    seen = watcher.look(now)
    assert (seen.pair, list(seen.readings)) == (None, ["dev", "test"])
    assert seen.notes == ["FileNotFoundError: [Errno 2] No such file or directory"]


def test_a_damaged_file_of_rollouts_is_said_each_time(tmp_path: Path) -> None:
    run = running(tmp_path)
    (run.path / "rollouts" / "step_000002.jsonl.gz").write_bytes(b"broken")
    watcher = Watcher(run)
    for _ in range(2):
        assert "is damaged" in watcher.look(run.status()["updated"]).notes[0]


def test_a_flood_of_notes_and_findings_does_not_fill_the_screen(tmp_path: Path) -> None:
    run = running(tmp_path)
    run.event("health", finding="x" * 10_000)
    for number in range(9):
        read(run, f"task{number}", "base", 1.0)
        (run.path / "evals" / f"task{number}" / "base" / "results.json").write_text("{")
    text = drawn(view(Watcher(run).look(run.status()["updated"]), 80), 80)
    assert "and 5 more like these" in flat(text)
    assert len(text.splitlines()) < 50


def test_a_process_that_waits_to_be_buried_is_dead() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody asked how
    assert process_of({"pid": child, "host": os.uname().nodename}).alive is False
    os.waitpid(child, 0)
    assert process_of({"pid": os.getpid(), "host": os.uname().nodename}).alive is True


def test_the_end_of_a_watched_run_that_vanished_is_no_crash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = running(tmp_path)
    look = Watcher.look

    def looked(watcher: Watcher, now: float) -> Snapshot:
        seen = look(watcher, now)
        shutil.rmtree(run.path)
        return seen

    monkeypatch.setattr(watch, "EVERY", 0.0)
    monkeypatch.setattr(Watcher, "look", looked)
    assert main(["watch", str(run.path), "--quiet"]) == 2
    assert capsys.readouterr().err.startswith(f"E104 {run.path} is not there any more")


def test_a_long_preflight_is_no_silence_in_the_list_of_runs(tmp_path: Path) -> None:
    run = running(tmp_path, steps=0)

    def listed() -> tuple[str, str]:
        (entry,) = entries(tmp_path, run.status()["updated"] + 900, Sizes())
        return f"{entry['state']}, {entry['phase']}", ls.lines([entry])[1]

    with run.doing("preflight"):
        state, line = listed()
        assert state == "running, preflight"
        assert " preflight, 15 min " in line
        child = os.posix_spawn("/bin/true", ["true"], {})
        os.waitpid(child, 0)
        run.write_json("status.json", run.status() | {"pid": child})
        assert " gone, 15 min " in listed()[1]


@pytest.mark.parametrize("width", [40, 60, 76, 80, 100])
def test_no_number_is_cut_off_in_a_narrow_terminal(trained: RunFolder, width: int) -> None:
    trained.write_eval("a-task-with-a-name-that-is-long", "base", {**SCORES, "n": 1319}, rows(2, 4))
    text = drawn(view(after(trained, 10.0), width), width)
    assert max(map(len, text.splitlines())) <= width
    words = flat(text).replace(" held-out", "").split()
    assert words.count("1319,") == 1 or "n 1319, step 0" in flat(text)
    assert ("█" in text) == (width >= 76)
    assert "0.6 nats" in flat(text)
