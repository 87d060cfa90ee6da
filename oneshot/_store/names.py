"""Names of the run folder: making, finding and reading them."""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path

from oneshot._store.disk import full_disk
from oneshot.errors import UsageError

ROLLOUT = re.compile(r"step_(\d{6,})\.jsonl\.gz")
CHECKPOINT = re.compile(r"checkpoint-(\d+)")
ATTEMPT = re.compile(r"attempt_(\d+)")


def new_folder(root: Path, stem: str) -> Path:
    """Make `root/stem-xxxx`, trying other random suffixes when one is taken; `UsageError` E104 when it cannot be."""
    for _ in range(16):
        path = root / f"{stem}-{secrets.token_hex(2)}"
        try:
            with full_disk(path):
                root.mkdir(parents=True, exist_ok=True)
                path.mkdir()
        except FileExistsError as error:
            if not root.is_dir():
                raise UsageError(f"{root} is a file, not a folder of runs.", code="E104") from error
            continue
        except (NotADirectoryError, PermissionError) as error:
            message = f"no run folder can be made in {root}: {error.strerror}."
            raise UsageError(message, code="E104", tries=(f"ls -ld {root}",)) from error
        return path
    raise UsageError(f"every name tried for {stem} in {root} is taken; none is reused.", code="E104")


def run_folders(root: Path) -> list[Path]:
    """Every run folder directly in `root`, by name."""
    return sorted(path.parent for path in root.glob("*/config.json") if is_run(path.parent))


def is_run(path: Path) -> bool:
    """Whether a run was made in this folder; a model's folder has a config.json too."""
    return (path / "config.json").is_file() and (path / "status.json").is_file()


def numbers(folder: Path, pattern: re.Pattern[str]) -> list[int]:
    """The numbers of the entries of `folder` whose whole name fits `pattern`, ascending; temporary names do not fit."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(match[1]) for name in names if (match := pattern.fullmatch(name)))


def rollout(step: int) -> str:
    """The file of a step's responses."""
    return f"step_{step:06d}.jsonl.gz"


def slug(text: str) -> str:
    """At most 40 lower-case letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower())[:40].strip("-.") or "run"


def file_name(text: str) -> str:
    """A task or checkpoint name as a folder name; a changed one gets a hash, so that two never meet."""
    clean = re.sub(r"[^A-Za-z0-9_.+-]+", "-", text).lstrip(".")
    return clean if clean == text and clean else f"{clean or 'x'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def checkpoint_number(name: str) -> int:
    """The step of `checkpoint-N`; -1 for other names such as `base`."""
    match = CHECKPOINT.fullmatch(name)
    return int(match[1]) if match else -1
