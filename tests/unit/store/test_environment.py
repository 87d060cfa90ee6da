from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from oneshot._store.environment import git_commit, redact, redact_argv
from oneshot.record import RunFolder
from tests.unit.store.samples import everything


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["--hub.token", "abc", "x"], ["--hub.token", "[redacted]", "x"]),
        (["--hf-token=abc"], ["--hf-token=[redacted]"]),
        (["HF_TOKEN=abc"], ["HF_TOKEN=[redacted]"]),
        (["--token", "--json"], ["--token", "--json"]),
        (["hf_abcdefghijklmnopqrst"], ["[redacted]"]),
        (["https://me:pw@host/x"], ["https://[redacted]@host/x"]),
        (["--rollout.max-new-tokens", "64"], ["--rollout.max-new-tokens", "64"]),
        (["--example", "a token = 3"], ["--example", "a token = 3"]),
    ],
)
def test_credentials_in_the_command_line(argv: list[str], shown: list[str]) -> None:
    assert redact_argv(argv) == shown


def test_credentials_and_environment_are_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "from-the-environment")
    config = {"hub": {"token": "from-the-config"}, "rollout": {"max_new_tokens": 64}, "data": ["hf_" + "a" * 30]}
    run = RunFolder.create(tmp_path, "x", config, ["oneshot", "--hub.token", "from-the-flag"])
    recorded = b"".join(everything(run.path).values())
    assert b"from-the" not in recorded and b"hf_a" not in recorded
    assert run.config()["rollout"] == {"max_new_tokens": 64}
    assert redact({"token": ""}) == {"token": ""}


def test_git_commit_is_of_the_tracked_folder_only(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], capture_output=True, text=True)
        return done.stdout.strip()

    git("init")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "a.py").write_text("")
    (tmp_path / "untracked").mkdir()
    git("add", "package")
    git("commit", "-m", "x")
    assert git_commit(tmp_path / "package") == git("rev-parse", "HEAD")
    assert git_commit(tmp_path / "untracked") is None


def test_git_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(Path(__file__).parent) is None
