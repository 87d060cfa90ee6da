"""A step that is given up: what asks for it, and what is as it was before."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from oneshot.errors import Stopped
from oneshot.record import RunFolder
from oneshot.stages.signals import Abandoned, StopRequest
from oneshot.stages.training.callbacks import Reached, Stopping


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "x", {}, [])


def test_sigterm_gives_the_running_step_up_and_ctrl_c_does_not() -> None:
    stop = StopRequest()
    stop.check()
    stop.handle(signal.SIGINT, None)
    stop.check()
    stop.handle(signal.SIGTERM, None)  # the scheduler has the last word on when, the first signal on the exit status
    with pytest.raises(Abandoned):
        stop.check()
    assert stop.exit_code == 130


def test_before_the_first_step_there_is_nothing_to_save(run: RunFolder) -> None:
    saved: list[int] = []
    stop = StopRequest()
    stop.handle(signal.SIGTERM, None)
    with pytest.raises(Stopped, match="before the end of step 1") as caught:
        Stopping(run, stop, saved.append)(0, {})
    assert (saved, caught.value.exit_code) == ([], 75)


class Turning:
    """A curriculum with a state that `next` moves on."""

    def __init__(self) -> None:
        self.state = {"turn": [0]}

    def next(self, step: int, history: object) -> list[object]:
        self.state["turn"][0] += 1
        return []

    def state_dict(self) -> dict[str, list[int]]:
        return self.state

    def load_state_dict(self, state: dict[str, list[int]]) -> None:
        self.state = state


def test_a_step_that_was_given_up_leaves_the_curriculum_where_it_was() -> None:
    curriculum = Turning()
    reached = Reached(curriculum)
    curriculum.next(0, None)
    assert (reached.rewind(), curriculum.state) == (0, {"turn": [1]})  # nothing is known, nothing is saved
    reached(1, {})
    curriculum.next(1, None)
    assert (reached.rewind(), curriculum.state) == (1, {"turn": [1]})
