"""A Hub that is a dictionary: the client that `push` is handed in tests. No socket is opened."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from huggingface_hub import ModelCardData


class FakeHub:
    """Remembers what it was asked to do; `fails` is raised by the upload."""

    def __init__(
        self, *, public: tuple[str, ...] = (), fails: Exception | None = None, licences: dict[str, str] | None = None
    ) -> None:
        self.private = dict.fromkeys(public, False)
        self.fails, self.licences = fails, licences or {}
        self.branches: list[tuple[str, str]] = []
        self.uploaded: dict[str, dict[str, bytes]] = {}
        self.commits: list[dict[str, Any]] = []

    def create_repo(self, repo: str, *, private: bool, repo_type: str, exist_ok: bool) -> None:
        assert repo_type == "model"
        assert exist_ok
        self.private.setdefault(repo, private)

    def repo_info(self, repo: str, *, repo_type: str) -> SimpleNamespace:
        return SimpleNamespace(private=self.private[repo])

    def create_branch(self, repo: str, *, branch: str, repo_type: str, exist_ok: bool) -> None:
        self.branches.append((repo, branch))

    def model_info(self, repo: str) -> SimpleNamespace:
        if repo not in self.licences:
            raise ValueError(f"no {repo}")
        return SimpleNamespace(card_data=ModelCardData(license=self.licences[repo]))

    def upload_folder(self, *, repo_id: str, folder_path: str, allow_patterns: list[str], **other: Any) -> Any:
        if self.fails:
            raise self.fails
        folder = Path(folder_path)
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        kept = {name for name in files if any(fnmatch(name, pattern) for pattern in allow_patterns)}
        self.uploaded[repo_id] = {name: files[name].read_bytes() for name in kept}
        self.commits.append(other)
        return SimpleNamespace(commit_url=f"https://hub.example/{repo_id}/commit/1")
