"""`oneshot plan` and `train --dry-run` in this process; no command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.config.request import Request
from oneshot.config.schema import (
    AlgorithmConfig,
    Config,
    DataConfig,
    EvalsConfig,
    ModelConfig,
    OptimConfig,
    RolloutConfig,
)
from oneshot.errors import DataError, MachineError, UsageError
from oneshot.model import memory
from oneshot.model.storage import BYTES_READ
from oneshot.stages import plan
from oneshot.stages.plan import arithmetic, inert
from oneshot.types import Problem
from tests.tiny import save_tiny
from tests.unit.stages.setups import QUESTION

ASKED = DataConfig(example=QUESTION.prompt, answer=QUESTION.answer)
SHORT = RolloutConfig(groups=2, group_size=4, max_new_tokens=8)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONESHOT_HOME", str(tmp_path / "home"))


def request(tiny: Path, **changes: Any) -> Request:
    own = {name: changes.pop(name) for name in ("json", "verbose", "verb_flags") if name in changes}
    base = Config(model=ModelConfig(name=str(tiny), threads=1), data=ASKED, rollout=SHORT, optim=OptimConfig(steps=3))
    return Request(verb="plan", config=replace(base, **changes), **own)


def told(asked: Request, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert plan.main(replace(asked, json=True)) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_arithmetic_and_what_cannot_act() -> None:
    config = Config(algorithm=AlgorithmConfig(updates=2))
    assert "4 groups x 8 = 32 responses a step, x 12 steps = 384 responses" in arithmetic(config)
    assert "2 optimiser steps a rollout batch = 24 in all" in arithmetic(config)
    assert inert(config) == []
    assert len(inert(Config())) == 1


def test_all_parts(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = request(tiny, evals=EvalsConfig(source=str(tmp_path / "held.jsonl"), every=2))
    rows = [{"prompt": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(5)]
    (tmp_path / "held.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = told(asked, capsys)
    assert found["schema"] == "oneshot.plan/1"
    assert found["config"]["optim"]["steps"] == 3
    assert found["example"] == {"prompt": QUESTION.prompt, "answer": "5", "count": 1}
    assert found["memory"]["total"] > found["memory"]["weights"] > 0
    assert found["worst_case"]["tokens"] == 17 + 8 * 8
    assert found["worst_case"]["seconds"] > 0
    low, high = found["time"]["total"]
    assert 0 < low < high
    assert found["time"]["evaluations"] == 3  # before, after 2, after 3
    assert found["time"]["how"].startswith("measured: sampling")
    assert found["disk"]["checkpoint"] == found["memory"]["weights"]
    assert not [path for path in Path().iterdir() if path.name not in ("held.jsonl", "home")]  # nothing was written


def test_as_text(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(request(tiny)) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == ["example", "batch", "memory", "step", "time", "disk", "cannot", "nothing"]
    assert lines[-1] == "nothing was trained or written"
    assert "optim.lr" not in "".join(lines)
    assert plan.main(request(tiny, verbose=True)) == 0
    assert "optim.lr" in capsys.readouterr().out


def test_the_longest_problem_makes_the_step(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"prompt": "Add " + "1 + " * i + "1.", "answer": str(i + 1)} for i in (1, 9, 4)]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = told(request(tiny, data=DataConfig(source="pool.jsonl")), capsys)
    assert found["example"]["count"] == 3
    assert found["worst_case"]["prompt"] == 3 + len("Add " + "1 + " * 9 + "1.")


@pytest.mark.parametrize("data", [DataConfig(), DataConfig(source="builtin")])
def test_without_an_example_a_prompt_stands_for_it(
    tiny: Path, capsys: pytest.CaptureFixture[str], data: DataConfig
) -> None:
    found = told(request(tiny, data=data), capsys)
    assert found["example"] is None
    assert found["worst_case"]["prompt"] == memory.PROMPT_TOKENS
    assert plan.main(request(tiny, data=data)) == 0
    assert "none given: a prompt of 128 tokens stands for it" in capsys.readouterr().out


def test_no_step_loads_nothing(tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "load_setup", None)
    found = told(request(tiny, verb_flags={"no_step": True}), capsys)
    assert found["worst_case"] == {"why": "--no-step was given"}
    assert found["time"] is None
    assert found["disk"]["total"] > 0


def test_a_model_that_is_not_here_is_not_fetched(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The embedded one, in an empty home: its shapes are known, so memory and disk are."""
    found = told(request(tiny, model=ModelConfig(name="smollm2-135m")), capsys)
    assert found["worst_case"]["why"] == "smollm2-135m is not on this machine yet, and a plan downloads nothing"
    assert found["memory"]["weights"] == found["disk"]["checkpoint"] == 538_060_032


