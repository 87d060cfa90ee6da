"""A run that was interrupted ends as if it had not been, wherever the kill fell."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from oneshot.record import RunFolder
from oneshot.stages.loop import TrainParts, train
from tests.unit.train.runs import assert_equal_runs, new_run, parts_of, restore, save, trained, weights

SAVES = (2, 4, 6)


class Killed(BaseException):
    """Stands for a SIGKILL, as far as one process can."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, TrainParts]:
    """Six steps without interruption."""
    run = new_run(tmp_path_factory.mktemp("whole"))
    return run, trained(run, steps=6, save_at=SAVES)


def continued(run: RunFolder, steps: int = 6) -> TrainParts:
    """A new attempt on the same folder, up to the end."""
    again = RunFolder(run.path)
    again.start_attempt()
    return trained(again, steps=steps, save_at=SAVES)


def test_three_and_three_steps_are_six(tmp_path: Path) -> None:
    straight, broken = new_run(tmp_path / "straight"), new_run(tmp_path / "broken")
    parts = trained(straight, steps=6, save_at=(3, 6))
    trained(broken, steps=3, save_at=(3,))
    again = RunFolder(broken.path)
    again.start_attempt()
    resumed = trained(again, steps=6, save_at=(3, 6))
    assert_equal_runs(straight, parts, broken, resumed, 6)
    assert [row["attempt"] for row in broken.metrics()] == [1, 1, 1, 2, 2, 2]
    assert [event["step"] for event in broken.events() if event["kind"] == "save"] == [3, 6]
    # The comparison can fail: rewards differ inside groups, and training moved the weights.
    assert all(row["grad_norm"] > 1e-3 for row in broken.metrics())
    assert any(0 < row["reward"] < 1 for row in broken.metrics())


def test_steps_done_after_the_last_save_are_done_again(tmp_path: Path, whole: tuple[RunFolder, TrainParts]) -> None:
    run = new_run(tmp_path)
    trained(run, steps=5, save_at=SAVES)
    assert_equal_runs(*whole, run, continued(run), 6)
    assert [row["attempt"] for row in run.metrics()] == [1, 1, 1, 1, 2, 2]


def test_a_kill_between_the_checkpoint_and_its_state(
    tmp_path: Path, whole: tuple[RunFolder, TrainParts], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path)
    parts = parts_of(run, steps=4, save_at=SAVES)
    original = parts.checkpoints._write_state

    def killed_at_four(state: dict[str, object], learner: object) -> None:
        if state["step"] == 4:
            raise Killed
        original(state, learner)  # type: ignore[arg-type]

    monkeypatch.setattr(parts.checkpoints, "_write_state", killed_at_four)
    with pytest.raises(Killed):
        train(parts)
    assert run.checkpoints() == [2, 4]
    leave_half_written(run)
    again = parts_of(run, steps=6)
    assert restore(again) == 2
    # The history on disk knows of steps 2 and 3; a curriculum may not see its own future.
    assert {row["step"] for row in again.history.rows()} == {0, 1}
    assert_equal_runs(*whole, run, continued(run), 6)


def leave_half_written(run: RunFolder) -> None:
    """What a kill in the middle of writing leaves: temporary folders with something in them."""
    for name in (".checkpoint-4-ab12", ".last_state-cd34"):
        (run.checkpoints_dir / name).mkdir()
        (run.checkpoints_dir / name / "model.safetensors").write_bytes(b"half")


def test_a_kill_between_the_two_renames_of_the_state(tmp_path: Path, whole: tuple[RunFolder, TrainParts]) -> None:
    run = new_run(tmp_path)
    trained(run, steps=2, save_at=SAVES)
    os.rename(run.last_state_dir, run.previous_state_dir)
    parts = parts_of(run, steps=4)
    shutil.copytree(run.checkpoint_dir(2), run.checkpoint_dir(4))  # the newer one's state had no name yet
    leave_half_written(run)
    assert restore(parts) == 2
    assert sorted(os.listdir(run.checkpoints_dir)) == ["checkpoint-2", "checkpoint-4", "last_state"]
    assert_equal_runs(*whole, run, continued(run), 6)


def test_restoring_keeps_the_reference_and_the_shared_weights(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    first = trained(run, steps=2, save_at=(2,))
    again = parts_of(run, steps=4)
    initial, places = weights(again), [p.data_ptr() for p in again.learner.parameters]
    assert restore(again) == 2
    assert all(torch.equal(tensor, weights(first)[name]) for name, tensor in weights(again).items())
    assert any(not torch.equal(tensor, initial[name]) for name, tensor in weights(again).items())
    assert [p.data_ptr() for p in again.learner.parameters] == places  # in place: the sampler sees them too
    assert again.learner.reference is not None
    assert all(torch.equal(tensor, initial[name]) for name, tensor in again.learner.reference.state_dict().items())
    assert again.learner.policy.head is again.learner.policy.model.get_input_embeddings().weight


def test_a_new_run_begins_at_zero(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    parts = parts_of(run, steps=1)
    before = weights(parts)
    assert restore(parts) == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(parts).items())


def test_saving_a_step_twice_writes_it_once(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    parts = trained(run, steps=1, save_at=(1,))
    written = (run.checkpoint_dir(1) / "model.safetensors").stat().st_mtime_ns
    save(parts, 1)
    assert (run.checkpoint_dir(1) / "model.safetensors").stat().st_mtime_ns == written
    assert [event["kind"] for event in run.events()] == ["save"]
