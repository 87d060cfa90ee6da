"""Interrupted runs with a critic, with mini-batches and with float32 masters end as if they had not been."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from oneshot._store import folders
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.stages.loop import TrainParts
from oneshot.train.critic import Critic
from tests.unit.train.runs import VARIANTS, assert_equal_runs, new_run, parts_of, restore, save, trained

CASES: list[dict[str, Any]] = [
    {"variant": "mini-batches"},
    {"variant": "ppo, head"},
    {"variant": "ppo, model"},
    {"masters": True},
    {"variant": "ppo, model", "masters": True},
]


def critic_of(parts: TrainParts) -> Critic:
    assert parts.learner.critic is not None
    return parts.learner.critic


@pytest.mark.parametrize("case", CASES, ids=lambda case: ", ".join(map(str, case.values())))
def test_three_and_three_steps_are_six(tmp_path: Path, case: dict[str, Any]) -> None:
    straight, broken = new_run(tmp_path / "straight"), new_run(tmp_path / "broken")
    parts = trained(straight, steps=6, save_at=(3, 6), **case)
    trained(broken, steps=3, save_at=(3,), **case)
    again = RunFolder(broken.path)
    again.start_attempt()
    resumed = trained(again, steps=6, save_at=(3, 6), **case)
    assert_equal_runs(straight, parts, broken, resumed, 6)
    assert [row["attempt"] for row in broken.metrics()] == [1, 1, 1, 2, 2, 2]
    assert all(row["grad_norm"] > 1e-3 for row in broken.metrics())
    algorithm = VARIANTS[case.get("variant", "grpo")]
    assert resumed.learner.version == 6 * algorithm.steps_a_batch
    if algorithm.critic:
        assert all(row["value/update_norm"] > 0 for row in broken.metrics())
        assert any(row["value/clipped"] > 0 for row in broken.metrics())


def test_a_checkpoint_holds_the_masters_and_a_restored_run_continues_from_them(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    parts = trained(run, steps=2, save_at=(2,), masters=True)
    saved = load_file(run.checkpoint_dir(2) / "model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    assert any(not torch.equal(t, t.to(torch.bfloat16).float()) for t in saved.values())
    again = parts_of(run, steps=4, masters=True)
    places = [p.data_ptr() for p in again.learner.parameters]
    assert restore(again) == 2
    learner = again.learner
    assert all(map(torch.equal, learner.optimizer.masters, parts.learner.optimizer.masters))
    assert all(map(torch.equal, learner.parameters, parts.learner.parameters))
    assert [p.data_ptr() for p in learner.parameters] == places  # in place: the sampler sees them too
    assert {p.dtype for p in learner.parameters} == {torch.bfloat16}


def seal_again(folder: Path) -> None:
    (folder / "checksums.json").unlink()
    folders.seal(folder)


def test_a_damaged_critic_is_passed_over(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    trained(run, steps=4, save_at=(2, 4), variant="ppo, head")
    file = run.last_state_dir / "critic.pt"
    file.write_bytes(file.read_bytes()[:-7])
    parts, told = parts_of(run, steps=6, variant="ppo, head"), []
    parts.checkpoints.say = told.append
    assert restore(parts) == 2
    assert told[0].startswith("warning: last_state is damaged: critic.pt is not what was")


def test_a_state_without_a_critic_or_with_another_s_is_refused(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    trained(run, steps=1, save_at=(1,), variant="ppo, head")
    parts = parts_of(run, steps=2, variant="ppo, model")
    before = [p.detach().clone() for p in parts.learner.parameters]
    with pytest.raises(UsageError, match=r"of the critic, decoder\.\S+ is in only one of them") as caught:
        restore(parts)
    assert caught.value.code == "E107"
    state = torch.load(run.last_state_dir / "critic.pt", weights_only=True)
    state["weights"]["head.weight"] = torch.zeros(1, 16)
    torch.save(state, run.last_state_dir / "critic.pt")
    seal_again(run.last_state_dir)
    with pytest.raises(UsageError, match=r"of the critic, head\.weight is 1x16 there and 1x32 here"):
        restore(parts_of(run, steps=2, variant="ppo, head"))
    (run.last_state_dir / "critic.pt").unlink()
    seal_again(run.last_state_dir)
    with pytest.raises(UsageError, match="there is no critic in it"):
        restore(parts_of(run, steps=2, variant="ppo, head"))
    assert all(map(torch.equal, before, parts.learner.parameters))


def test_a_restored_critic_says_what_it_said(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    first = trained(run, steps=2, save_at=(2,), variant="ppo, model")
    again = parts_of(run, steps=4, variant="ppo, model")
    assert restore(again) == 2
    one, other = critic_of(first), critic_of(again)
    assert all(map(torch.equal, one.optimizer.parameters, other.optimizer.parameters))
    assert any(bool(p.any()) for p in other.head.parameters())


def test_an_older_state_without_the_count_of_batches_has_its_step(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    parts = trained(run, steps=2, save_at=(2,))
    file = run.last_state_dir / "state.json"
    file.write_text(file.read_text().replace('"batches": 2, ', ""))
    seal_again(run.last_state_dir)
    again = parts_of(run, steps=4)
    assert restore(again) == 2
    assert (again.learner.batches, again.learner.version) == (2, parts.learner.version)
    save(again, 2)
    shutil.rmtree(run.path)
