"""Models for `--offline`: the embedded one, and of the Hub exactly the files that the loader opens.

Written against huggingface_hub 2.4 and tested with a stand-in for it; it has never run against the Hub.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from oneshot.config.environment import home
from oneshot.data.hub import failures
from oneshot.errors import DataError, MachineError
from oneshot.model import embedded
from oneshot.model.shapes import ADAPTER_CONFIG
from oneshot.stages.fetching.fetched import FETCHED, NOTHING, THERE, Fetched, bytes_below
from oneshot.stages.watching.ls_entries import size

SMALL = (
    "config.json",
    "generation_config.json",
    "tokenizer*.json",
    "tokenizer.model*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "chat_template*",
)
"""Configuration and tokenizer."""
_SAFE = re.compile(r"model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json")
_PICKLED = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin|pytorch_model\.bin\.index\.json")
WEIGHTS = ("model*.safetensors", "model.safetensors.index.json", "pytorch_model*.bin", "pytorch_model.bin.index.json")
SPARE = 1 << 28
"""Bytes that a download leaves free."""


class Planned(Protocol):
    """A file of a repository, as huggingface_hub's dry run tells it."""

    filename: str
    file_size: int | None
    is_cached: bool
    commit_hash: str


def embedded_model() -> Fetched:
    """The embedded model, as `oneshot doctor --fetch` does it.

    Raises:
        MachineError: E205.
    """
    folder = embedded.folder(home())
    there = (folder / "config.json").is_file()
    embedded.ensure(home(), offline=False)
    state = THERE if there else FETCHED
    return Fetched(name=embedded.NAME, kind="model", state=state, where=str(folder), bytes=bytes_below(folder))


def local_model(name: str, revision: str) -> Iterator[Fetched]:
    """A folder needs nothing, an adapter the model that it belongs to.

    Raises:
        DataError: E304 the folder holds no model. Else as `hub_model`.
    """
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file() and not (folder / ADAPTER_CONFIG).is_file():
        said = "holds no model: it has no config.json" if folder.is_dir() else "does not exist"
        raise DataError(f"the folder {name} {said}.", code="E304", tries=(f"oneshot fetch {embedded.NAME}",))
    yield Fetched(name=name, kind="model", state=NOTHING, where=str(folder), bytes=bytes_below(folder))
    if (folder / ADAPTER_CONFIG).is_file():
        base, at = _base(folder)
        if base == embedded.NAME or Path(base) == embedded.folder(home()):
            yield embedded_model()
        elif not Path(base).is_dir():
            yield hub_model(base, revision or at)


def _base(folder: Path) -> tuple[str, str]:
    """(the model an adapter belongs to, its revision)."""
    try:
        told = json.loads((folder / ADAPTER_CONFIG).read_bytes())
        return str(told["base_model_name_or_path"]), str(told.get("revision") or "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder / ADAPTER_CONFIG} names no model: {error}", code="E304") from error


def hub_model(name: str, revision: str) -> Fetched:
    """A model of the Hub, into the cache of its own library, where transformers finds it under `--offline`.

    Raises:
        MachineError: E203 the Hub does not answer or refuses, E202 the disk is too small for it.
        DataError: E304 there are no weights in it that can be loaded, or it is an adapter.
    """
    import huggingface_hub
    from huggingface_hub import constants

    ask: dict[str, Any] = {"revision": revision} if revision else {}
    refusals: tuple[type[Exception], ...] = (OSError, ValueError, *failures())
    try:
        told = huggingface_hub.snapshot_download(
            name, allow_patterns=[*SMALL, *WEIGHTS, ADAPTER_CONFIG], dry_run=True, **ask
        )
        wanted = chosen(name, told)
        missing = [file for file in wanted if not file.is_cached]
        _room(name, sum(file.file_size or 0 for file in missing), Path(constants.HF_HUB_CACHE))
        folder = huggingface_hub.snapshot_download(name, allow_patterns=[file.filename for file in wanted], **ask)
    except refusals as error:
        why = error.__cause__ or error  # what a dry run met stands behind its own error
        said = str(why).strip().splitlines() or [type(why).__name__]
        raise MachineError(
            f"the Hub did not give {name}: {said[0]}",
            code="E203",
            tries=(f"oneshot fetch {name}   (once more)", "hf auth login   (for a model behind a licence)"),
            kept="What was downloaded before stays in the cache.",
        ) from error
    state = FETCHED if missing else THERE
    total = sum(file.file_size or 0 for file in wanted)
    notes = [f"{len(wanted)} files, commit {wanted[0].commit_hash[:12]}"]
    if missing and len(missing) < len(wanted):
        notes.append(f"{len(wanted) - len(missing)} of them were there already")
    if any(_PICKLED.fullmatch(file.filename) for file in wanted):
        notes.append("its weights are pickles (.bin); there are no safetensors")
    if revision:
        notes.append(f"found under --offline with --model.revision {revision} only")
    return Fetched(name=name, kind="model", state=state, where=str(folder), bytes=total, notes=tuple(notes))


def chosen(name: str, files: Sequence[Planned]) -> list[Planned]:
    """Configuration, tokenizer and one form of the weights: safetensors, else pickles. `DataError` E304 without."""
    names = {file.filename for file in files}
    safe, pickled = ([file for file in files if form.fullmatch(file.filename)] for form in (_SAFE, _PICKLED))
    weights = safe or pickled
    if weights and "config.json" in names:
        other = (_SAFE, _PICKLED)
        rest = [file for file in files if file.filename != ADAPTER_CONFIG and "/" not in file.filename]
        small = [f for f in rest if not any(form.fullmatch(f.filename) for form in other) and not _weights(f.filename)]
        return [*small, *weights]
    if ADAPTER_CONFIG in names:
        raise DataError(
            f"{name} is an adapter on the Hub; adapters are read from folders.",
            code="E304",
            tries=(f"hf download {name} --local-dir ./adapter   (then oneshot fetch ./adapter)",),
        )
    lacks = "weights (model.safetensors)" if "config.json" in names else "config.json"
    raise DataError(f"{name} is no model that can be loaded: it has no {lacks}.", code="E304")


def _weights(name: str) -> bool:
    """Weights in a form that is not loaded, such as `model.fp16.safetensors`."""
    return name.endswith((".safetensors", ".bin"))


def _room(name: str, needed: int, cache: Path) -> None:
    place = cache.expanduser().absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed + SPARE > free and needed:
        raise MachineError(
            f"{name} takes {size(needed)} and the disk of {cache} has {size(free)} free.",
            code="E202",
            tries=(f"df -h {place}", "export HF_HOME=ANOTHER-FOLDER"),
            kept="Nothing was downloaded.",
        )
