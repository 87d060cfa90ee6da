from __future__ import annotations

import json
import socket
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from oneshot.config.request import Request
from oneshot.config.schema import Config, ModelConfig, SaveConfig
from oneshot.stages import doctor

GIB = 1024**3


@pytest.fixture(autouse=True)
def healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which the demo runs: model cached, packages there, memory and disk enough, no GPU, no socket."""
    home = tmp_path / "home"
    (home / "models" / "smollm2-135m").mkdir(parents=True)
    (home / "models" / "smollm2-135m" / "config.json").write_text("{}")
    monkeypatch.setattr(doctor, "home", lambda: home)
    monkeypatch.setattr(doctor, "available_memory", lambda: 16 * GIB)
    monkeypatch.setattr(doctor, "_version", lambda name: "2.13.0+cpu" if name == "torch" else "1.0")
    monkeypatch.setattr(doctor, "_gpus", lambda: ([], ""))
    monkeypatch.setattr(doctor, "_disk", lambda path: {"path": str(path), "free": 100 * GIB})

    def no_socket(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", no_socket)
    return home


def report(capsys: pytest.CaptureFixture[str], status: int, **options: Any) -> dict[str, Any]:
    assert doctor.main(Request(verb="doctor", json=True, **options)) == status
    out, err = capsys.readouterr()
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    assert found["schema"] == "oneshot.doctor/1"
    return found


def codes(found: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in found["demo"]["reasons"]]


def test_a_healthy_machine(capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, 0)
    assert found["demo"]["runs"] is True
    assert found["demo"]["model"] == "smollm2-135m"
    assert found["demo"]["bytes"]["weights"] == 4 * 134_515_008
    assert found["packages"]["torch"] == "2.13.0+cpu"
    assert found["model"]["cached"] is True
    assert found["cores"] >= 1


def test_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(Request(verb="doctor")) == 0
    out, err = capsys.readouterr()
    rows = [line.split(maxsplit=1) for line in out.splitlines()]
    assert ["memory", "16.0 GiB free"] in rows
    assert ["offline", "no"] in rows
    assert any(row[0] == "demo" and row[1].startswith("runs here") for row in rows)
    assert err == ""


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("available_memory", lambda: 2 * GIB, "E201"),
        ("_disk", lambda path: {"path": str(path), "free": GIB}, "E202"),
        ("_version", lambda name: None if name == "gguf" else "2.13", "E204"),
        ("_version", lambda name: "2.9.1" if name == "torch" else "1", "E204"),
        ("_gpus", lambda: ([], "libtorch.so: cannot open"), "E204"),
    ],
)
def test_what_keeps_the_demo_from_running(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: object, code: str
) -> None:
    monkeypatch.setattr(doctor, name, value)
    found = report(capsys, 3)
    assert codes(found) == [code]
    assert found["demo"]["runs"] is False
    assert all(reason["try"] for reason in found["demo"]["reasons"])


def test_the_reason_is_told_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "available_memory", lambda: 2 * GIB)
    assert doctor.main(Request(verb="doctor")) == 3
    out, err = capsys.readouterr()
    assert "cannot run here" in out
    assert err.startswith("E201 the demo needs about ")
    assert "2.0 GiB are free" in err


def test_unknown_memory_refuses_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "available_memory", lambda: 0)
    assert report(capsys, 0)["demo"]["fits"] is None


def test_without_the_model_offline_cannot_and_online_can(healthy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (healthy / "models" / "smollm2-135m" / "config.json").unlink()
    assert codes(report(capsys, 3, offline=True)) == ["E203"]
    assert report(capsys, 0)["model"]["cached"] is False


def test_without_the_model_something_must_fetch_it(
    healthy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (healthy / "models" / "smollm2-135m" / "config.json").unlink()
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert codes(report(capsys, 3)) == ["E205"]


def test_fetch_makes_the_model_first(monkeypatch: pytest.MonkeyPatch, healthy: Path) -> None:
    asked: list[tuple[Path, bool]] = []
    monkeypatch.setattr(doctor.embedded, "ensure", lambda home, *, offline: asked.append((home, offline)))
    doctor.main(Request(verb="doctor", verb_flags={"fetch": True}, offline=True))
    assert asked == [(healthy, True)]


@pytest.mark.parametrize(("name", "fits"), [("Qwen/Qwen2.5-Math-1.5B", False), ("some/model", None)])
def test_a_model_asked_for(capsys: pytest.CaptureFixture[str], name: str, fits: bool | None) -> None:
    config = Config(model=ModelConfig(name=name))
    found = report(capsys, 0, config=config, origins={"model.name": "flag --model"})
    assert (found["asked"]["model"], found["asked"]["fits"]) == (name, fits)
    assert any(line.startswith("asked") for line in doctor.lines(found))


def test_extras_come_from_the_packages_own_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "1.0" if name == "peft" else None)
    wanted = ["torch<3,>=2.11", 'datasets<6,>=4; extra == "hub"', "peft>=0.21; extra == 'lora'"]
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    assert doctor.extras() == {"hub": {"datasets": None}, "lora": {"peft": "1.0"}}


def test_a_bare_checkout_has_no_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    assert doctor.extras() == {}


def test_the_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    free = doctor._disk(tmp_path / "a" / "b")["free"]
    assert free == doctor._disk(tmp_path)["free"] > 0


def test_the_runs_folder_is_the_configured_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(capsys, 0, config=Config(save=SaveConfig(runs="/elsewhere")))["disk"]["runs"]["path"] == "/elsewhere"