def test_a_model_nobody_knows_is_unknown(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(request(tiny, model=ModelConfig(name="some/model"), verb_flags={"no_step": True})) == 0
    out = capsys.readouterr().out
    assert out.count("unknown (some/model: its shapes") == 2


def test_a_folder_that_holds_no_model_is_an_error(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        plan.main(request(tiny, model=ModelConfig(name=str(tmp_path / "empty"))))
    assert caught.value.code == "E304"


def test_too_little_memory(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 2**20)
    with pytest.raises(MachineError) as caught:
        plan.main(request(tiny))
    assert (caught.value.code, caught.value.exit_code) == ("E201", 3)


def test_too_little_disk(tiny: Path) -> None:
    """10^12 responses."""
    with pytest.raises(MachineError) as caught:
        plan.main(request(tiny, optim=OptimConfig(steps=10**12)))
    assert (caught.value.code, caught.value.exit_code) == ("E202", 3)


def pool_of(folder: Path, count: int) -> str:
    rows = [{"prompt": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(count)]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 2))
    return str(folder / "pool.jsonl")


@pytest.mark.parametrize("run", [plan.main, plan.dry_run])
def test_a_pool_is_merged_and_the_curriculum_s_conditions_hold(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[[Request], int]
) -> None:
    """Three different rows for two groups, each twice: mopps may pick 2 of them, pairing needs more than 2 steps."""
    data = DataConfig(source=pool_of(tmp_path, 3), curriculum="mopps")
    quick = {"verb_flags": {"no_step": True}}
    assert run(request(tiny, data=data, **quick)) == 0
    out = capsys.readouterr().out
    assert run is plan.dry_run or "training on 3 examples, chosen by mopps" in out
    with pytest.raises(UsageError, match="pool of at least 4 examples") as caught:
        run(request(tiny, data=data, rollout=replace(SHORT, groups=3), **quick))
    assert caught.value.code == "E105"
    with pytest.raises(UsageError, match="looks for 2 steps before it chooses") as caught:
        run(request(tiny, data=replace(data, curriculum="pairing"), optim=OptimConfig(steps=2), **quick))
    assert caught.value.code == "E105"


def test_a_dry_run_passes_over_a_file_that_is_not_here(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be on the machine that trains."""
    for source in ("elsewhere.jsonl", "someone/pool", "pi1", ""):
        assert plan.dry_run(request(tiny, data=DataConfig(source=source, curriculum="mopps"))) == 0
    with pytest.raises(UsageError, match="at least 3"):
        plan.main(request(tiny, data=DataConfig(source="pi1", curriculum="mopps"), verb_flags={"no_step": True}))


def test_names_are_checked(tiny: Path) -> None:
    with pytest.raises(UsageError) as caught:
        plan.main(request(tiny, algorithm=AlgorithmConfig(name="grop")))
    assert caught.value.code == "E102"


def test_a_text_that_would_command_the_terminal_is_shown_harmless(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = Problem(id="x", prompt="\x1b[2J" + "a" * 300, answer="5")
    assert plan.main(request(tiny, data=DataConfig(example=evil.prompt, answer="5"))) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.isprintable()
    assert len(first) < 160


def test_test_tasks_count_in_time_and_disk(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(json.dumps({"prompt": f"{i}?", "answer": str(i)}) + "\n" for i in range(7))
    (tmp_path / "unseen.jsonl").write_text(rows)
    evals = EvalsConfig(tasks="unseen.jsonl", samples=3, temperature=1.0, max_new_tokens=10, limit=5, every=2)
    found = told(request(tiny, evals=evals), capsys)
    assert found["time"]["evaluations"] == 3
    assert found["time"]["evaluation"][1] == pytest.approx(1.2 * 5 * 3 * 10 / found["time"]["speed"]["decode"])
    assert found["disk"]["readings"] == 5 * 3 * 10 * BYTES_READ * 3


def test_a_task_that_is_not_here_is_counted_as_it_is_known(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evals = EvalsConfig(tasks="aime24,math500", max_new_tokens=10, limit=100)
    assert plan.main(request(tiny, evals=evals)) == 0
    out = capsys.readouterr().out
    assert "warning: aime24 is not on this machine, so a run without it is refused; its 30 problems are counted" in out
    assert "math500 is not on this machine, so a run without it is refused; its 100 problems are counted" in out
    assert plan.dry_run(request(tiny, evals=evals)) == 0


def test_the_longest_limit_counts_for_memory_and_positions(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = told(request(tiny, evals=EvalsConfig(tasks="aime24", max_new_tokens=10)), capsys)["memory"]
    long = told(request(tiny, evals=EvalsConfig(tasks="aime24", max_new_tokens=400)), capsys)["memory"]
    assert long["kv_cache"] > 1.5 * short["kv_cache"]
    with pytest.raises(UsageError, match="3072") as caught:
        plan.main(request(tiny, evals=EvalsConfig(tasks="aime24")))
    assert caught.value.code == "E105"


def test_unknown_tasks_are_told_by_both(tiny: Path) -> None:
    for ask in (plan.main, plan.dry_run):
        with pytest.raises(UsageError, match="Did you mean 'aime24'") as caught:
            ask(request(tiny, evals=EvalsConfig(tasks="aime42")))
        assert caught.value.code == "E102"
