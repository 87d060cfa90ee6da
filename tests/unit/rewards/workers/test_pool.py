from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.rewards.workers import WorkerPool, crew
from oneshot.rewards.workers.hatchery import Singles

JOBS = "tests.worker_targets:jobs"
GUARD = 30.0  # seconds after which something hangs; no measure of speed


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def until(what: Any) -> None:
    """Wait for it, as long as the guard allows."""
    end = time.monotonic() + GUARD
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


@pytest.fixture(params=["forked", "single"])
def pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerPool]:
    if request.param == "single":  # what a system without fork gets
        monkeypatch.setattr(crew, "hatchery", Singles)
    with WorkerPool(JOBS, deadline=GUARD) as made:
        yield made


@pytest.fixture(scope="module")
def shared() -> Iterator[WorkerPool]:
    with WorkerPool(JOBS, deadline=GUARD) as made:
        yield made


def test_a_job_is_answered(pool: WorkerPool) -> None:
    outcome = pool(["twice", 21])
    assert (outcome.value, outcome.status, outcome.message, outcome.printed) == (42, "ok", "", False)
    assert 0 < outcome.seconds < GUARD


def test_the_factory_gets_its_arguments() -> None:
    with WorkerPool("tests.worker_targets:adder", (0.5, 2), deadline=GUARD) as adder:
        assert adder(1).value == 3.5


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (["raise", 3], "IndexError: list index out of range"),
        (["leave", 0], "SystemExit: 0"),
        (["interrupt", 0], "KeyboardInterrupt"),
        (["mute", 0], "MuteError"),
    ],
)
def test_what_a_job_raises_is_an_answer_and_the_worker_lives_on(shared: WorkerPool, job: Any, message: str) -> None:
    before = shared(["pid", 0]).value
    outcome = shared(job)
    assert (outcome.value, outcome.status, outcome.message) == (None, "error", message)
    assert shared(["pid", 0]).value == before


@pytest.mark.parametrize("name", ["hang", "spin"])  # one that sleeps, one that never comes back from C
def test_a_hang_is_killed_and_the_next_job_works(pool: WorkerPool, name: str) -> None:
    pool.start()
    pool.deadline = 0.3
    outcome = pool([name, 0])
    assert outcome.status == "timeout" and "0.3 s" in outcome.message
    assert 0.3 <= outcome.seconds < GUARD
    pool.deadline = GUARD
    assert pool(["twice", 2]).value == 4


