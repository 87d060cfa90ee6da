"""`oneshot plan` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import SMALL, OneShot


@pytest.fixture
def words(tiny: Path) -> tuple[str | Path, ...]:
    return ("plan", "--model", tiny, "--example", "What is 2 + 3?", "--answer", "5", *SMALL)


def test_a_plan_of_a_recipe_trains_and_writes_nothing(oneshot: OneShot, tiny: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        f'[model]\nname = "{tiny}"\nthreads = 1\n[data]\nexample = "Say 5."\nanswer = "5"\n'
        "[rollout]\ngroups = 1\ngroup_size = 2\nmax_new_tokens = 4\n[optim]\nsteps = 9\n"
    )
    told = oneshot("plan", "-c", recipe, "--steps", "2")
    assert told.code == 0, told.err
    assert told.err == ""
    assert "1 groups x 2 = 2 responses a step, x 2 steps" in told.out
    assert "forward and backward in" in told.out
    assert "tokens/s" in told.out
    assert not list(Path().iterdir())


def test_json_is_one_object_like_that_of_a_dry_run(oneshot: OneShot, words: tuple[str, ...]) -> None:
    plan = oneshot(*words, "--json", "--offline").json
    dry = oneshot("train", "--dry-run", *words[1:], "--json").json
    assert plan["schema"] == dry["schema"] == "oneshot.plan/1"
    assert plan.keys() - dry.keys() == {"example", "time", "disk", "worst_case"}
    assert plan["memory"].keys() == dry["memory"].keys()
    assert plan["origins"]["model.name"] == "flag --model.name"


def test_no_step(oneshot: OneShot, words: tuple[str, ...]) -> None:
    told = oneshot(*words, "--no-step")
    assert told.code == 0
    assert "not run: --no-step was given" in told.out
    assert "unknown: nothing was measured" in told.out


def test_what_cannot_fit_exits_3(oneshot: OneShot, words: tuple[str, ...]) -> None:
    told = oneshot(*words, "--rollout.max-new-tokens", "100000000", "--json")
    assert told.code == 3
    assert json.loads(told.out)["code"] in ("E201", "E202")
    told = oneshot(*words, "--steps", "1000000", "--rollout.groups", "1000")
    assert (told.code, told.err.split()[0]) == (3, "E202")


def test_a_mistake_is_a_usage_error(oneshot: OneShot, words: tuple[str, ...]) -> None:
    assert oneshot(*words, "--algorithm", "grop").code == 2
    assert oneshot(*words, "--resume").code == 2  # belongs to train
