"""Whether a run goes on: told, seen and looked for."""

from __future__ import annotations

from typing import Any

import pytest

from oneshot.measure.heartbeat import FIRST, Process, ago, heartbeat, step_seconds

HERE, ALIVE, UNKNOWN = Process(alive=False, here=True), Process(alive=True, here=True), Process()
ELSEWHERE = Process(alive=False, here=False)


def beat(process: Process, age: float, *, step: float = 2.0, **more: Any) -> str:
    status = {"state": "running", "updated": 1000.0, "pid": 7}
    return heartbeat(status, [{"step_time": step}], [], process, 1000.0 + age, **more).state


@pytest.mark.parametrize(
    ("process", "age", "step", "state"),
    [
        (ALIVE, 299, 2, "running"),
        (ALIVE, 301, 2, "silent"),
        (ALIVE, 301, 60, "running"),  # a step takes a minute
        (UNKNOWN, 10_000, 2, "silent"),  # never gone where it cannot be known
        (HERE, 9, 2, "running"),
        (HERE, 11, 2, "gone"),
        (ELSEWHERE, 59, 2, "running"),
        (ELSEWHERE, 61, 2, "gone"),
        (ELSEWHERE, 100, 50, "running"),
    ],
)
def test_a_running_run(process: Process, age: float, step: float, state: str) -> None:
    assert beat(process, age, step=step) == state


def test_any_sign_of_life_counts() -> None:
    now = 2000.0
    status = {"state": "running", "updated": 1000.0, "pid": 7}
    for rows, events, written in (
        ([{"time": 1990.0}], [], 0.0),
        ([], [{"time": 1990.0}], 0.0),
        ([], [], 1990.0),
    ):
        assert heartbeat(status, rows, events, HERE, now, written).age == 10.0
    assert heartbeat(status, [], [], HERE, now).state == "gone"
    assert heartbeat(status, [{"time": 3000.0}], [], ELSEWHERE, now).age == 0.0  # another machine's clock


def test_a_clock_that_was_put_back_keeps_nobody_alive() -> None:
    status = {"state": "running", "updated": 5000.0, "pid": 7}
    dead, living = (heartbeat(status, [{}], [], process, 1400.0) for process in (HERE, ALIVE))
    assert (dead.state, dead.age) == ("gone", None)
    assert (living.state, living.sentence()) == ("running", "running, last sign of life unknown")
    assert heartbeat(status, [{}], [], HERE, 4995.0).state == "running"  # clocks are not that exact


@pytest.mark.parametrize(
    ("phase", "process", "rows", "state", "said"),
    [
        ("preflight", ALIVE, [], "running", "running, in the preflight, last sign of life 15 min ago"),
        ("evaluating", ALIVE, [{"step_time": 2.0}], "running", "running, evaluating, last sign of life 15 min ago"),
        ("evaluating", UNKNOWN, [{}], "silent", "no sign of life for 15 min, evaluating, though process 7 may"),
        ("preflight", HERE, [], "gone", "the process is gone"),
        (None, ALIVE, [], "running", "running, starting, last"),  # of an older version, before its first step
        (["x"], ALIVE, [{}], "silent", "no sign of life for 15 min, though process 7 may"),
    ],
)
def test_a_process_that_exists_may_be_silent_for_long_in_a_phase(
    phase: object, process: Process, rows: list[dict[str, Any]], state: str, said: str
) -> None:
    status = {"state": "running", "updated": 1000.0, "pid": 7, "phase": phase}
    found = heartbeat(status, rows, [], process, 1900.0)
    assert found.state == state
    assert found.sentence().startswith(said)


def test_a_process_that_hangs_in_a_phase_is_silent_in_the_end() -> None:
    def state(age: float, *rows: dict[str, Any]) -> str:
        status = {"state": "running", "updated": 60_000.0, "pid": 7, "phase": "evaluating"}
        return heartbeat(status, rows, [], ALIVE, 60_000.0 + age).state

    first, second = ({"step": i, "time": 18_000.0 + 4000 * i, "attempt": 1} for i in (8, 9))
    unknown: list[tuple[dict[str, Any], ...]] = [(), (first,), ({"step": 8}, second)]
    unknown += [(first, {**second, "attempt": 2}), (first, {**second, "step": 10})]
    for rows in unknown:
        assert (state(3599, *rows), state(3601, *rows)) == ("running", "silent")
    assert (state(11_999, first, second), state(12_001, first, second)) == ("running", "silent")  # readings took 4000 s


@pytest.mark.parametrize("told", [{}, {"phase": "starting"}])
def test_the_first_step_is_no_starting(told: dict[str, Any]) -> None:
    status = {"state": "running", "updated": 1000.0, "pid": 7} | told
    events = [{"kind": "attempt", "time": 1001.0}]
    found = heartbeat(status, [], events, ALIVE, 1601.0)
    assert (found.phase, found.state) == (FIRST, "running")  # its length is not known yet
    assert found.sentence() == "running, in the first step, last sign of life 10 min ago"
    assert heartbeat(status, [{"step": 4}], events, ALIVE, 1004.0).phase == ""  # of a run that was resumed
    assert heartbeat(status | {"updated": 1002.0}, [], events, ALIVE, 1004.0).phase == "starting"  # resumed since


def test_a_phase_is_of_a_running_run_alone() -> None:
    assert heartbeat({"state": "failed", "phase": "preflight"}, [], [], UNKNOWN, 5.0).phase == ""


@pytest.mark.parametrize("state", ["done", "stopped", "failed"])
def test_what_ended_is_over(state: str) -> None:
    found = heartbeat({"state": state, "pid": 7}, [], [], HERE, 5.0)
    assert (found.state, found.over, found.sentence()) == (state, True, state)


def test_no_status_at_all() -> None:
    found = heartbeat({}, [], [], UNKNOWN, 5.0)
    assert (found.state, found.age, found.pid, found.over) == ("unknown", None, None, False)
    assert "does not say" in found.sentence()


def test_sentences() -> None:
    status = {"state": "running", "updated": 100.0, "pid": 7}
    assert heartbeat(status, [{}], [], ALIVE, 104.0).sentence() == "running, last sign of life 4 s ago"
    gone = heartbeat(status, [], [], HERE, 820.0).sentence()
    assert gone.startswith("the process is gone: status.json says running, process 7 does not exist")
    assert gone.endswith("12 min old")


def test_times() -> None:
    assert [ago(s) for s in (0.4, 89, 90, 5399, 5400, 172_800)] == [
        "0 s",
        "89 s",
        "2 min",
        "90 min",
        "1.5 h",
        "2.0 days",
    ]
    assert step_seconds([{"step_time": 100.0}, *({"step_time": float(t)} for t in range(1, 10))]) == 5.0
    assert step_seconds([{"step_time": None}, {}]) == 0.0
