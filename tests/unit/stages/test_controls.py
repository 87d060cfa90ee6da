"""What a control arm makes of the settings, and what it takes from the base model's samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oneshot.cli.options import parse
from oneshot.cli.options import request as parse_request
from oneshot.config.load import from_dict, to_dict
from oneshot.config.origins import DEFAULT
from oneshot.config.request import Request
from oneshot.config.schema import AlgorithmConfig, Config, OptimConfig, RewardConfig, RolloutConfig
from oneshot.data.corruption import TRUE_ANSWER
from oneshot.errors import DataError, UsageError
from oneshot.record import RunFolder
from oneshot.rewards.controls import CONTROLS
from oneshot.stages import loop
from oneshot.stages.display import LivePanel
from oneshot.stages.setup import Setup
from oneshot.stages.training import controls
from oneshot.stages.training.control_arm import AGAIN, Arm, true_accuracy
from oneshot.types import Group, Problem
from tests.unit.stages.parts import ScriptedEngine, metrics, prober, problems
from tests.unit.stages.setups import QUESTION, tiny_setup


def asked(name: str, **given: Any) -> Request:
    """A request for a control arm; `given` are algorithm settings by flag."""
    config = Config(reward=RewardConfig(control=name), algorithm=AlgorithmConfig(**given))
    return Request(verb="train", config=config, origins={f"algorithm.{key}": f"flag --{key}" for key in given})


@pytest.mark.parametrize("name", ["", *CONTROLS])
def test_what_an_arm_changes_is_recorded_whole_so_that_doing_it_again_changes_nothing(name: str) -> None:
    request = controls.applied(asked(name))
    assert controls.applied(request) == request
    stored = from_dict(to_dict(request.config))  # what a resumed run reads; its checks accept it
    assert stored == request.config
    changed = {key for key, origin in request.origins.items() if origin == f"control {name}"}
    same = {"", "shuffled", "random", "wrong", "unguessable", "format", "majority"}
    assert bool(changed) == (name not in same)


def test_each_arm_changes_what_it_says_and_a_given_kl_stays() -> None:
    made = {name: controls.applied(asked(name)).config for name in CONTROLS}
    assert (made["entropy"].algorithm.policy, made["entropy"].algorithm.kl) == (0.0, 0.0)
    assert (made["entropy"].algorithm.entropy, made["confidence"].algorithm.entropy) == (0.001, -0.001)
    assert controls.applied(asked("entropy", kl=0.001)).config.algorithm.kl == 0.001
    assert controls.applied(asked("confidence", entropy=-0.2)).config.algorithm.entropy == -0.2
    assert (made["rft"].algorithm.kl, made["rft"].algorithm.entropy) == (0.0, 0.0)
    assert (made["noop"].optim.lr, made["noop"].optim.weight_decay) == (0.0, 0.0)
    bent = replace(asked("noop").config, optim=OptimConfig(schedule="linear", lr_final=1e-5))
    assert controls.applied(replace(asked("noop"), config=bent)).config.optim == made["noop"].optim
    assert made["shuffled"].algorithm == AlgorithmConfig()


def test_what_is_said_names_the_arm_what_it_means_and_what_it_changed() -> None:
    request = controls.applied(asked("noop"))
    first, second = controls.said(request.config, request.origins)
    assert first == f"control arm: noop, learning rate 0. {CONTROLS['noop'].meaning}"
    assert second == "control arm: noop, learning rate 0: optim.lr = 0.0, optim.weight_decay = 0.0"
    assert controls.said(Config(), {"optim.lr": DEFAULT}) == []
    assert controls.marked(Config(), "It rose.") == "It rose."
    assert controls.marked(request.config, "It rose.") == "control arm: noop, learning rate 0. It rose."


@pytest.mark.parametrize("words", ["", "control arm: shuffled rewards"])
def test_the_panels_title_names_the_arm(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    panel = LivePanel(words)
    shown: list[Any] = []
    monkeypatch.setattr(panel.live, "update", shown.append)
    panel.step(1, 2, metrics(), "text")
    assert str(shown[0].title).endswith(f" · {words}") == bool(words)


def test_groups_are_numbered_over_all_rounds_of_a_step_so_no_key_is_used_twice() -> None:
    seen: list[tuple[int, list[int]]] = []

    def pay(step: int, groups: Sequence[Group]) -> list[Group]:
        seen.append((step, [group.id for group in groups]))
        return list(groups)

    probe = prober(ScriptedEngine(lambda round, problem: 1))
    parts: Any = SimpleNamespace(
        engine=probe.engine, render=probe.render, verify=probe.verify, sampling=probe.sampling, group_size=4,
        learner=SimpleNamespace(version=0), check=lambda: None, pay=pay,
    )  # fmt: skip
    loop.sample(parts, 5, problems(3), first=0)
    loop.sample(parts, 5, problems(2), first=12)
    assert seen == [(5, [0, 1, 2]), (5, [3, 4])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture
def arm(folder: Path, tmp_path: Path) -> Callable[..., tuple[Arm, list[str]]]:
    """`arm(name, problems)`: the arm of a fresh run and what it notes; its engine says 8 to everything."""

    def make(name: str, trained: list[Problem]) -> tuple[Arm, list[str]]:
        notes: list[str] = []
        setup: Setup = tiny_setup(folder, reward=RewardConfig(name="exact", control=name))
        setup = replace(setup, engine=ScriptedEngine(lambda round, i: i % 2))  # type: ignore[arg-type]
        setup = replace(setup, render=lambda problem: (int(problem.id[1:]),))
        run = RunFolder.create(tmp_path, "run", to_dict(setup.config), ())
        return Arm(setup=setup, run=run, problems=trained, note=notes.append), notes

    return make


def test_every_problem_of_a_pool_gets_its_own_wrong_answer(arm: Callable[..., tuple[Arm, list[str]]]) -> None:
    trained = problems(6)
    made, notes = arm("wrong", trained)
    engine = ScriptedEngine(lambda round, problem: 99 if problem == 0 else 1)
    made.look(prober(engine).groups(trained[:3], 4, round=3))
    asked_for = made.setup.engine.asked  # type: ignore[attr-defined]
    assert [(round, sorted(set(numbers))) for round, numbers in asked_for] == [(AGAIN, [3, 4, 5])]
    (event,) = made.run.events()
    assert event["labels"] == {f"p{i}": "8" for i in range(1, 6)}  # p0 was always right
    assert notes[0].endswith("is paid, 5 labels; 1 of 6 examples have none and pay nothing")
    groups = made._pay()(0, prober(engine).groups(trained[:2], 2, round=5))
    assert [[c.reward for c in group.completions] for group in groups] == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("algorithm", "across"),
    [
        (AlgorithmConfig(), False),
        (AlgorithmConfig(name="dr_grpo"), False),
        (AlgorithmConfig(name="reinforce_pp", options={"baseline": "group"}), False),
        (AlgorithmConfig(name="reinforce_pp"), True),
        (AlgorithmConfig(name="ppo"), True),
        (AlgorithmConfig(pooled=True), True),
    ],
)
def test_shuffled_moves_rewards_as_far_as_the_credit_compares_them(
    arm: Callable[..., tuple[Arm, list[str]]], algorithm: AlgorithmConfig, across: bool
) -> None:
    made, _ = arm("shuffled", problems(1))
    setup = replace(made.setup, config=replace(made.setup.config, algorithm=algorithm))
    pay = replace(made, setup=setup)._pay()
    (group,) = prober(ScriptedEngine(lambda round, problem: 4)).groups(problems(1), 4, round=0)
    (other,) = prober(ScriptedEngine(lambda round, problem: 0)).groups(problems(1), 4, round=0)
    found = [pay(step, [group, replace(other, id=1)]) for step in range(20)]
    assert any(sum(c.reward for c in groups[1].completions) for groups in found) is across
    assert controls.across(setup.config) is across


@pytest.mark.parametrize(
    ("rollout", "algorithm", "warned"),
    [
        (RolloutConfig(dynamic=True), AlgorithmConfig(name="ppo"), True),
        (RolloutConfig(dynamic=True), AlgorithmConfig(pooled=True), True),
        (RolloutConfig(dynamic=True, max_rounds=1), AlgorithmConfig(pooled=True), False),
        (RolloutConfig(dynamic=True), AlgorithmConfig(), False),
        (RolloutConfig(), AlgorithmConfig(name="ppo"), False),
    ],
)
def test_where_shuffled_is_no_exact_null_it_is_said(
    rollout: RolloutConfig, algorithm: AlgorithmConfig, warned: bool
) -> None:
    config = replace(asked("shuffled").config, rollout=rollout, algorithm=algorithm)
    told = [line for line in controls.said(config, {}) if line.startswith("warning: control arm: shuffled rewards: ")]
    assert bool(told) is warned
    assert not any("warning" in line for line in controls.said(replace(config, reward=RewardConfig()), {}))


@pytest.mark.parametrize("typed", ["--control", "--reward.control"])
def test_a_misspelt_arm_is_told_by_the_flag_that_people_type(typed: str) -> None:
    with pytest.raises(UsageError, match="Did you mean 'shuffled'") as refused:
        parse_request(parse(("train", typed, "shufled")), ("train",), {})
    assert refused.value.message.startswith('reward.control = "shufled" (flag --control) is no control arm.')
    with pytest.raises(UsageError, match=r"data\.corrupt = 2\.0 \(flag --corrupt\) must be between 0 and 1"):
        parse_request(parse(("train", "--corrupt", "2")), ("train",), {})


def test_what_is_nobodys_answer_is_none_to_a_function_that_need_not_look_at_it() -> None:
    class Own:
        name, fatal = "own.py:score", True

    config = Config(reward=RewardConfig(name="own.py:score", control="unguessable"))
    with pytest.raises(UsageError, match="need not look at the answer") as refused:
        controls.check(config, Own())  # type: ignore[arg-type]
    assert refused.value.code == "E105"
    assert refused.value.message.startswith("reward.control = unguessable with the reward own.py:score")


def test_with_kl_in_the_reward_the_policy_term_acts_though_nothing_is_paid() -> None:
    assert controls.inert(asked("unguessable").config) == [
        "cannot act in the control arm unguessable: algorithm.policy"
    ]
    assert controls.inert(asked("unguessable", kl_in_reward=0.1).config) == []


def test_a_run_that_does_not_record_what_it_pays_is_not_resumed(arm: Callable[..., tuple[Arm, list[str]]]) -> None:
    made, _ = arm("wrong", problems(1))
    with pytest.raises(UsageError, match="does not record which answers its control arm wrong pays") as refused:
        made._labels()
    assert refused.value.code == "E107"


def test_a_label_is_no_true_answer_of_a_corrupted_example(arm: Callable[..., tuple[Arm, list[str]]]) -> None:
    plain, corrupt = (arm("unguessable", [replace(QUESTION, meta=meta)])[0] for meta in ({}, {TRUE_ANSWER: "5"}))
    first, second = (made._unguessable()[QUESTION.id] for made in (plain, corrupt))
    assert first == second
    worst, _ = arm("unguessable", [replace(QUESTION, meta={TRUE_ANSWER: first})])
    assert worst._unguessable()[QUESTION.id] != first


def test_true_accuracy_is_counted_against_the_true_answers_where_labels_are_wrong() -> None:
    trained = [replace(p, meta={TRUE_ANSWER: "8"}) if p.id == "p1" else p for p in problems(2)]
    groups = prober(ScriptedEngine(lambda round, problem: 3)).groups(trained, 4, round=0)  # 7, 7, 7, 8 each
    verify = prober(ScriptedEngine(lambda round, problem: 0)).verify
    assert true_accuracy(verify)(groups) == {"train/true_accuracy": (3 + 1) / 8}


def test_a_form_that_is_there_already_is_refused_with_the_rate(folder: Path, tmp_path: Path) -> None:
    setup = tiny_setup(folder, reward=RewardConfig(name="math", control="format"))
    run = RunFolder.create(tmp_path, "run", to_dict(setup.config), ())
    notes: list[str] = []
    made = Arm(setup=setup, run=run, problems=[QUESTION], note=notes.append)
    groups = prober(ScriptedEngine(lambda round, problem: 0)).groups(problems(1), 32, round=0)
    boxed = [replace(c, text=r"\boxed{8}") for c in groups[0].completions]
    made.look([replace(groups[0], completions=(*boxed[:30], *groups[0].completions[:2]))])
    assert notes == ["format: 30 of 32 responses of the base model have the form already (95 % interval 80% to 98%)"]
    with pytest.raises(DataError, match="31 of 32 responses") as refused:
        made.look([replace(groups[0], completions=(*boxed[:31], groups[0].completions[0]))])
    assert refused.value.code == "E307"
    assert [event["base_rate"] for event in run.events()] == [30 / 32, 31 / 32]
