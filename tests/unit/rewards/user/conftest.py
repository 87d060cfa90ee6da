"""Reward functions written to a file and loaded from it."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from oneshot.rewards.user import adapters
from tests.unit.rewards.user.loaded import Load, Reward


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Writes `source` to a file and loads `name` from it; imports leave no trace in this process."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "oneshot_reward_reward", raising=False)

    def load(source: str, name: str = "f") -> Reward:
        (tmp_path / "reward.py").write_text(dedent(source), "utf-8")
        return adapters.load(f"{tmp_path / 'reward.py'}:{name}")

    return load
