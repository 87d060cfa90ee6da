"""CI skips no test outside tests/gpu: the rule of conftest.py, tried on a file that skips in every way there is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = """
import pytest

@pytest.mark.skip(reason="by mark")
def test_mark(): ...

def test_call():
    pytest.skip("by call")

@pytest.fixture
def absent():
    pytest.skip("by fixture")

def test_fixture(absent): ...

@pytest.mark.xfail(strict=True, reason="known")
def test_expected():
    raise AssertionError

def test_passes(): ...
"""
IMPORT = 'import pytest\npytest.importorskip("no_such_package")\n'


def run(folder: Path, root: Path, ci: str) -> str:
    files = {"test_skips.py": SKIPS, "test_import.py": IMPORT, "tests/gpu/test_gpu.py": SKIPS}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    command += ["--continue-on-collection-errors", "--import-mode=importlib", "."]
    environment = {**os.environ, "ONESHOT_CI": ci, "PYTHONPATH": str(root)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True).stdout


def test_under_ci_a_skip_fails_with_its_reason(tmp_path: Path, root: Path) -> None:
    out = run(tmp_path, root, ci="1")
    # Of test_skips.py one test fails when called and two when set up, test_import.py when collected (pytest calls the
    # last three errors); tests/gpu may skip its three.
    assert "1 failed, 2 passed, 3 skipped, 2 xfailed, 3 errors" in out
    for reason in ("by mark", "by call", "by fixture", "no_such_package"):
        assert reason in out


@pytest.mark.parametrize("ci", ["", "0"])
def test_elsewhere_a_skip_is_a_skip(tmp_path: Path, root: Path, ci: str) -> None:
    assert "2 passed, 7 skipped, 2 xfailed" in run(tmp_path, root, ci)
