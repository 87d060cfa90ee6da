"""Saving: what is kept, what a full disk leaves, and what damage is called."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from oneshot.errors import MachineError, UsageError
from oneshot.model import policy as policies
from oneshot.record import RunFolder
from tests.parts import files_of_at_most
from tests.unit.train.runs import new_run, parts_of, restore, save, saved_weights, trained, weights


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return new_run(tmp_path)


@pytest.mark.parametrize(("keep", "kept"), [(1, [4]), (2, [3, 4]), (9, [1, 2, 3, 4]), (0, [4])])
def test_the_last_checkpoints_are_kept(run: RunFolder, keep: int, kept: list[int]) -> None:
    trained(run, steps=4, save_at=(1, 2, 3, 4), keep=keep)
    assert run.checkpoints() == kept
    assert restore(parts_of(run, steps=4)) == 4


@pytest.mark.parametrize(("keep", "kept"), [(1, [2, 5]), (2, [2, 4, 5]), (4, [2, 3, 4, 5])])
def test_the_best_stays_beside_them(run: RunFolder, keep: int, kept: list[int]) -> None:
    trained(run, steps=5, save_at=(1, 2, 3, 4, 5), keep=keep, best=lambda step: min(step, 2))
    assert run.checkpoints() == kept
    assert restore(parts_of(run, steps=5)) == 5


def test_one_that_became_the_best_after_it_was_saved_lets_the_one_before_go(run: RunFolder) -> None:
    chosen = [1]
    parts = trained(run, steps=3, save_at=(1, 3), keep=1, best=lambda step: chosen[0])
    assert run.checkpoints() == [1, 3]
    chosen[0] = 3
    save(parts, 3)
    assert run.checkpoints() == [3]
    assert [event["step"] for event in run.events() if event["kind"] == "save"] == [1, 3]


def test_a_later_checkpoint_of_a_killed_attempt_does_not_push_out_the_state_s_own(run: RunFolder) -> None:
    trained(run, steps=2, save_at=(2,))
    shutil.copytree(run.checkpoint_dir(2), run.checkpoint_dir(9))
    trained(run, steps=3, save_at=(3,), keep=1)
    assert run.checkpoints() == [3, 9]
    assert restore(parts_of(run, steps=4)) == 3


def test_without_optimiser_states_the_one_that_is_there_keeps_its_checkpoint(run: RunFolder) -> None:
    trained(run, steps=1, save_at=(1,))
    parts = parts_of(run, steps=3, keep=1, optimizer=False)
    restore(parts)
    for step in (2, 3):
        save(parts, step)
    assert run.checkpoints() == [1, 3]
    assert restore(parts_of(run, steps=4)) == 1


def test_without_the_optimiser_there_is_nothing_to_continue_from(run: RunFolder) -> None:
    trained(run, steps=2, save_at=(1, 2), optimizer=False)
    assert sorted(os.listdir(run.checkpoints_dir)) == ["checkpoint-1", "checkpoint-2"]
    assert restore(parts_of(run, steps=4, optimizer=False)) == 0


def test_a_checkpoint_is_a_plain_model_folder(run: RunFolder) -> None:
    parts = trained(run, steps=1, save_at=(1,))
    policy = policies.load(str(run.checkpoint_dir(1)), home=run.path, offline=True)
    for name, tensor in parts.learner.policy.model.state_dict().items():
        assert tensor.equal(policy.model.state_dict()[name].cpu()), name
    assert "lm_head.weight" not in saved_weights(run, 1)  # tied, so saved once


def assert_whole_at(run: RunFolder, step: int, checkpoints: list[int]) -> None:
    """Only whole checkpoints and states are there, and a run continues from `step`."""
    states = {"last_state", "previous_state"} & set(os.listdir(run.checkpoints_dir))
    expected = sorted([f"checkpoint-{i}" for i in checkpoints] + [*states])
    assert "last_state" in states
    assert sorted(os.listdir(run.checkpoints_dir)) == expected
    for number in checkpoints:
        policies.load(str(run.checkpoint_dir(number)), home=run.path, offline=True)
    assert restore(parts_of(run, steps=9)) == step


# A checkpoint's weights take 107 kB and the moments 215 kB, so the second limit lets the first through.
@pytest.mark.parametrize(("limit", "checkpoints"), [(50_000, [1, 2]), (150_000, [1, 2, 3])])
def test_a_disk_that_fills_up(run: RunFolder, limit: int, checkpoints: list[int]) -> None:
    parts = trained(run, steps=3, save_at=(1, 2))
    with files_of_at_most(limit), pytest.raises(MachineError, match="could not be written") as caught:
        save(parts, 3)
    assert (caught.value.code, caught.value.exit_code) == ("E202", 3)
    assert "whole" in caught.value.kept
    assert_whole_at(run, 2, checkpoints)
    save(parts, 3)  # there is room again
    assert_whole_at(run, 3, [2, 3])


def test_no_space_left_as_the_system_says_it(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = trained(run, steps=2, save_at=(1,))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(parts.learner.policy.model, "save_pretrained", full)
        with pytest.raises(MachineError, match="No space left on device") as caught:
            save(parts, 2)
    assert caught.value.code == "E202"
    assert_whole_at(run, 1, [1])


def test_the_old_state_comes_back_when_the_new_one_cannot_take_its_place(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = trained(run, steps=2, save_at=(1,))
    rename = os.replace

    def fails_once(source: Path, target: Path) -> None:
        if Path(target) == run.last_state_dir and Path(source).name != "previous_state":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fails_once)
        with pytest.raises(MachineError, match="optimiser state could not be written"):
            save(parts, 2)
    assert_whole_at(run, 1, [1, 2])


def steps_of(run: RunFolder) -> list[int]:
    return [json.loads(line)["step"] for line in run.history_path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_run_whose_history_lacks_a_step_is_not_continued(run: RunFolder, lost: int) -> None:
    trained(run, steps=3, save_at=(3,))
    whole = run.history_path.read_bytes()
    assert set(steps_of(run)) == {0, 1, 2}
    kept = [line for line in whole.splitlines(keepends=True) if json.loads(line)["step"] != lost]
    run.history_path.write_bytes(b"".join(kept))
    parts = parts_of(run, steps=4)
    before = weights(parts)
    with pytest.raises(UsageError, match=rf"history\.jsonl holds no visit of step {lost}, though 3 steps") as caught:
        restore(parts)
    assert (caught.value.code, caught.value.exit_code) == ("E107", 2)
    assert "history.jsonl back from a copy" in caught.value.tries[0]
    assert f"--model {run.checkpoint_dir(3)}" in caught.value.tries[1]
    assert all(before[name].equal(tensor) for name, tensor in weights(parts).items())  # nothing was loaded
    run.history_path.write_bytes(whole)
    assert restore(parts) == 3
    assert [row["step"] for row in parts.history.rows()] == steps_of(run)


def test_a_run_without_its_history_is_not_continued(run: RunFolder) -> None:
    trained(run, steps=2, save_at=(2,))
    run.history_path.unlink()
    with pytest.raises(UsageError, match=r"history\.jsonl is missing") as caught:
        restore(parts_of(run, steps=4))
    assert caught.value.code == "E107"


def test_before_the_first_save_no_history_is_asked_for(run: RunFolder) -> None:
    trained(run, steps=1)
    assert not run.history_path.exists()
    assert restore(parts_of(run, steps=4)) == 0


def test_a_checkpoint_that_is_gone(run: RunFolder) -> None:
    trained(run, steps=2, save_at=(2,))
    shutil.rmtree(run.checkpoint_dir(2))
    with pytest.raises(UsageError, match="cannot be continued: checkpoint-2 is gone") as caught:
        restore(parts_of(run, steps=4))
    assert (caught.value.code, caught.value.exit_code) == ("E107", 2)
