"""What a run was made with: versions, platform, command line, code revision. Environment variables are never read."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "safetensors", "oneshot-rlvr")
_HIDDEN = "[redacted]"
_SECRET_NAME = re.compile(
    r"(?:[\w-]+\.)*(?:(?:hf|hub|auth|access|api|bearer|client|wandb)[-_])?(?:token|secret|password|passwd|api[-_]?key)",
    re.IGNORECASE,
)
# Shapes that are credentials wherever they stand: Hugging Face, OpenAI style, GitHub, and user:password in an address.
_SECRET_TEXT = re.compile(
    r"\b(?:hf_|sk-|gh[pousr]_)[A-Za-z0-9_-]{16,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
)


def describe_environment(argv: Sequence[str]) -> dict[str, Any]:
    """Contents of `env.json`. `argv` is recorded without credentials; `git_commit` is None outside a checkout."""
    return {
        "schema": "oneshot.env/1",
        "created": time.time(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "cpu_usable": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "argv": redact_argv(argv),
        "git_commit": git_commit(Path(__file__).parent),
    }


def _version(package: str) -> str | None:
    """Installed version, read from the metadata so that nothing heavy is imported."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_commit(folder: Path) -> str | None:
    """The commit checked out around `folder`, or None.

    None also when git does not track the folder: an environment inside somebody's checkout would otherwise claim that
    checkout's commit as ours.
    """
    return _git(folder, "rev-parse", "HEAD") if _git(folder, "ls-files", "--", ".") else None


def _git(folder: Path, *arguments: str) -> str:
    """Output of a git command in `folder`; empty when it fails or git is missing."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def redact_argv(argv: Sequence[str]) -> list[str]:
    """The command line with credentials replaced: `--hub.token X`, `--token=X`, `HF_TOKEN=X`, and known key shapes."""
    shown: list[str] = []
    hide_next = False
    for argument in argv:
        name, equals, _ = argument.lstrip("-").partition("=")
        secret = _SECRET_NAME.fullmatch(name) is not None
        if hide_next and not argument.startswith("--"):
            shown.append(_HIDDEN)
        elif secret and equals:
            shown.append(argument[: argument.index("=") + 1] + _HIDDEN)
        else:
            shown.append(_SECRET_TEXT.sub(_HIDDEN, argument))
        hide_next = secret and not equals and argument.startswith("-")
    return shown


def redact(value: Any) -> Any:
    """A configuration tree with credentials replaced; everything else is returned as it is."""
    if isinstance(value, str):
        return _SECRET_TEXT.sub(_HIDDEN, value)
    if isinstance(value, Mapping):
        return {
            key: _HIDDEN if isinstance(item, str) and item and _SECRET_NAME.fullmatch(str(key)) else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return value
