"""The lock and pyproject.toml say the same, and torch stays out of the lock."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture
def lock(root: Path) -> dict[str, str]:
    lines = (root / "requirements" / "lock.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert not [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)], "every line is name==version"
    return {canonicalize_name(name): version for name, version in (pin.split("==") for pin in pins)}


def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


def test_every_dependency_is_locked_inside_its_bounds(root: Path, lock: dict[str, str]) -> None:
    settings = project(root)
    asked = [Requirement(r) for r in settings["project"]["dependencies"] + settings["dependency-groups"]["dev"]]
    for requirement in asked:
        if requirement.name != "torch":
            assert requirement.specifier.contains(lock[canonicalize_name(requirement.name)]), requirement


def test_every_dependency_has_a_floor_and_a_ceiling(root: Path) -> None:
    settings = project(root)["project"]
    for text in chain(settings["dependencies"], *settings["optional-dependencies"].values()):
        operators = {specifier.operator for specifier in Requirement(text).specifier}
        assert operators == {">=", "<"}, text


def test_torch_and_what_its_builds_bring_are_not_in_the_lock(root: Path, lock: dict[str, str]) -> None:
    assert not [name for name in lock if name.startswith(("torch", "triton", "nvidia-", "cuda-"))]
    assert "oneshot-rlvr" not in lock
    lines = (root / "requirements" / "torch.txt").read_text("utf-8").splitlines()
    (pin,) = [Requirement(line) for line in lines if not line.startswith("#")]
    assert pin.name == "torch"
    (version,) = [specifier.version for specifier in pin.specifier if specifier.operator == "=="]
    bounds = next(r for r in map(Requirement, project(root)["project"]["dependencies"]) if r.name == "torch")
    assert bounds.specifier.contains(version)
