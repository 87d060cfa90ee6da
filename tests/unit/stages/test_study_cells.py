"""Cells in processes of their own: signals are handed on, and one that went on alone is left to itself."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oneshot.config.request import Request
from oneshot.errors import Stopped, UsageError
from oneshot.record import RunFolder
from oneshot.stages.studies import cells as study_cells
from oneshot.stages.studies.cells import Relay, run_cells
from oneshot.stages.studies.folder import FAILED
from tests.unit.stages.studying import study_in


class Made:
    """A process to which a signal is sent while it is being made, and that ends saved."""

    sent: list[int]

    def __init__(self, *words: Any, **more: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def send_signal(self, number: int) -> None:
        self.sent.append(number)

    def wait(self) -> int:
        return 75


def test_a_signal_while_a_process_is_made_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneshot.stages.studies.cells.subprocess.Popen", Made)
    monkeypatch.setattr(Made, "sent", [], raising=False)
    folder, before = study_in(tmp_path), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as stopped:
        run_cells(folder, folder.cells(), Request(verb="study", positional=("s.toml",)), lambda text: None)
    assert stopped.value.exit_code == 75
    assert "the running cell is saved" in stopped.value.message
    assert Made.sent == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) == before


def test_between_two_cells_a_signal_ends_the_study() -> None:
    relay = Relay()
    with pytest.raises(Stopped, match="stopped between two cells") as stopped:
        relay.handle(signal.SIGINT, None)
    assert stopped.value.exit_code == 130


def test_a_cell_that_went_on_alone_is_not_written_by_two(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, ())
    run.write_status(state="running")
    study_cells._refuse_running(run)  # this process itself
    run.write_json("status.json", run.status() | {"pid": os.getppid()})
    with pytest.raises(UsageError, match=f"is being written by process {os.getppid()} right now") as refused:
        study_cells._refuse_running(run)
    assert refused.value.code == "E104"
    run.write_json("status.json", run.status() | {"state": "stopped"})
    study_cells._refuse_running(run)


def test_why_a_cell_failed_again_is_what_it_said_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = study_in(tmp_path)
    folder.update("full", 0, state=FAILED, said="E202 the disk is full.", seconds=2.0)
    told = iter(["E305 the function failed.", ""])

    def ended(*words: Any, **more: Any) -> SimpleNamespace:
        if said := next(told):
            folder.update("full", 0, state=FAILED, said=said, seconds=3.0)
        return SimpleNamespace(wait=lambda: 4)

    monkeypatch.setattr("oneshot.stages.studies.cells.subprocess.Popen", ended)
    for said in ("E305 the function failed.", "its process ended with status 4"):
        request = Request(verb="study", positional=("s.toml",))
        [(failed, code)] = run_cells(folder, folder.cells()[:1], request, lambda text: None)
        assert (failed.said, code) == (said, 4)
