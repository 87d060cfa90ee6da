"""Curricula in the real loop with a tiny model: built by the stages, trained, killed, continued."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from oneshot.config.schema import Config, DataConfig, ModelConfig, OptimConfig, RolloutConfig
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.stages.loop import TrainParts, build, train
from oneshot.stages.setup import Setup, load_setup, resolve_names
from oneshot.stages.training.examples import training_problems
from oneshot.train.curriculum.base import FromHistory
from oneshot.types import PAIR, Problem
from tests.tiny import save_tiny
from tests.unit.train.runs import Even

PROBLEMS = [Problem(id=f"p{i}", prompt=f"What is {i} + {i * i}?", answer=str(i + i * i)) for i in range(8)]
SHORT = RolloutConfig(groups=4, group_size=4, max_new_tokens=6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("tiny")))


def set_up(model: str, curriculum: str, rollout: RolloutConfig = SHORT, **options: float) -> Setup:
    """As `oneshot train` does, with a grader that a random model pleases now and then."""
    config = Config(
        model=ModelConfig(name=model, threads=1),
        data=DataConfig(curriculum=curriculum, curriculum_options=options),
        rollout=rollout,
        optim=OptimConfig(steps=6, lr=1e-2),
    )
    setup = load_setup(config, resolve_names(config), offline=True)
    return replace(setup, names=replace(setup.names, verify=Even()))


def attempt(
    run: RunFolder, setup: Setup, problems: list[Problem], *, steps: int, save_at: tuple[int, ...]
) -> TrainParts:
    run.start_attempt()
    parts = build(setup, problems, run)

    def save(step: int, _: object) -> None:
        if step in save_at:
            parts.checkpoints.save(step, parts.learner, parts.curriculum, parts.history)

    parts = replace(parts, steps=steps, on_step_end=save)
    train(parts)
    return parts


def visited(run: RunFolder) -> list[list[str]]:
    """The problem of each group, by step."""
    return [[group.problem.id for group in run.read_groups(step)] for step in run.rollout_steps()]


@pytest.mark.parametrize("curriculum", ["pcl", "sgac", "in-turn"])
def test_a_killed_run_ends_as_the_whole_one(curriculum: str, model: str, tmp_path: Path) -> None:
    rollout = replace(SHORT, groups=3) if curriculum == "in-turn" else SHORT
    whole, broken = (RunFolder.create(tmp_path / name, "x", {}, []) for name in ("whole", "broken"))
    straight = attempt(whole, set_up(model, curriculum, rollout), PROBLEMS, steps=6, save_at=(6,))
    attempt(broken, set_up(model, curriculum, rollout), PROBLEMS, steps=4, save_at=(3,))
    resumed = attempt(RunFolder(broken.path), set_up(model, curriculum, rollout), PROBLEMS, steps=6, save_at=(6,))
    assert visited(broken) == visited(whole)
    assert broken.history_path.read_bytes() == whole.history_path.read_bytes()
    for name, tensor in straight.learner.policy.model.state_dict().items():
        assert torch.equal(tensor, resumed.learner.policy.model.state_dict()[name]), name
    assert len({problem for step in visited(whole) for problem in step}) >= 4
    assert 0 < np.mean([row["successes"] / row["samples"] for row in straight.history.rows()]) < 1
    if curriculum == "pcl":  # embeddings of the initial weights, though a checkpoint was loaded
        one, other = straight.curriculum, resumed.curriculum
        assert (one.unit_PH == other.unit_PH).all()  # type: ignore[attr-defined]


def pairs(run: RunFolder) -> list[dict[str, object]]:
    return [event for event in run.events() if event["kind"] == "pair" and event["hard"]]


@pytest.mark.parametrize("killed", [3, 5])
def test_a_pair_and_its_weights_survive_a_kill(killed: int, model: str, tmp_path: Path) -> None:
    """Killed with the pair found, after a save one step before; the weights act, and only from the pair on."""
    weights = {"success": 3.0, "failure": 2.0}
    whole, broken, plain = (RunFolder.create(tmp_path / name, "x", {}, []) for name in ("whole", "broken", "plain"))
    straight = attempt(whole, set_up(model, "pairing", **weights), PROBLEMS, steps=6, save_at=(6,))
    (event,) = pairs(whole)
    first = event["step"]
    assert isinstance(first, int)
    assert first < killed
    attempt(broken, set_up(model, "pairing", **weights), PROBLEMS, steps=killed, save_at=(killed - 1,))
    again = set_up(model, "pairing", **weights)
    resumed = attempt(RunFolder(broken.path), again, PROBLEMS, steps=6, save_at=(6,))
    assert visited(broken) == visited(whole)
    assert [(e["step"], e["hard"], e["easy"]) for e in pairs(broken)] == [(first, event["hard"], event["easy"])]
    for name, tensor in straight.learner.policy.model.state_dict().items():
        assert torch.equal(tensor, resumed.learner.policy.model.state_dict()[name]), name
    roles = [{group.problem.meta.get(PAIR) for group in whole.read_groups(step)} for step in range(6)]
    assert roles == [{None}] * first + [{1, -1}] * (6 - first)
    attempt(plain, set_up(model, "pairing"), PROBLEMS, steps=6, save_at=())
    before, after = ([row["train/accuracy"] for row in run.metrics()] for run in (plain, whole))
    assert before[: first + 1] == after[: first + 1]
    assert [row["grad_norm"] for row in plain.metrics()][first] != [row["grad_norm"] for row in whole.metrics()][first]


def test_weights_of_1_are_the_plain_run(model: str, tmp_path: Path) -> None:
    runs = [RunFolder.create(tmp_path / name, "x", {}, []) for name in ("plain", "ones")]
    ends = [
        attempt(run, set_up(model, "pairing", **given), PROBLEMS, steps=4, save_at=())
        for run, given in zip(runs, ({}, {"success": 1.0, "failure": 1.0}), strict=True)
    ]
    assert pairs(runs[0])
    one, other = (parts.learner.policy.model.state_dict() for parts in ends)
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize(("examples", "each"), [(1, 8), (2, 4), (4, 2), (8, 1)])
def test_few_shot_from_the_same_loop(examples: int, each: int, model: str, tmp_path: Path) -> None:
    """Copies are virtual: a row of the pool is one problem, and a step is one visit of each."""
    setup = set_up(model, "in-turn", replace(SHORT, groups=8, group_size=2, max_new_tokens=2))
    run = RunFolder.create(tmp_path, "x", {}, [])
    parts = attempt(run, setup, PROBLEMS[:examples], steps=2, save_at=())
    assert [sorted(Counter(step).values()) for step in visited(run)] == [[each] * examples] * 2
    assert parts.history.counts("p0")[:, 2].tolist() == [2 * each] * 2


def test_another_curriculum_s_state_is_refused(model: str, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, [])
    attempt(run, set_up(model, "mopps"), PROBLEMS, steps=1, save_at=(1,))
    for other in ("in-turn", "gps"):
        with pytest.raises(UsageError, match=f"curriculum 'mopps' and cannot go on with '{other}'") as caught:
            attempt(RunFolder(run.path), set_up(model, other), PROBLEMS, steps=2, save_at=())
        assert caught.value.code == "E107"


def test_a_wrong_name_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(UsageError, match=r"unknown curriculum 'mops'\. Did you mean 'mopps'\?") as caught:
        resolve_names(Config(data=DataConfig(curriculum="mops")))
    assert caught.value.code == "E102"


def file_of(folder: Path, count: int) -> str:
    path = folder / "pool.jsonl"
    path.write_text("".join(f'{{"prompt": "{i} + 1?", "answer": "{i + 1}"}}\n' for i in range(count)), "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("curriculum", "examples", "says"),
    [
        ("in-turn", 1, ""),
        ("in-turn", 2, "training on 2 examples in turn (--data.index N picks one)"),
        ("in-turn", 6, "training on 6 examples, 4 a step in shuffled epochs of 1.5 steps (--data.index N picks one)"),
        ("mopps", 6, "training on 6 examples, chosen by mopps"),
    ],
)
def test_what_is_said_of_the_pool(curriculum: str, examples: int, says: str, tmp_path: Path) -> None:
    said: list[str] = []
    config = Config(data=DataConfig(source=file_of(tmp_path, examples), curriculum=curriculum), rollout=SHORT)
    assert len(training_problems(config, None, offline=True, say=said.append)) == examples
    assert [line for line in said if line.startswith("training on")] == ([says] if says else [])


def test_a_pool_that_is_too_small_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    config = Config(data=DataConfig(source=file_of(tmp_path, 4), curriculum="mopps"), rollout=SHORT)
    with pytest.raises(UsageError, match="needs a pool of at least 5 examples") as caught:
        training_problems(config, None, offline=True, say=lambda text: None)
    assert caught.value.code == "E105"


def test_every_learning_curriculum_can_be_built_by_the_loop(model: str, tmp_path: Path) -> None:
    for name in ("gps", "mopps", "pairing", "pcl", "sgac"):
        parts = build(set_up(model, name), PROBLEMS, RunFolder.create(tmp_path, name, {}, []))
        assert isinstance(parts.curriculum, FromHistory)
        assert len(parts.curriculum.next(0, parts.history)) == 4
