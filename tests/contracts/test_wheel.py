"""The wheel holds what it needs, and answers in a Python that has nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(root)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The scripts folder of a venv with nothing in it but the wheel."""
    folder = tmp_path_factory.mktemp("venv")
    builder = venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt")
    builder.create(folder)
    context = builder.ensure_directories(folder)
    command = [sys.executable, "-m", "pip", "--python", context.env_exe, "install", "--quiet"]
    command += ["--disable-pip-version-check", "--no-index", "--no-deps", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(context.bin_path)


def run(program: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "ONESHOT_"))}
    return subprocess.run([program, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def test_the_wheel_carries_every_file_of_the_package(wheel: Path, root: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("oneshot/")}
    there = {
        path.relative_to(root).as_posix()
        for path in (root / "oneshot").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == there
    assert {"oneshot/py.typed", "oneshot/recipes/paper/qwen2.5-math-1.5b-pi1.toml"} <= inside


def test_the_wheel_carries_its_licence_and_nothing_of_the_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names}
    assert len(folders) == 2  # oneshot and oneshot_rlvr-VERSION.dist-info
    assert {name.split("/")[-1] for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}


@pytest.mark.parametrize("script", ["oneshot", "oneshot-rlvr"])
def test_help_and_recipes_answer_without_any_dependency(scripts: Path, script: str, tmp_path: Path) -> None:
    done = run(scripts / script, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "train" in done.stdout
    done = run(scripts / script, "recipes", "list", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "paper/qwen2.5-math-1.5b-pi1" in done.stdout


def test_the_venv_is_empty(scripts: Path, tmp_path: Path) -> None:
    """Otherwise the test before this one would show nothing."""
    for package in ("torch", "tyro", "rich", "numpy", "yaml"):
        done = run(scripts / "python", "-c", f"import {package}", cwd=tmp_path)
        assert "ModuleNotFoundError" in done.stderr
