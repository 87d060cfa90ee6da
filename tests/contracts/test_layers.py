"""The import contracts of pyproject.toml refuse what they should: each broken on purpose in a copy of the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import combinations
from pathlib import Path

import pytest

LINT = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"


@pytest.fixture
def copy(tmp_path: Path, root: Path) -> Path:
    shutil.copytree(root / "oneshot", tmp_path / "oneshot", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", LINT], cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)


def add(folder: Path, module: str, line: str) -> None:
    """Append an import to `oneshot.<module>`."""
    path = folder / "oneshot" / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    path.write_text(f"{path.read_text('utf-8')}\n{line}\n", "utf-8")


def test_the_package_as_it_is_keeps_every_contract(copy: Path) -> None:
    code, out = lint(copy)
    assert code == 0, out
    assert "0 broken" in out


BROKEN = [
    ("errors", "import oneshot.types", "Imports point down"),
    ("types", "import oneshot.stages.train", "Imports point down"),
    ("registry", "def late() -> None:\n    import oneshot.algos.zoo", "Imports point down"),
    ("measure.statistics", "from oneshot.train import learner", "Imports point down"),
    ("rollout.native", "from oneshot.train.learner import Learner", "Imports point down"),
    ("train.learner", "from oneshot.rollout import native", "Imports point down"),
    ("model.policy", "import oneshot.record", "Imports point down"),
    ("config.schema", "from oneshot.registry import Registry", "Imports point down"),
    ("algos.credit", "from oneshot.config.schema import AlgorithmConfig", "Algorithms know"),
    ("train.learner", "import rich", "The numerical core"),
    ("model.policy", "def late() -> None:\n    import yaml", "The numerical core"),
]


@pytest.mark.parametrize(("module", "line", "contract"), BROKEN, ids=[case[0] for case in BROKEN])
def test_an_import_against_the_rules_is_refused(copy: Path, module: str, line: str, contract: str) -> None:
    add(copy, module, line)
    code, out = lint(copy)
    assert code != 0
    assert re.search(rf"{contract}[^.]*? BROKEN", out), out
    assert f"oneshot.{module} -> " in out, out


def test_a_module_outside_every_layer_is_refused(copy: Path) -> None:
    (copy / "oneshot" / "helpers.py").write_text("", "utf-8")
    code, out = lint(copy)
    assert code != 0
    assert "oneshot.helpers" in out or "helpers" in out


def test_siblings_are_separated_by_bars(root: Path) -> None:
    """`|` between the names of a layer means: siblings do not see each other. A colon would let them."""
    settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = settings["contracts"][0]["layers"]
    assert not [layer for layer in layers if ":" in layer]
    pairs = [pair for layer in layers for pair in combinations(layer.split(" | "), 2)]
    assert {("train", "rollout"), ("algos", "model"), ("model", "record"), ("registry", "config")} <= set(pairs)
