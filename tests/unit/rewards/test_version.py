"""The version of a grader changes with its code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import oneshot
from oneshot.rewards import version
from oneshot.rewards.version import grader_version


def test_ours_is_one_for_all_and_stays() -> None:
    assert grader_version("math") == grader_version("paper-eval")
    assert len(grader_version("math")) == 12
    assert int(grader_version("math"), 16) >= 0
    assert grader_version("gym:chain_sum:seed=0") != grader_version("math")
    assert grader_version("gym:chain_sum:seed=0") == grader_version("gym-lenient:x")


@pytest.mark.parametrize("changed", ["rewards/answers/compare.py", "rewards/extract.py", "boxes.py"])
def test_any_source_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    package = Path(oneshot.__file__).parent
    shutil.copytree(package / "rewards", tmp_path / "rewards", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(package / "boxes.py", tmp_path)
    monkeypatch.setattr(version, "files", lambda name: tmp_path)
    compute = version._ours.__wrapped__
    assert compute()[:12] == grader_version("math")
    source = tmp_path / changed
    whole = source.read_bytes()
    source.write_bytes(whole.replace(b"\n", b"\r\n"))
    assert compute()[:12] == grader_version("math"), "line ends do not count"
    source.write_bytes(whole + b"# changed\n")
    assert compute()[:12] != grader_version("math")


def test_a_users_function_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def grade(response, reference): return 1.0\n")
    before = grader_version(f"{file}:grade")
    assert before == grader_version(str(file)) and len(before) == 12
    file.write_text("def grade(response, reference): return 0.0\n")
    assert grader_version(f"{file}:grade") != before
    assert grader_version(f"{tmp_path / 'none.py'}:grade") == ""
