"""The shipped recipes load, and say what they must."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files

import pytest

from oneshot.config.load import load
from oneshot.config.origins import DEFAULT, table
from oneshot.config.sources import shipped_recipes


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_loads_and_its_origins_name_it(name: str) -> None:
    file = shipped_recipes()[name]
    resolved = load([file], {}, {})
    given = {origin.rpartition(":")[0] for origin in resolved.origins.values()} - {""}
    base = re.search(r'^extends = "(.*?)"', file.read_text(encoding="utf-8"), re.MULTILINE)
    assert given == {f"file {name}.toml"} | ({f"file {base[1]}.toml"} if base else set())


def test_the_papers_recipe_is_the_papers() -> None:
    config = load([shipped_recipes()["paper/qwen2.5-math-1.5b-pi1"]], {}, {}).config
    assert config.model.name == "Qwen/Qwen2.5-Math-1.5B"
    assert config.data.source == "pi1"
    assert config.data.suffix == r"Let's think step by step and output the final answer within \boxed{}."
    assert (config.rollout.groups, config.rollout.group_size, config.rollout.temperature) == (128, 8, 0.6)
    assert (config.rollout.max_prompt_tokens, config.rollout.max_new_tokens) == (1024, 3072)
    assert (config.optim.lr, config.optim.weight_decay, config.optim.grad_clip) == (1e-6, 0.01, 1.0)
    assert (config.optim.steps, config.optim.warmup, config.optim.micro_tokens) == (2000, 0, 24000)
    assert (config.algorithm.kl, config.algorithm.kl_kind, config.algorithm.entropy) == (0.001, "k3", 0.001)
    assert config.algorithm.options == {"clip_low": 0.2, "clip_high": 0.2}
    assert (config.save.every, config.evals.every, config.reward.name) == (20, 20, "paper-train")


def test_the_papers_ppo_is_its_framework_s() -> None:
    base, config = (
        load([shipped_recipes()[f"paper/qwen2.5-math-1.5b-{name}"]], {}, {}).config for name in ("pi1", "ppo")
    )
    assert config.algorithm.name == "ppo"
    assert config.algorithm.options == {
        **base.algorithm.options, "gamma": 1.0, "lam": 1.0, "floor": 0.0, "critic": "model", "critic_lr": 1e-5,
        "value_clip": 0.5,
    }  # fmt: skip
    assert (config.algorithm.kl, config.algorithm.kl_in_reward, config.algorithm.updates) == (0.001, 0.0, 1)
    assert (config.rollout, config.optim) == (base.rollout, base.optim)


PAPER = [name for name in shipped_recipes() if name.startswith("paper/")]


@pytest.mark.parametrize("name", PAPER)
def test_every_value_of_a_paper_recipe_names_its_source(name: str) -> None:
    text = shipped_recipes()[name].read_text(encoding="utf-8")
    lines = text.split("\n")
    bare = []
    for above, line in zip(["", *lines], lines, strict=False):
        value = re.match(r"^\w+ = ", line)
        if value and not re.search(r"\[(P|R|I|ours)\b", line) and not re.match(r"# \[(P|R|I|ours)\b", above):
            bare.append(line)
    assert bare == []


def test_what_the_demo_s_recipe_says_and_nothing_else_is_told_as_its_own() -> None:
    file = shipped_recipes()["demo"]
    given = {key: value for key, value, origin in table(load([file], {}, {})) if origin != DEFAULT}
    said = tomllib.loads(file.read_text(encoding="utf-8"))
    assert given == {f"{section}.{key}": value for section, values in said.items() for key, value in values.items()}
    assert (given["rollout.max_new_tokens"], given["algorithm.entropy"]) == (48, 0.003)


def test_the_built_in_example_is_a_restatement_that_checks_out() -> None:
    rows = (files("oneshot") / "recipes/paper/examples.jsonl").read_text(encoding="utf-8").splitlines()
    (row,) = map(json.loads, rows)
    assert set(row) == {"id", "prompt", "answer", "note", "source"}
    assert (row["id"], row["answer"]) == ("pi1", "12.8")
    assert "restatement" in row["note"]
    constant = 4 / (2 * 8**3)  # P = k A V^3 with V = 8, A = 2, P = 4
    assert (32 / (constant * 4)) == 2048
    assert round(2048 ** (1 / 3), 3) == 12.699
    for number in ("8", "2", "4", "32"):
        assert f"\\( {number} \\)" in row["prompt"]
