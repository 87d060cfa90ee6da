"""What a resumed run may change, and when there is nothing to resume."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.options import parse, request
from oneshot.config.load import load, to_dict
from oneshot.config.request import Request
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.stages.training.preflight import BaseRate
from oneshot.stages.training.resume import config_of, examples, recorded_rate, resumed
from tests.unit.stages.parts import problems

SETTINGS = {"optim.steps": "6", "optim.lr": "1e-3", "model.name": "m", "save.runs": "runs"}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path / "runs", "x", to_dict(load([], {}, SETTINGS).config), [])
    made.write_example(problems(1))
    made.checkpoint_dir(3).mkdir(parents=True)
    made.write_status(state="stopped")
    return made


Ask = Callable[..., Request]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def asked(*words: str, env: dict[str, str] | None = None) -> Request:
        argv = ("train", "--resume", "latest", "--out", str(tmp_path / "runs"), *words)
        return request(parse(argv), argv, env or {})

    return asked


def test_the_runs_own_settings_win_over_defaults(run: RunFolder, ask: Ask) -> None:
    assert resumed(ask()).path == run.path
    config = config_of(run, ask())
    assert (config.optim.steps, config.optim.lr, config.model.name) == (6, 1e-3, "m")
    assert config.save.runs == "runs"  # --out says where to look


@pytest.mark.parametrize(
    "words",
    [
        ("--steps", "9"),
        ("--model.threads", "1"),
        ("--save.every", "1"),
        ("--evals.batch", "16"),
        ("--rollout.batch", "16"),
        ("--optim.micro-tokens", "64"),
        ("--evals.data-dir", "elsewhere"),
        ("--save.best", "false"),
        ("--optim.checkpointing", "on"),
        ("--allow-unsolved",),
        ("--optim.lr", "1e-3"),  # what it is already
    ],
)
def test_what_moves_no_mathematics_may_change(run: RunFolder, ask: Ask, words: tuple[str, ...]) -> None:
    stored = replace(load([], {}, SETTINGS).config)
    config = config_of(run, ask(*words))
    differing = [
        f"{section}.{key}"
        for section, values in to_dict(config).items()
        if isinstance(values, dict)
        for key, value in values.items()
        if value != to_dict(stored)[section][key]
    ]
    assert len(differing) == (0 if words[0] == "--optim.lr" else 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--optim.lr", "1e-4"), "optim.lr was 0.001 in"),
        (("--seed", "3"), "seed was 0 in"),
        (("--algorithm.clip-low", "0.3"), "algorithm.clip_low was its default in"),
        (("--algorithm", "dr_grpo"), 'algorithm.name was "grpo" in'),
        (("--model", "other"), 'model.name was "m" in'),
        (("--example", "Why?", "--answer", "1"), 'data.example was "" in'),
    ],
)
def test_anything_else_may_not(run: RunFolder, ask: Ask, words: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        config_of(run, ask(*words))
    assert (caught.value.code, caught.value.exit_code) == ("E107", 2)
    assert told in caught.value.message
    assert f"oneshot train --resume {run.path}" in caught.value.tries


def test_not_by_the_environment_either(run: RunFolder, ask: Ask) -> None:
    with pytest.raises(UsageError, match=r"optim\.lr was"):
        config_of(run, ask(env={"ONESHOT_OPTIM__LR": "0.5"}))


def test_a_finished_run_has_nothing_left_to_do(run: RunFolder, ask: Ask) -> None:
    run.checkpoint_dir(6).mkdir()
    run.write_status(state="done")
    with pytest.raises(UsageError, match="has done 6 steps; 6 are asked for") as caught:
        config_of(run, ask())
    assert caught.value.code == "E107"
    assert f"oneshot train --resume {run.path} --steps 12" in caught.value.tries
    assert config_of(run, ask("--steps", "7")).optim.steps == 7


def test_a_run_stopped_after_its_last_step_still_has_its_summary_to_write(run: RunFolder, ask: Ask) -> None:
    run.checkpoint_dir(6).mkdir()
    assert config_of(run, ask()).optim.steps == 6


def test_fewer_steps_than_done_are_refused(run: RunFolder, ask: Ask) -> None:
    with pytest.raises(UsageError, match="has done 3 steps; 2 are asked for"):
        config_of(run, ask("--steps", "2"))


def test_without_the_optimiser_state_a_run_cannot_go_on(run: RunFolder, ask: Ask) -> None:
    run.write_json("config.json", to_dict(load([], {}, {**SETTINGS, "save.optimizer": "false"}).config))
    with pytest.raises(UsageError, match="has no optimiser state") as caught:
        config_of(run, ask())
    assert caught.value.code == "E107"
    assert str(run.checkpoint_dir(3)) in caught.value.tries[0]


def status(run: RunFolder, **values: Any) -> None:
    run.write_json("status.json", run.status() | values)


def test_a_run_that_another_process_writes_is_left_alone(run: RunFolder, ask: Ask) -> None:
    status(run, state="running", pid=os.getppid())
    with pytest.raises(UsageError, match=f"being written by process {os.getppid()}") as caught:
        resumed(ask())
    assert (caught.value.code, caught.value.exit_code) == ("E104", 2)
    assert "--yes" in caught.value.tries[0]
    assert resumed(ask("--yes")).path == run.path  # the number may by now be another program's


@pytest.mark.parametrize("pid", [2**22 + 1, None, "?"])
def test_one_whose_process_is_gone_can_be_resumed(run: RunFolder, ask: Ask, pid: object) -> None:
    status(run, state="running", pid=pid)
    assert resumed(ask()).path == run.path


def test_a_process_that_ended_or_is_another_machine_s_does_not_write_it(run: RunFolder, ask: Ask) -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody asked how
    status(run, state="running", pid=child)
    assert resumed(ask()).path == run.path
    os.waitpid(child, 0)
    status(run, pid=os.getppid(), host="elsewhere")
    assert resumed(ask()).path == run.path


def test_a_run_without_its_example_cannot_be_resumed(tmp_path: Path, ask: Ask) -> None:
    RunFolder.create(tmp_path / "runs", "x", {}, [])
    with pytest.raises(UsageError, match="before its example was chosen") as caught:
        resumed(ask())
    assert caught.value.code == "E107"


def test_what_the_first_attempt_knew(run: RunFolder) -> None:
    assert recorded_rate(run) is None
    run.event("preflight", value=3 / 32, n=32)
    rate = recorded_rate(run)
    assert rate is not None
    assert (rate.successes, rate.samples) == (3, 32)
    assert examples(run) == problems(1)


def test_a_pool_s_rate_is_known_again_with_its_examples(run: RunFolder) -> None:
    rate = BaseRate(successes=24, samples=32, rates=(1.0, 0.5), pool=7)
    run.event("preflight", **rate.as_dict(), zero_signal=0.5)
    assert recorded_rate(run) == rate


@pytest.mark.parametrize("key", ["optim.schedule", "algorithm.entropy_schedule"])
def test_the_number_of_steps_is_part_of_a_schedule(tmp_path: Path, ask: Ask, key: str) -> None:
    made = RunFolder.create(tmp_path / "runs", "x", to_dict(load([], {}, {**SETTINGS, key: "linear"}).config), [])
    made.write_example(problems(1))
    made.checkpoint_dir(3).mkdir(parents=True)
    with pytest.raises(UsageError, match=f"optim.steps was 6 .* cannot become 9: {key} = linear runs over") as caught:
        config_of(made, ask("--steps", "9"))
    assert (caught.value.code, caught.value.tries[1]) == ("E107", "a new run with --steps 9")
    assert config_of(made, ask("--steps", "6")).optim.steps == 6
    made.checkpoint_dir(6).mkdir()
    made.write_status(state="done")
    with pytest.raises(UsageError, match="nothing is left to do") as caught:
        config_of(made, ask())
    assert caught.value.tries == (f"oneshot report {made.path}",)