def test_what_a_job_started_is_killed_with_it(shared: WorkerPool, tmp_path: Path) -> None:
    with WorkerPool(JOBS, deadline=1.0) as hasty:
        assert hasty(["children", str(tmp_path / "pids")]).status == "timeout"
    until((tmp_path / "pids").exists)
    pid = int((tmp_path / "pids").read_text())
    until(lambda: not alive(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="no other system enforces the limit")
def test_a_memory_bomb_is_stopped_at_the_limit() -> None:
    with WorkerPool(JOBS, deadline=GUARD, memory=64 << 20) as small:
        assert small(["hog", 80 << 20]).status == "memory"
        assert small(["hog", 16 << 20]).value == 16 << 20
    with WorkerPool(JOBS, deadline=GUARD, memory=None) as free:
        assert free(["hog", 80 << 20]).status == "ok"


def test_a_worker_killed_in_the_middle_costs_no_answer(pool: WorkerPool, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(pool, ["wait_once", str(pids)])
        until(lambda: pids.exists() and pids.read_text().endswith("\n"))
        os.kill(int(pids.read_text()), signal.SIGKILL)
        assert answer.result(GUARD).value == "second"
    assert len(set(pids.read_text().split())) == 2


@pytest.mark.parametrize(("job", "how"), [("die", "signal 9"), ("crash", "signal 11"), ("exit", "exit status 3")])
def test_a_job_that_always_kills_its_worker_is_reported_after_two_tries(
    shared: WorkerPool, tmp_path: Path, job: str, how: str
) -> None:
    pids = tmp_path / "pids"
    outcome = shared([job, str(pids) if job == "die" else 3])
    assert outcome.status == "error" and how in outcome.message
    if job == "die":
        assert len(pids.read_text().split()) == 2
    assert shared(["twice", 1]).value == 2
    nursery = psutil.Process(shared(["parent", 0]).value)
    assert [child.status() for child in nursery.children()].count(psutil.STATUS_ZOMBIE) == 0


def test_an_idle_worker_that_was_killed_is_no_try(shared: WorkerPool, tmp_path: Path) -> None:
    pid = shared(["pid", 0]).value
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    assert shared(["die_once", str(tmp_path / "pids")]).value == "second"


def test_the_nursery_may_be_killed_too(shared: WorkerPool) -> None:
    nursery = shared(["parent", 0]).value
    os.kill(nursery, signal.SIGKILL)
    until(lambda: not alive(nursery))
    assert shared(["twice", 5]).value == 10


def test_an_answer_out_of_turn_is_no_other_jobs_answer(shared: WorkerPool) -> None:
    assert shared(["babble", 0]).status == "error"
    assert shared(["twin", 0]).value == 1
    assert [shared(["twice", number]).value for number in range(5)] == [0, 2, 4, 6, 8]


def test_eight_threads_on_two_workers_get_their_own_answers() -> None:
    with WorkerPool(JOBS, size=2, deadline=GUARD) as two, ThreadPoolExecutor(8) as threads:
        two.start()
        pids = list(threads.map(lambda _: two(["pid", 0]).value, range(200)))
        answers = list(threads.map(lambda number: two(["twice", number]).value, range(400)))
    assert answers == [2 * number for number in range(400)]
    assert 1 <= len(set(pids)) <= 2


def test_waiting_for_a_worker_is_not_counted() -> None:
    with WorkerPool(JOBS, deadline=1.5) as one, ThreadPoolExecutor(7) as threads:
        assert {outcome.status for outcome in threads.map(one, [["sleep", 0.3]] * 7)} == {"ok"}  # 2.1 s for the last


def test_asyncio_directly_and_in_a_thread(shared: WorkerPool) -> None:
    async def both() -> list[Any]:
        threads = [asyncio.to_thread(shared, ["twice", number]) for number in range(5)]
        return [shared(["twice", 7]).value, *(outcome.value for outcome in await asyncio.gather(*threads))]

    assert asyncio.run(both()) == [14, 0, 2, 4, 6, 8]


def test_prints_do_not_reach_stdout_and_are_noticed(shared: WorkerPool, capfd: pytest.CaptureFixture[str]) -> None:
    with WorkerPool(JOBS, deadline=GUARD) as fresh:  # made under capfd, whose descriptors it inherits
        assert fresh(["say", "hello"]).printed
        assert not fresh(["twice", 1]).printed
        assert fresh(["read", 0]).value == ""  # stdin is empty
    out, err = capfd.readouterr()
    assert out == "" and "hello" in err and "by descriptor" in err


@pytest.mark.parametrize(
    ("job", "part"), [(["set", 0], "set"), (["object", 0], "object"), (["long", 17 << 20], "bytes as JSON")]
)
def test_a_value_that_is_no_json_is_an_error(shared: WorkerPool, job: Any, part: str) -> None:
    outcome = shared(job)
    assert outcome.status == "error" and part in outcome.message and "cannot be passed on" in outcome.message
    assert shared(["twice", 1]).value == 2


def test_a_job_that_is_no_json_is_an_error_and_arguments_a_type_error(shared: WorkerPool) -> None:
    assert "cannot be passed on" in shared(["echo", {1, 2}]).message
    with pytest.raises(TypeError):
        WorkerPool(JOBS, (object(),))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_json_comes_back_as_it_was(shared: WorkerPool, value: Any) -> None:
    assert repr(shared(["echo", value]).value) == repr(value)  # NaN and lone surrogates too


def test_a_worker_is_replaced_after_its_jobs_or_when_it_has_grown() -> None:
    with WorkerPool(JOBS, deadline=GUARD, recycle=3) as short:
        pids = [short(["pid", 0]).value for _ in range(7)]
    assert pids[0] == pids[1] == pids[2] != pids[3] == pids[4] == pids[5] != pids[6]


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_a_worker_that_has_grown_is_replaced(shared: WorkerPool) -> None:
    first = shared(["keep", 1 << 20]).value
    assert shared(["keep", 300 << 20]).value == first
    assert shared(["keep", 1 << 20]).value != first
