"""The files that a model's answers depend on, told apart without loading it. Loads no torch.

Weights and configuration, and what makes a prompt of a text: the tokenizer with its chat template. An evaluation
records them, so that what it found is never read as that of another model in the same folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from oneshot._store import folders
from oneshot._store.sample_record import aside
from oneshot.errors import UsageError
from oneshot.record import Evaluations

WEIGHTS = ("*.safetensors", "*.bin", "config.json", "adapter_config.json")
PROMPTS = (
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja", "chat_template.json",
)  # fmt: skip
WHOLE = 1 << 24
"""Bytes up to which a file is hashed whole; of a larger one its size and evenly spread blocks are."""
_BLOCKS, _BLOCK = 64, 4096
_BASE = "base/"
"""Before the names of the files of the model that an adapter belongs to."""


def fingerprint(folder: Path) -> str:
    """16 hex digits over the sizes of a model's files and 64 evenly spread blocks of each: other weights differ."""
    return _short(b"".join(map(_blocks, _matching(folder, WEIGHTS))))


def _matching(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _blocks(path: Path) -> bytes:
    """Name, size and blocks of a file."""
    size = path.stat().st_size
    found = [f"{path.name} {size}\n".encode()]
    with open(path, "rb") as file:
        for block in range(_BLOCKS):
            file.seek(max(size - _BLOCK, 0) * block // (_BLOCKS - 1))
            found.append(file.read(_BLOCK))
    return b"".join(found)


def digests(folder: Path) -> dict[str, str]:
    """Name -> 16 hex digits of each file that matters; nothing of what is no folder here, such as a model of the Hub.

    A file up to `WHOLE` bytes by its sha256, a larger one by size and blocks. Of an adapter also the files of the model
    it belongs to, where that is a folder.
    """
    found = {path.name: _digest(path) for path in _matching(folder, (*WEIGHTS, *PROMPTS))}
    base = Path(_base(folder) or folder)
    if base != folder and base.is_dir():
        found |= {_BASE + path.name: _digest(path) for path in _matching(base, (*WEIGHTS, *PROMPTS))}
    return found


def _digest(path: Path) -> str:
    return _short(path.read_bytes() if path.stat().st_size <= WHOLE else _blocks(path))


def _base(folder: Path) -> str:
    """The model that an adapter names; empty where there is none, or its file cannot be read."""
    with suppress(OSError, ValueError, AttributeError):
        return str(json.loads((folder / "adapter_config.json").read_bytes()).get("base_model_name_or_path") or "")
    return ""


def written(folder: Path) -> dict[str, str]:
    """The same of a checkpoint as it was written, by its own checksums: of files that are hashed whole."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        sums = json.loads((folder / folders.CHECKSUMS).read_bytes())["files"]
        known = {path.name: path for path in _matching(folder, (*WEIGHTS, *PROMPTS))}
        small = [name for name, path in known.items() if path.stat().st_size <= WHOLE]
        return {name: str(sums.get(name, ""))[:16] for name in small}
    return {}


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The files that are not as they were: `tokenizer_config.json differs`."""
    words = {(True, True): "differs", (True, False): "is gone", (False, True): "is new"}
    return [
        f"{name} {words[name in before, name in now]}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def check(
    store: Evaluations, task: str, checkpoint: str, folder: Path, now: Mapping[str, str], *, again: tuple[str, ...]
) -> None:
    """Refuse a recorded evaluation of files that are no longer what they were when it was made.

    One that says nothing of files (of an earlier version, or read inside a run) is compared with what the checkpoint's
    own checksums say.

    Args:
        store: where it is recorded.
        task: its name in evals/.
        checkpoint: the same.
        folder: of the model; its files are not read where it is none.
        now: `digests(folder)`.
        again: lines that measure again once the record is out of the way.

    Raises:
        UsageError: E107 with the files.
    """
    if not now:
        return
    recorded = dict(store.protocol_of(task, checkpoint).get("files") or {})
    before = recorded or written(folder)
    if not any(name.startswith(_BASE) for name in now):  # the model of an adapter is not on this machine
        before = {name: value for name, value in before.items() if not name.startswith(_BASE)}
    told = differing(before, {name: value for name, value in now.items() if recorded or name in before})
    if not told:
        return
    at = store.eval_dir(task, checkpoint)
    raise UsageError(
        f"{at} was measured with other files than {folder} holds now: {', '.join(told)}.",
        code="E107",
        tries=(aside(at), *again),
        kept="Nothing was measured; the record is as it was.",
    )
