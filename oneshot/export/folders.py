"""Folders that other tools open: plain Hugging Face models, peft adapters. Whole or absent, never replaced.

A folder is filled under a temporary name beside its place and renamed when it is whole. Loads torch through the policy
it is given, not by itself.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneshot._store import folders
from oneshot.errors import MachineError, UsageError
from oneshot.model.shapes import ADAPTER_CONFIG
from oneshot.model.storage import size

if TYPE_CHECKING:
    from oneshot.model.policy import Policy

KEPT = ("bos_token_id", "eos_token_id", "pad_token_id", "transformers_version")
"""What of a generation config says where a response begins and ends; all else changes how it is drawn."""
_SPARE = 16 << 20
"""Bytes for tokenizer and configuration, beside the weights."""


def refuse_existing(target: Path) -> None:
    """Raise `UsageError` E104 where something is at the place of an export."""
    if target.exists() or target.is_symlink():
        raise UsageError(
            f"{target} exists already; an export replaces nothing.",
            code="E104",
            tries=(f"--out {target}-2", f"mv {target} {target}.old"),
            kept="Nothing was written.",
        )


def check_room(folder: Path, need: int, what: str, *, free: int | None = None) -> None:
    """Refuse to begin what the disk of `folder`, which need not exist, cannot hold; `need` in bytes of weights.

    Raises:
        MachineError: E202 with the numbers.
    """
    place = folder.expanduser().absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free if free is None else free
    if need + _SPARE > free:
        raise MachineError(
            f"{what} takes up to {size(need + _SPARE)} and {size(free)} are free on the disk of {place}.",
            code="E202",
            tries=("--out FOLDER   (on a larger disk)", "--model.dtype bfloat16   (half of float32)"),
            kept="Nothing was written.",
        )


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Inside, a folder to be filled; after it, `target`. Nothing is left of one that was not filled.

    Raises:
        UsageError: E104 there is something at that place, or no folder can be made there.
        MachineError: E202 writing failed.
    """
    from safetensors import SafetensorError

    refuse_existing(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        message = f"no folder can be made at {target}: {error.strerror}."
        raise UsageError(message, code="E104", tries=(f"ls -ld {target.parent}",)) from error
    try:
        yield made
        made.chmod(0o755)
        refuse_existing(target)  # another process may have been faster
        folders.put(made, target)
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk in its own way
        raise MachineError(
            f"{target} could not be written: {error}.",
            code="E202",
            tries=(f"df -h {target.parent}",),
            kept="No part of it was left.",
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write_model(policy: Policy, folder: Path) -> list[str]:
    """Fill `folder` with weights, configuration, stop ids, tokenizer and chat template; returns what to say.

    The generation config holds the ids at which a response ended in training. Its settings of how tokens are drawn are
    left out: the run drew without them, and a server would apply them unasked. Tied matrices are written once.
    """
    from transformers import GenerationConfig

    assert not policy.adapted, "an adapter is merged first, or written by `write_adapter`"
    before: dict[str, Any] = policy.model.generation_config.to_diff_dict()
    dropped = sorted(name for name in before if name not in KEPT and not name.startswith("_"))
    stops = sorted(policy.eos_ids)
    tokenizer = policy.tokenizer
    policy.model.generation_config = GenerationConfig(
        bos_token_id=before.get("bos_token_id", tokenizer.bos_token_id),
        eos_token_id=stops[0] if len(stops) == 1 else stops,
        pad_token_id=before.get("pad_token_id", tokenizer.pad_token_id),
    )
    policy.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if not dropped:
        return []
    return [f"left out of generation_config.json, since the run drew without them: {', '.join(dropped)}"]


def write_adapter(checkpoint: Path, folder: Path) -> None:
    """Fill `folder` with a checkpoint's adapter and tokenizer, byte for byte."""
    assert (checkpoint / ADAPTER_CONFIG).is_file(), checkpoint
    for path in sorted(checkpoint.iterdir()):
        if path.is_file() and path.name != folders.CHECKSUMS:
            shutil.copyfile(path, folder / path.name)


def weigh(folder: Path) -> dict[str, int]:
    """Bytes of every file below a folder, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
