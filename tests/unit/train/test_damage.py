"""Checkpoints and states that are not what was written: found by their checksums, passed over, said."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from oneshot._store import folders
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.stages.loop import TrainParts, train
from tests.parts import learner_of, tiny_policy
from tests.unit.train.runs import assert_equal_runs, new_run, parts_of, restore, save, saved_weights, trained, weights

SAVES = (2, 4, 6)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Four steps, saved after two and four; to be copied."""
    run = new_run(tmp_path_factory.mktemp("four"))
    trained(run, steps=4, save_at=SAVES)
    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, TrainParts]:
    """Six steps without interruption."""
    run = new_run(tmp_path_factory.mktemp("whole"))
    return run, trained(run, steps=6, save_at=SAVES)


@pytest.fixture
def run(four: RunFolder, tmp_path: Path) -> RunFolder:
    again = RunFolder(Path(shutil.copytree(four.path, tmp_path / "run")))
    again.start_attempt()
    return again


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """One bit, in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def rewrite(path: Path) -> None:
    path.write_text("{}")


STATE, CHECKPOINT = "last_state", "checkpoint-4"
DAMAGES: list[tuple[str, Callable[[Path], None], str]] = [
    (f"{CHECKPOINT}/model.safetensors", truncate, f"{CHECKPOINT} is damaged: model.safetensors is not what was"),
    (f"{CHECKPOINT}/model.safetensors", flip, f"{CHECKPOINT} is damaged: model.safetensors is not what was"),
    (f"{CHECKPOINT}/model.safetensors", os.unlink, f"{CHECKPOINT} has no model.safetensors"),
    (f"{CHECKPOINT}/tokenizer.json", flip, f"{CHECKPOINT} is damaged: tokenizer.json"),
    (f"{CHECKPOINT}/checksums.json", os.unlink, f"{CHECKPOINT} has no checksums.json"),
    (f"{CHECKPOINT}/checksums.json", truncate, f"{CHECKPOINT} is damaged: checksums.json cannot be read"),
    (CHECKPOINT, shutil.rmtree, f"{CHECKPOINT} is gone"),
    (f"{STATE}/optimizer.pt", truncate, f"{STATE} is damaged: optimizer.pt"),
    (f"{STATE}/optimizer.pt", flip, f"{STATE} is damaged: optimizer.pt"),
    (f"{STATE}/state.json", rewrite, f"{STATE} is damaged: state.json"),
    (f"{STATE}/state.json", truncate, f"{STATE} is damaged: state.json"),
    (f"{STATE}/checksums.json", rewrite, f"{STATE} is damaged: checksums.json cannot be read"),
]


@pytest.mark.parametrize(("name", "damage", "said"), DAMAGES)
def test_the_pair_before_is_used(
    run: RunFolder, whole: tuple[RunFolder, TrainParts], name: str, damage: Callable[[Path], None], said: str
) -> None:
    damage(run.checkpoints_dir / name)
    parts, told = parts_of(run, steps=6, save_at=SAVES), []
    parts.checkpoints.say = told.append
    assert restore(parts) == 2
    assert len(told) == 1
    assert told[0].startswith(f"warning: {said}")
    assert "The run goes on from checkpoint-2, saved before it" in told[0]
    (event,) = [event for event in run.events() if event["kind"] == "damaged"]
    assert event["used"] == "checkpoint-2"
    assert event["found"][0].startswith(said)
    assert (run.checkpoints_dir / "last_state.damaged").is_dir()
    assert not run.previous_state_dir.exists()
    assert run.rollout_steps() == [0, 1]
    parts = parts_of(run, steps=6, save_at=SAVES)
    train(parts)
    assert_equal_runs(*whole, run, parts, 6)
    assert run.checkpoints() == [4, 6]
    assert [event["step"] for event in run.events() if event["kind"] == "save"] == [2, 4, 6]


def test_a_file_that_was_added_is_no_damage(run: RunFolder) -> None:
    (run.checkpoint_dir(4) / "README.md").write_text("mine")
    assert restore(parts_of(run, steps=6)) == 4


@pytest.mark.parametrize("first", ["last_state/optimizer.pt", "checkpoint-4/model.safetensors"])
def test_with_both_damaged_the_run_cannot_go_on(run: RunFolder, first: str) -> None:
    flip(run.checkpoints_dir / first)
    flip(run.previous_state_dir / "optimizer.pt")
    before = sorted(path for path in run.path.rglob("*"))
    with pytest.raises(
        UsageError, match=r"cannot be continued: \S+ is damaged: .*; previous_state is damaged"
    ) as caught:
        restore(parts_of(run, steps=6))
    assert (caught.value.code, caught.value.exit_code) == ("E107", 2)
    usable = 4 if first.startswith("last") else 2
    assert f"oneshot train --model {run.checkpoint_dir(usable)} " in caught.value.tries[1]
    assert sorted(path for path in run.path.rglob("*")) == before


def test_with_one_checkpoint_kept_there_is_no_pair_before(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    trained(run, steps=2, save_at=(1, 2), keep=1)
    assert sorted(os.listdir(run.checkpoints_dir)) == ["checkpoint-2", "last_state"]
    flip(run.last_state_dir / "optimizer.pt")
    with pytest.raises(UsageError, match="last_state is damaged"):
        restore(parts_of(run, steps=4, keep=1))


def test_both_pairs_stay_however_few_checkpoints_lie_between(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    trained(run, steps=5, save_at=(1, 2, 3, 4, 5), keep=2)
    assert sorted(os.listdir(run.checkpoints_dir)) == ["checkpoint-4", "checkpoint-5", "last_state", "previous_state"]


def put_other_weights(run: RunFolder, tensors: dict[str, torch.Tensor]) -> None:
    folder = run.checkpoint_dir(4)
    save_file(tensors, folder / "model.safetensors")
    (folder / "checksums.json").unlink()
    folders.seal(folder)


def test_another_models_weights_are_refused_and_change_nothing(run: RunFolder) -> None:
    tensors = saved_weights(run, 4)
    smaller = tiny_policy(hidden=16).model.get_decoder().norm.weight.detach()
    cases = {
        "model.norm.weight is 16 there and 32 here": {**tensors, "model.norm.weight": smaller},
        "model.embed_tokens.weight is in only one": dict(list(tensors.items())[1:]),
        "model.extra is in only one": {**tensors, "model.extra": smaller},
    }
    for said, other in cases.items():
        put_other_weights(run, other)
        parts = parts_of(run, steps=6)
        before = weights(parts)
        with pytest.raises(UsageError, match=said) as caught:
            restore(parts)
        assert caught.value.code == "E107"
        assert all(torch.equal(tensor, before[name]) for name, tensor in weights(parts).items())


def test_a_folder_of_another_model_names_both(run: RunFolder) -> None:
    parts = parts_of(run, steps=6)
    policy = tiny_policy(hidden=16, layers=1)
    object.__setattr__(parts, "learner", learner_of(policy, parts.algorithm))
    with pytest.raises(UsageError) as caught:
        restore(parts)
    assert caught.value.code == "E107"
    assert (
        "checkpoint-4 holds a llama (hidden 32, layers 2, words 260), but the run's model is a llama (hidden 16, "
        in (caught.value.message)
    )


def test_another_models_moments_are_refused(run: RunFolder, tmp_path: Path) -> None:
    other = new_run(tmp_path / "other")
    parts = parts_of(other, steps=1)
    policy = tiny_policy(hidden=16, eos=range(0, 260, 10))
    object.__setattr__(parts, "learner", learner_of(policy, parts.algorithm))
    parts.engine.policy = policy  # type: ignore[attr-defined]
    train(parts)
    save(parts, 1)
    shutil.copy(other.last_state_dir / "optimizer.pt", run.last_state_dir / "optimizer.pt")
    (run.last_state_dir / "checksums.json").unlink()
    folders.seal(run.last_state_dir)
    with pytest.raises(
        UsageError, match="last_state holds another model's state, but the run's model is a llama"
    ) as told:
        restore(parts_of(run, steps=6))
    assert told.value.code == "E107"
