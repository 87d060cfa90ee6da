"""Sealed folders: on disk before they have their name, and able to tell when they changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oneshot._store import folders
from oneshot.model import policy as policies
from tests.parts import tiny_policy


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    (folder / "inside").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"a" * 100)
    (folder / "inside" / "b.txt").write_text("b")
    folders.seal(folder)
    return folder


def test_what_is_as_it_was_written(made: Path) -> None:
    assert folders.fault(made) == ""
    (made / "inside" / "b.txt").write_text("c")
    assert folders.fault(made) == "is damaged: inside/b.txt is not what was written"
    assert folders.fault(made / "nowhere") == "is gone"


def test_a_file_that_cannot_be_read(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(folders, "_sha256", broken)
    assert folders.fault(made) == "cannot be read: Input/output error"


def test_one_folder_takes_anothers_place(made: Path) -> None:
    target = made.with_name("target")
    target.mkdir()
    (target / "old").touch()
    folders.put(made, target)
    assert sorted(os.listdir(made.parent)) == ["target"]
    assert folders.fault(target) == ""
    assert not (target / "old").exists()


def test_what_cannot_be_replaced_stays(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = made.with_name("target")
    target.mkdir()
    rename = os.replace

    def refuse(source: Path, goal: Path) -> None:
        if source == made:
            raise OSError(5, "Input/output error")
        rename(source, goal)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="Input/output"):
        folders.put(made, target)
    assert sorted(os.listdir(made.parent)) == ["made", "target"]


def test_everything_is_on_disk_before_the_folder_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    sync, rename = os.fsync, os.replace

    def fsync(handle: int) -> None:
        calls.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        sync(handle)

    def replace(source: Path, goal: Path) -> None:
        calls.append(f"rename to {Path(goal).name}")
        rename(source, goal)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    policies.save(tiny_policy(), tmp_path / "copy")
    named = calls.index("rename to copy")
    written = set(os.listdir(tmp_path / "copy"))
    assert {"model.safetensors", "config.json", "tokenizer.json", "checksums.json"} <= written <= set(calls[:named])
    assert any(name.startswith(".copy-") for name in calls[:named])  # the folder itself
    assert calls[named + 1 :] == [tmp_path.name]  # and the rename
