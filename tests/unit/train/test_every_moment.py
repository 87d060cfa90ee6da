"""A kill at every moment of a save, one after the other: the older pair is whole, or the newer one is."""

from __future__ import annotations

import os
import shutil
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from oneshot.record import RunFolder
from oneshot.stages.loop import TrainParts, train
from tests.dying import dying
from tests.unit.train.runs import new_run, parts_of, restore, save, trained, weights


def in_a_child(work: Callable[[], object]) -> int:
    """Status of a forked process that does some work: 0, or minus the signal that ended it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads, which are idle here
        pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture(scope="module")
def at_six(tmp_path_factory: pytest.TempPathFactory) -> TrainParts:
    """Six steps done, saved after two and four."""
    return trained(new_run(tmp_path_factory.mktemp("six")), steps=6, save_at=(2, 4))


@pytest.mark.parametrize("keep", [1, 2])
def test_a_kill_at_every_moment_of_a_save(at_six: TrainParts, tmp_path: Path, keep: int) -> None:
    done = weights(at_six)
    at_four = parts_of(RunFolder(Path(shutil.copytree(at_six.record.path, tmp_path / "four"))), steps=4)
    assert restore(at_four) == 4
    expected = {4: weights(at_four), 6: done}
    reached, status, moment = [], -signal.SIGKILL, 0
    while status == -signal.SIGKILL:
        moment += 1
        run = RunFolder(Path(shutil.copytree(at_six.record.path, tmp_path / str(moment))))
        checkpoints = at_six.checkpoints
        checkpoints.run, checkpoints.keep = run, keep

        def saving(moment: int = moment) -> None:
            dying(moment)
            save(at_six, 6)

        status = in_a_child(saving)
        parts = parts_of(run, steps=7, keep=keep)
        reached.append(restore(parts))
        for name, tensor in weights(parts).items():
            assert torch.equal(tensor, expected[reached[-1]][name])
        assert not [event for event in run.events() if event["kind"] == "damaged"]
        assert not list(run.checkpoints_dir.glob(".*"))
        shutil.rmtree(run.path)
    assert status == 0
    assert moment > 30
    assert reached == sorted(reached)
    assert reached.count(4) > 15
    assert reached.count(6) > 5


def test_a_kill_at_every_moment_of_a_resume(at_six: TrainParts, tmp_path: Path) -> None:
    """Cutting back and passing over what is damaged can be done again from wherever they stopped."""
    source = RunFolder(Path(shutil.copytree(at_six.record.path, tmp_path / "source")))
    (source.last_state_dir / "optimizer.pt").write_bytes(b"")
    status, moment = -signal.SIGKILL, 0
    while status == -signal.SIGKILL:
        moment += 1
        run = RunFolder(Path(shutil.copytree(source.path, tmp_path / str(moment))))

        def resuming(run: RunFolder = run, moment: int = moment) -> None:
            run.start_attempt()
            parts = parts_of(run, steps=3)
            dying(moment)
            restore(parts)

        status = in_a_child(resuming)
        again = RunFolder(run.path)
        again.start_attempt()
        parts = parts_of(again, steps=3)
        train(parts)
        assert [row["step"] for row in again.metrics()] == [0, 1, 2]
        assert again.rollout_steps() == [0, 1, 2]
        moved = [row for path in run.path.glob("logs/*/metrics.jsonl") for row in path.read_text().splitlines()]
        assert len(set(moved)) == 4  # steps 2 to 5, none lost
        assert len((again.path / "metrics.jsonl").read_text().splitlines()) == 3
        shutil.rmtree(run.path)
    assert status == 0
    assert moment > 10
