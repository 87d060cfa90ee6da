"""The few variables that are no settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oneshot.config.environment import go_offline, home, offline, plain

HUB = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")


def test_home() -> None:
    assert home({"ONESHOT_HOME": "/data/one"}) == Path("/data/one")
    assert home({"ONESHOT_HOME": "~/one"}) == Path.home() / "one"
    assert home({}) == home({"ONESHOT_HOME": ""}) == Path.home() / ".cache" / "oneshot"


@pytest.mark.parametrize(("value", "on"), [("1", True), ("true", True), ("0", False), ("", False), ("False", False)])
def test_offline(value: str, on: bool) -> None:
    assert offline({"ONESHOT_OFFLINE": value}) is on


def test_plain_output() -> None:
    assert plain({"NO_COLOR": "1"})
    assert plain({"CI": "true"})
    assert plain({"TERM": "dumb"})
    assert not plain({"TERM": "xterm", "CI": "false", "NO_COLOR": ""})


def test_going_offline_tells_the_hugging_face_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HUB:
        monkeypatch.setenv(name, "0")
    go_offline()
    assert [os.environ[name] for name in HUB] == ["1"] * 4
