"""What a resumed run says of itself from the moment that it holds its folder, and what stays where it cannot go on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.config.load import load, to_dict
from oneshot.errors import DataError, Stopped, UsageError
from oneshot.measure.findings import Machine
from oneshot.measure.health import examine
from oneshot.record import RunFolder
from oneshot.stages import demo, train
from oneshot.stages.training.endings import failing, starting
from tests.unit.stages.parts import problems


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A stopped run of an earlier process."""
    made = RunFolder.create(tmp_path / "runs", "x", to_dict(load([], {}, {"optim.steps": "6"}).config), [])
    made.write_example(problems(1))
    made.write_status(state="stopped", step=3)
    made.write_json("status.json", made.status() | {"pid": 2**22 + 1, "updated": 1000.0})
    return made


@pytest.mark.parametrize("error", [UsageError("x"), ZeroDivisionError(), KeyboardInterrupt()])
@pytest.mark.parametrize("state", ["stopped", "failed", "done", "running"])
def test_what_cannot_be_loaded_leaves_the_status_as_it_was(run: RunFolder, state: str, error: BaseException) -> None:
    run.write_json("status.json", run.status() | {"state": state})
    before = run.status()
    with pytest.raises(type(error)), starting(run):
        told = run.status()
        assert (told["state"], told["phase"], told["pid"], told["step"]) == ("running", "starting", os.getpid(), 3)
        raise error
    assert run.status() == before


def test_a_stop_signal_while_it_loads(run: RunFolder) -> None:
    before = run.status()
    with pytest.raises(Stopped) as caught, starting(run):
        os.kill(os.getpid(), signal.SIGTERM)
    assert (caught.value.exit_code, caught.value.tries) == (75, (f"oneshot train --resume {run.path}",))
    assert run.status() == before


def test_what_is_loaded_goes_on_running(run: RunFolder) -> None:
    with starting(run) as loaded:
        loaded()
    assert (run.status()["state"], run.status()["phase"]) == ("running", "starting")
    with starting(None) as loaded:
        loaded()


@pytest.mark.parametrize("meets", ["new_run", "Logged", "tracked"])
def test_a_stop_signal_between_loading_and_training_leaves_a_stopped_run(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, meets: str
) -> None:
    def stop(*words: object, **more: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    words = ["train", "--resume", str(run.path)]
    if meets == "new_run":  # nobody has it yet
        run.write_status(state="running")
        words = ["train", "--example", "1 + 1?", "--answer", "2", "--out", str(run.path.parent)]
        monkeypatch.setattr(train, "new_run", lambda *given: run)
        meets = "Logged"
    monkeypatch.setattr(train, "_loaded", lambda request, run: ((),) * 6)
    monkeypatch.setattr(train, meets, stop)
    assert main(words) == 130
    assert (run.status()["state"], "phase" in run.status()) == ("stopped", False)


def test_a_demo_says_when_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def reading(setup: object, problems: object, run: RunFolder, *more: object) -> None:
        seen.append(run.status()["phase"])
        raise DataError("no such model.", code="E304")

    chosen = SimpleNamespace(problem=problems(1)[0], successes=3, samples=32)
    monkeypatch.setattr(demo, "load_setup", lambda config, names, **more: SimpleNamespace(config=config))
    monkeypatch.setattr(demo, "begin", lambda setup, *more: setup)
    monkeypatch.setattr(demo, "_choose", lambda *given: chosen)
    monkeypatch.setattr(demo, "measure", reading)
    assert main(["demo", "--quiet", "--out", str(tmp_path)]) == 4
    assert seen == ["evaluating"]


def test_a_run_that_another_process_took_over_is_left_to_it(run: RunFolder) -> None:
    with pytest.raises(UsageError), starting(run):
        run.write_json("status.json", {"state": "running", "pid": 1})
        raise UsageError("x")
    assert run.status() == {"state": "running", "pid": 1}


def test_the_command_line_says_so_before_it_loads_anything(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[dict[str, Any]] = []

    def loading(request: object, run: RunFolder) -> None:
        seen.append(run.status())
        raise DataError("no such model.", code="E304")

    monkeypatch.setattr(train, "_loaded", loading)
    before = run.status()
    assert main(["train", "--resume", str(run.path)]) == 4
    assert "E304 no such model." in capsys.readouterr().err
    assert [(told["state"], told["phase"]) for told in seen] == [("running", "starting")]
    assert run.status() == before


def test_a_phase_is_named_while_it_lasts(run: RunFolder) -> None:
    with run.doing("preflight"):
        assert run.status()["phase"] == "preflight"
    assert "phase" not in run.status()
    with pytest.raises(UsageError), failing(run), run.doing("evaluating"):
        raise UsageError("x")
    assert (run.status()["state"], "phase" in run.status()) == ("failed", False)
    with pytest.raises(AssertionError):
        run.write_status(phase="resting")


def test_what_ends_a_run_before_it_trains_is_in_the_log_of_its_own_attempt(run: RunFolder) -> None:
    run.start_attempt()
    run.log("E202 the disk is full.")  # of the attempt before
    again = RunFolder(run.path)
    with pytest.raises(DataError), failing(again):
        again.log("the base model solves it 0 of 32 times")
        raise DataError("never solved.", code="E303")
    log = (run.path / "logs" / "attempt_2" / "main.log").read_text()
    assert "0 of 32 times" in log and "E303 never solved." in log
    (state,) = [finding for finding in examine(RunFolder(run.path), Machine(now=0.0)) if finding.rule == "state"]
    assert "E303 never solved." in state.text
