"""`oneshot recipes`, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oneshot.cli.main import main
from oneshot.config.load import find_recipe, load
from oneshot.config.sources import shipped_studies

PAPER = "paper/qwen2.5-math-1.5b-pi1"

MODELS = {
    "demo": "smollm2-135m",
    "paper/llama-3.2-3b-instruct-pi1": "meta-llama/Llama-3.2-3B-Instruct",
    "paper/qwen2.5-math-1.5b-dsr-sub": "Qwen/Qwen2.5-Math-1.5B",
    "paper/qwen2.5-math-1.5b-entropy-only": "Qwen/Qwen2.5-Math-1.5B",
    PAPER: "Qwen/Qwen2.5-Math-1.5B",
    "paper/qwen2.5-math-1.5b-ppo": "Qwen/Qwen2.5-Math-1.5B",
    "paper/qwen2.5-math-7b-pi1": "Qwen/Qwen2.5-Math-7B",
    "paper/r1-distill-qwen-1.5b-pi1": "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
}


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*MODELS, *shipped_studies()]
    assert "arXiv:2504.20571" in lines[1]


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "oneshot.recipes/1"
    assert {row["name"]: row["model"] for row in told["recipes"]} == MODELS
    assert [row["name"] for row in told["studies"]] == list(shipped_studies())


def test_show_and_copy_give_the_same_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "show", PAPER]) == 0
    shown = capsys.readouterr().out
    assert main(["recipes", "copy", PAPER, str(tmp_path)]) == 0
    target = tmp_path / "qwen2.5-math-1.5b-pi1.toml"
    assert target.read_text(encoding="utf-8") == shown
    assert main(["recipes", "show", PAPER, "--json"]) == 0
    capsys_out = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(capsys_out)["text"] == shown


@pytest.mark.parametrize("name", shipped_studies())
def test_every_study_is_shown_and_copied_to_be_changed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recipes", "show", name]) == 0
    shown = capsys.readouterr().out
    assert main(["recipes", "copy", name, str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    target = tmp_path / f"{name.rpartition('/')[2]}.toml"
    assert told == {"schema": "oneshot.copied/1", "name": name, "path": str(target)}
    assert target.read_text(encoding="utf-8") == shown
    assert main(["study", str(target), "--dry-run", "--out", str(tmp_path)]) == 0  # the copy stands for itself


@pytest.mark.parametrize("name", [name for name in MODELS if name != "demo"])
def test_a_copied_recipe_is_read_like_the_shipped_one(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "mine.toml"
    assert main(["recipes", "copy", name, str(copied)]) == 0
    assert load([copied], {}, {}).config == load([find_recipe(name)], {}, {}).config


@pytest.mark.parametrize("more", [[], ["--yes"]])
def test_a_copy_never_replaces_anything(more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("seed = 1\n", encoding="utf-8")
    assert main(["recipes", "copy", "demo", str(mine), *more]) == 2
    assert capsys.readouterr().err.startswith("E104 ")
    (tmp_path / "demo.toml").symlink_to(tmp_path / "gone")
    assert main(["recipes", "copy", "demo", str(tmp_path), *more]) == 2  # a link to nowhere is something too
    assert mine.read_text(encoding="utf-8") == "seed = 1\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.toml", "mine.toml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lst"], "E102 unknown action 'lst'. Did you mean 'list'?"),
        (["show", "demmo"], "E102 unknown recipe 'demmo'. Did you mean 'demo'?"),
        (["show"], "E103 "),
        (["copy", "demo"], "E103 "),
        (["copy", "demo", "/nowhere/at/all.toml"], "E106 "),
    ],
)
def test_what_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", *words]) == 2
    assert capsys.readouterr().err.startswith(said)
