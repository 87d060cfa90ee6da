"""Accounts, servers and --offline: what decides where a tracker writes, and that nobody is asked to log in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from oneshot.config.environment import tracks_elsewhere, wandb_mode
from oneshot.errors import UsageError
from oneshot.export.trackers import MLflow, Opening, TensorBoard, Trackio, Wandb
from tests.unit.export import fakes
from tests.unit.export.runs import Run


def opening(folder: Path, **changes: object) -> Opening:
    values: dict[str, object] = {"name": "mine", "folder": folder / "mine", "id": "", "first_step": 0}
    return Opening(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("env", "key", "offline", "mode", "logins"),
    [
        ({}, False, False, "offline", 0),
        ({"WANDB_API_KEY": "x"}, True, False, "online", 1),
        ({"WANDB_API_KEY": "x"}, True, True, "offline", 0),
        ({"WANDB_MODE": "online"}, True, False, "online", 1),  # a key in its own file
        ({"WANDB_MODE": "online"}, False, False, "offline", 1),  # no key anywhere: it would ask
        ({"WANDB_MODE": "disabled", "WANDB_API_KEY": "x"}, True, False, "disabled", 0),
        ({"WANDB_MODE": "offline", "WANDB_API_KEY": "x"}, True, False, "offline", 0),
    ],
)
def test_wandb_never_asks_for_an_account(
    env: dict[str, str],
    key: bool,
    offline: bool,
    mode: str,
    logins: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = fakes.wandb(monkeypatch, key=key)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    Wandb(opening(tmp_path, offline=offline))
    assert (seen.opened[0]["mode"], seen.logins) == (mode, logins)
    assert seen.opened[0]["settings"]["console"] == "off"  # our output is not its business


def test_mlflow_goes_where_its_variable_says_unless_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    seen = fakes.mlflow(monkeypatch)
    MLflow(opening(tmp_path))
    assert not [how for how in seen.opened if "uri" in how]
    MLflow(opening(tmp_path, offline=True))
    assert {"uri": f"sqlite:///{tmp_path / 'mlflow.db'}"} in seen.opened


def test_mlflow_takes_long_values_and_many_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = fakes.mlflow(monkeypatch)
    MLflow(opening(tmp_path, config={f"key{i}": "x" * 9000 for i in range(250)}))
    assert len(seen.config) == 250
    assert {len(value) for value in seen.config.values()} == {MLflow.LONGEST}


@pytest.mark.parametrize("variable", ["TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"])
def test_trackio_with_a_server_is_refused_offline(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = fakes.trackio(monkeypatch)
    monkeypatch.setenv(variable, "me/space")
    Trackio(opening(tmp_path))
    with pytest.raises(UsageError, match="--offline opens no socket") as caught:
        Trackio(opening(tmp_path, offline=True))
    assert caught.value.code == "E105"
    assert len(seen.opened) == 1
    (tmp_path / "run").mkdir()
    run = Run(tmp_path / "run")
    with pytest.raises(UsageError):  # not swallowed as a failure of the package
        run.tracking("trackio", offline=True)


def test_a_setting_with_a_bar_stays_in_its_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = fakes.tensorboard(monkeypatch)
    TensorBoard(opening(tmp_path, config={"data.example": "a | b\nc"}))
    assert seen.config == {"data.example": "a \\| b c"}


def test_the_environment_decides() -> None:
    assert wandb_mode({}) == "offline"
    assert wandb_mode({"WANDB_API_KEY": ""}) == "offline"
    assert not tracks_elsewhere("tensorboard", {"MLFLOW_TRACKING_URI": "x"})
    assert tracks_elsewhere("mlflow", {"MLFLOW_TRACKING_URI": "x"})


def test_importing_loads_no_tracker_and_no_torch() -> None:
    code = "import sys, oneshot.export.tracking; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "wandb", "trackio", "mlflow", "tensorboard"}
