"""Who starts and who ends a pool's processes: odd callers, forks, failing starts, nothing left behind."""

from __future__ import annotations

import gc
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from oneshot.errors import DataError, MachineError
from oneshot.rewards.workers import WorkerPool

JOBS = "tests.worker_targets:jobs"
GUARD = 30.0
HEAD = f"""
import json, os, sys, time
from oneshot.rewards.workers import WorkerPool
pool = WorkerPool({JOBS!r}, deadline={GUARD})
"""


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + GUARD
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def script(tmp_path: Path, root: Path, body: str) -> list[str]:
    """The command of a script without a main guard."""
    file = tmp_path / "script.py"
    file.write_text(f"import sys; sys.path.insert(0, {str(root)!r})\n" + HEAD + body)
    return [sys.executable, "-W", "error", str(file)]


def run(tmp_path: Path, root: Path, body: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(script(tmp_path, root, body), capture_output=True, text=True, timeout=2 * GUARD, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_a_script_without_a_main_guard_keeps_its_stdout(tmp_path: Path, root: Path) -> None:
    done = run(tmp_path, root, "print(json.dumps(pool(['say', 'hello']).value))\n")
    assert done.stdout == "5\n" and done.stderr == "hello\nby descriptor\n"  # nor is a second process or socket told of


DAEMON = """
import multiprocessing
def inside():
    print(json.dumps([multiprocessing.current_process().daemon, pool(['twice', 4]).value]), flush=True)
process = multiprocessing.get_context("fork").Process(target=inside, daemon=True)
process.start()
process.join()
"""


def test_inside_a_daemonic_process(tmp_path: Path, root: Path) -> None:
    assert json.loads(run(tmp_path, root, DAEMON).stdout) == [True, 8]


FORK = """
def pids():
    return [pool(["parent", 0]).value, pool(["pid", 0]).value]
before, (ours, theirs) = pids(), os.pipe()
child = os.fork()
if child == 0:
    os.write(theirs, json.dumps([pids(), [pool(["twice", n]).value for n in range(300)]]).encode())
    sys.exit(0)  # with everything that runs at an interpreter's end
here = [pool(["twice", -n]).value for n in range(300)]  # at the same time
os.waitpid(child, 0)
theirs, answers = json.loads(os.read(ours, 1 << 16))
print(json.dumps([before, pids(), here, theirs, answers]))
"""


def test_a_fork_of_the_caller_gets_processes_of_its_own(tmp_path: Path, root: Path) -> None:
    before, after, here, theirs, answers = json.loads(run(tmp_path, root, FORK).stdout)
    assert before == after, "the child has ended a process of its parent"
    assert not set(before) & set(theirs)
    assert here == [-2 * number for number in range(300)] and answers == [2 * number for number in range(300)]


KILLED = """
import threading, psutil
pool.start()
threading.Thread(target=pool, args=(["hang", 0],), daemon=True).start()
other = WorkerPool("tests.worker_targets:jobs")
other.start()
print(json.dumps([child.pid for child in psutil.Process().children(recursive=True)]), flush=True)
time.sleep(600)
"""


def test_a_caller_that_is_killed_leaves_no_process_behind(tmp_path: Path, root: Path) -> None:
    with subprocess.Popen(script(tmp_path, root, KILLED), stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        pids = json.loads(caller.stdout.readline())
        assert len(pids) == 4 and all(alive(pid) for pid in pids)
        caller.send_signal(signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in pids))


def test_ctrl_c_in_the_caller_leaves_no_process_behind(tmp_path: Path, root: Path) -> None:
    # A test run in the background of a shell inherits an ignored SIGINT.
    body = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    body += "print(json.dumps([pool(['parent', 0]).value, pool(['pid', 0]).value]), flush=True)\npool(['hang', 0])\n"
    with subprocess.Popen(
        script(tmp_path, root, body), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as caller:
        assert caller.stdout is not None and caller.stderr is not None
        pids = json.loads(caller.stdout.readline())
        os.killpg(caller.pid, signal.SIGINT)  # what a terminal does
        assert "KeyboardInterrupt" in caller.stderr.read()
    until(lambda: not any(alive(pid) for pid in pids))


def test_closing_twice_ends_everything_and_a_later_job_is_an_error() -> None:
    pool = WorkerPool(JOBS, deadline=GUARD)
    pids = [pool(["parent", 0]).value, pool(["pid", 0]).value]
    with ThreadPoolExecutor(2) as threads:
        running, waiting = (threads.submit(pool, ["hang", 0]) for _ in range(2))
        until(lambda: not pool._crew._idle)
        pool.close()
        pool.close()
        assert not any(alive(pid) for pid in pids)
        for outcome in (running.result(GUARD), waiting.result(GUARD), pool(["twice", 1])):
            assert (outcome.status, outcome.message) == ("error", "the pool of workers is closed")


def test_a_pool_that_is_forgotten_ends_its_processes() -> None:
    pool = WorkerPool(JOBS, deadline=GUARD)
    pids = [pool(["parent", 0]).value, pool(["pid", 0]).value]
    del pool
    gc.collect()
    assert not any(alive(pid) for pid in pids)


def test_a_pool_that_never_worked_has_no_process() -> None:
    before = len(psutil.Process().children())
    with WorkerPool(JOBS):
        assert len(psutil.Process().children()) == before


def test_a_pickled_pool_is_a_new_one() -> None:
    with WorkerPool("tests.worker_targets:adder", (5,), deadline=GUARD, size=3) as pool:
        other = pickle.loads(pickle.dumps(pool))
        with other:
            assert (other(1).value, other.size, other.deadline) == (6, 3, GUARD)


@pytest.mark.parametrize(
    ("target", "arguments", "message"),
    [
        ("tests.worker_targets:failing", ("no luck",), "ValueError: no luck"),
        ("tests.worker_targets:adder2", (), "AttributeError"),
        ("tests.no_such_module:jobs", (), "ModuleNotFoundError"),
        ("tests.worker_targets:exiting", (), "its process ended while starting (exit status 3)"),
    ],
)
def test_a_failing_factory_says_why(target: str, arguments: tuple[str, ...], message: str) -> None:
    with WorkerPool(target, arguments, size=2) as pool:
        with pytest.raises(DataError) as caught:
            pool.start()
        assert message in caught.value.message and target in caught.value.message and caught.value.code == "E305"
        outcome = pool("a job")
        assert outcome.status == "error" and message in outcome.message


def test_a_factory_that_never_comes_back_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneshot.rewards.workers.crew.START_SECONDS", 0.3)
    with WorkerPool("tests.worker_targets:sleeping") as pool, pytest.raises(DataError, match=r"within 0\.3 s"):
        pool.start()


def test_without_a_python_there_is_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with WorkerPool(JOBS) as pool:
        with pytest.raises(MachineError, match="no worker process could be started"):
            pool.start()
        assert pool(["twice", 1]).status == "error"


def test_a_worker_sees_the_callers_folder_and_search_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text("def factory():\n    return lambda job: job + 1\n")
    (tmp_path / "json.py").write_text("raise SystemExit('the standard library is hidden')\n")
    monkeypatch.chdir(tmp_path)  # in which a module of the standard library's name lies, as it happens
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    with WorkerPool("elsewhere:factory", deadline=GUARD) as pool, WorkerPool(JOBS, deadline=GUARD) as other:
        assert pool(1).value == 2
        assert other(["path", 0]).value == [sys.path, str(tmp_path)]


def test_a_nursery_loads_no_torch() -> None:
    with WorkerPool(JOBS, deadline=GUARD) as pool:
        assert [pool(["loaded", name]).value for name in ("torch", "numpy", "sympy", "json")] == [False] * 3 + [True]
