"""What happens after a step: when it is due, in which order, and that a stop saves first."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from oneshot.errors import HealthAbort, Stopped
from oneshot.record import RunFolder
from oneshot.stages.display import Lines
from oneshot.stages.signals import BATCH, StopRequest, stop_requests, stops_at_once
from oneshot.stages.training.callbacks import Dropping, Every, Redrawing, Stopping, Watching, due, in_order
from oneshot.stages.training.endings import failing
from oneshot.stages.training.preflight import Health
from oneshot.stages.training.step_metrics import rollout_metrics
from oneshot.types import Completion, Group, Problem, Verdict
from tests.unit.stages.parts import metrics, problems


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path, "x", {}, [])
    made.write_example(problems(1))
    return made


@pytest.mark.parametrize(
    ("every", "steps", "when"), [(0, 6, [6]), (2, 6, [2, 4, 6]), (4, 6, [4, 6]), (9, 6, [6]), (1, 3, [1, 2, 3])]
)
def test_when_something_is_due(every: int, steps: int, when: list[int]) -> None:
    assert [step for step in range(1, steps + 1) if due(step, every, steps)] == when
    seen: list[int] = []
    callback = Every(every, steps, seen.append)
    for step in range(1, steps + 1):
        callback(step, {})
    assert seen == when


def test_callbacks_run_in_order_until_one_raises() -> None:
    seen: list[str] = []

    def stopping(step: int, metrics: object) -> None:
        raise Stopped("x", exit_code=75)

    callbacks = in_order([lambda s, m: seen.append("first"), stopping, lambda s, m: seen.append("never")])
    with pytest.raises(Stopped):
        callbacks(1, {})
    assert seen == ["first"]


def test_a_health_finding_is_saved_and_told_before_the_run_ends(run: RunFolder) -> None:
    saved: list[int] = []
    watching = Watching(run, Lines(quiet=True), Health(rate_low=0.5), 32, saved.append)
    with pytest.raises(HealthAbort):
        watching(3, metrics(train__accuracy=0.0))
    assert saved == [3]
    assert [(e["kind"], e["step"]) for e in run.events()] == [("health", 3)]


def test_with_yes_the_finding_is_an_event_and_a_warning(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    saved: list[int] = []
    Watching(run, Lines(), Health(rate_low=0.5, yes=True), 32, saved.append)(3, metrics(train__accuracy=0.0))
    assert saved == []
    assert run.events()[0]["kind"] == "health"
    assert capsys.readouterr().err.startswith("warning: no success in 32 samples")


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_stop_signal_ends_the_run_after_its_step_is_saved(run: RunFolder, kind: int, code: int) -> None:
    saved: list[int] = []
    with stop_requests() as stop:
        stopping = Stopping(run, stop, saved.append)
        stopping(1, {})
        os.kill(os.getpid(), kind)
        assert saved == []  # the handler itself does nothing
        with pytest.raises(Stopped, match="after step 2") as caught:
            stopping(2, {})
    assert saved == [2]
    assert caught.value.exit_code == code
    assert caught.value.tries == (f"oneshot train --resume {run.path}",)
    assert run.events()[0] | {"time": 0} == {"time": 0, "attempt": 0, "kind": "stop", "step": 2, "signal": kind}


def test_a_second_ctrl_c_stops_at_once_and_a_second_sigterm_does_not() -> None:
    stop = StopRequest()
    stop.handle(signal.SIGTERM, None)
    stop.handle(signal.SIGTERM, None)
    assert stop.exit_code == 75
    with pytest.raises(KeyboardInterrupt):
        stop.handle(signal.SIGINT, None)
    assert StopRequest().exit_code == 0


def test_what_is_said_is_of_what_is_stopped(capfd: pytest.CaptureFixture[str]) -> None:
    StopRequest().handle(signal.SIGINT, None)
    assert capfd.readouterr().err == "\nstopping after this step and saving; Ctrl-C now stops without saving\n"
    with stop_requests(BATCH):
        os.kill(os.getpid(), signal.SIGINT)
    said = "\nstopping after this batch with finished responses kept; Ctrl-C now drops the others\n"
    assert capfd.readouterr().err == said


def test_three_dropped_updates_in_a_row_stop_the_run_and_two_do_not(run: RunFolder) -> None:
    saved: list[int] = []
    dropping = Dropping(run, Lines(quiet=True), saved.append)
    bad = {"dropped": 1.0, "loss": float("nan"), "grad_norm": 1.0}
    for step, seen in enumerate([bad, bad, {"dropped": 0.0}, bad, bad], start=1):
        dropping(step, seen)
    assert saved == []
    with pytest.raises(HealthAbort, match="of 3 steps in a row was not finite") as caught:
        dropping(6, bad)
    assert saved == [6]
    assert (caught.value.code, caught.value.exit_code) == ("E501", 5)
    assert [(event["kind"], event["step"], event["loss"]) for event in run.events()] == [
        ("dropped", step, None) for step in (0, 1, 3, 4, 5)
    ]


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    with stop_requests():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_the_main_thread_nothing_is_caught() -> None:
    seen: list[object] = []

    def work() -> None:
        with stop_requests() as stop:
            seen.append(stop.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [0]


@pytest.mark.parametrize(
    ("kind", "code", "why"), [(signal.SIGTERM, 75, "a stop signal"), (signal.SIGINT, 130, "Ctrl-C")]
)
def test_outside_the_loop_a_stop_signal_ends_the_run_at_once(run: RunFolder, kind: int, code: int, why: str) -> None:
    with pytest.raises(Stopped, match=f"stopped by {why}") as caught, failing(run):
        os.kill(os.getpid(), kind)
        raise AssertionError("not reached")
    assert caught.value.exit_code == code
    assert caught.value.tries == (f"oneshot train --resume {run.path}",)
    assert run.status()["state"] == "stopped"


def test_there_is_no_resume_line_before_there_is_an_example(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, [])
    with pytest.raises(Stopped) as caught, stops_at_once(run):
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.tries == ()


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (HealthAbort("x"), "failed"),
        (ZeroDivisionError(), "failed"),
        (Stopped("x", exit_code=75), "stopped"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_a_run_that_does_not_end_by_itself_says_so(run: RunFolder, error: BaseException, state: str) -> None:
    with pytest.raises(type(error)), failing(run):
        assert run.status()["state"] == "running"
        raise error
    assert run.status()["state"] == state


def test_a_run_that_ends_by_itself_keeps_the_state_it_wrote(run: RunFolder) -> None:
    with failing(run):
        run.write_status(state="done")
    assert run.status()["state"] == "done"


def group(number: int, rewards: list[int], tokens: int, finished: bool = True) -> Group:
    completions = tuple(
        Completion(
            tokens=(1,) * (tokens + i),
            logprobs=(-1.0,) * (tokens + i),
            text="",
            finished=finished,
            reward=float(reward),
            verdict=Verdict(correct=bool(reward), extracted="7" if reward else None, method="number"),
        )
        for i, reward in enumerate(rewards)
    )
    return Group(
        id=number,
        problem=Problem(id="p", prompt="?", answer="7"),
        prompt_tokens=(1,),
        completions=completions,
        policy_version=0,
    )


def test_the_metrics_of_two_groups_worked_by_hand() -> None:
    seen = rollout_metrics([group(0, [1, 0], 3), group(1, [0, 0], 5, finished=False)])
    assert seen["reward"] == seen["train/accuracy"] == seen["found"] == 0.25
    assert seen["reward_std"] == 0.25  # the mean of 1/2 and 0
    assert seen["frac_reward_zero_std"] == seen["signal"] == 0.5
    assert seen["completions/mean_length"] == 4.5  # 3, 4, 5, 6
    assert seen["completions/max_length"] == 6
    assert seen["completions/clipped_ratio"] == 0.5
    assert seen["num_tokens"] == 18


def test_dropped_groups_count_in_every_rate_but_not_in_the_signal() -> None:
    """Kept: one of two right. Dropped: four wrong ones. All: 1 of 6 right, 3 + 4 + 2 · (5 + 6) tokens."""
    seen = rollout_metrics([group(0, [1, 0], 3)], [group(0, [0, 0], 5), group(0, [0, 0], 5)])
    assert (seen["signal"], seen["frac_reward_zero_std"], seen["reward_std"]) == (1, 0, 0.5)
    assert seen["train/accuracy"] == seen["reward"] == pytest.approx(1 / 6)
    assert (seen["num_tokens"], seen["completions/max_length"]) == (29, 6)


def test_equal_groups_after_all_rounds_are_an_event_each_and_said_once(run: RunFolder) -> None:
    shown = Noted(quiet=True)
    redrawing = Redrawing(run, shown)
    redrawing(1, metrics())  # no dynamic sampling
    redrawing(2, metrics(rollout__rounds=1.0, rollout__equal_groups=0.0))
    for step in (3, 4):
        redrawing(step, metrics(rollout__rounds=4.0, rollout__equal_groups=2.0))
    events = [event for event in run.events() if event["kind"] == "rounds"]
    assert [(event["step"], event["rounds"], event["equal_groups"]) for event in events] == [(2, 4, 2), (3, 4, 2)]
    (note,) = shown.notes
    assert note.startswith("warning: after 4 rounds of sampling step 3 still has 2 groups with equal rewards")


class Noted(Lines):
    """Keeps what it is told."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)
