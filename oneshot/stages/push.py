"""`oneshot push RUN USER/NAME`: a run's model to the Hugging Face Hub, private unless told otherwise.

What goes there is built in a new folder: weights, configuration, tokenizer and the card, and nothing of the run beside
them. `--dry-run` builds the same folder, prints the card and the files, and uploads nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oneshot
from oneshot._store import files
from oneshot.config.environment import plain
from oneshot.config.request import Request
from oneshot.errors import MachineError, UsageError
from oneshot.export import card, folders, hub
from oneshot.export.merged import plain_weights
from oneshot.model import embedded
from oneshot.model.shapes import adapter_base
from oneshot.model.storage import size
from oneshot.registry import nearest
from oneshot.stages.display import display, printable
from oneshot.stages.exporting.push_card import card_of
from oneshot.stages.exporting.trained import Trained, find

KINDS = ("hf", "merged", "adapter")
README = "README.md"


@dataclass(frozen=True, kw_only=True)
class Push:
    """One command, checked."""

    trained: Trained
    repo: str
    adapter: bool
    dtype: str
    public: bool
    revision: str
    offline: bool


def main(request: Request, client: Any = None) -> int:
    """Upload; prints the address, with `--json` one object. `client`: instead of the Hub's own, for tests.

    Raises:
        UsageError: E102 an unknown checkpoint or kind, E103 no USER/NAME, E104 no such run or no checkpoint, E105 what
            does not fit, or a public repository without `--public`, E106 a damaged checkpoint.
        MachineError: E202 the disk is too small, E203 no token, `--offline`, or the Hub refuses.
        DataError: E304 the model does not load.
    """
    shown = display(quiet=request.quiet or request.json, plain=plain())
    push = planned(request)
    if not request.dry_run:
        if request.offline:
            raise MachineError(
                "an upload needs the network, and --offline was given.",
                code="E203",
                tries=(f"oneshot push {' '.join(request.positional)} --dry-run",),
                kept="Nothing was uploaded.",
            )
        client = client or hub.connect()
    root = push.trained.run.path
    spare = Path(tempfile.mkdtemp(prefix=".push-", dir=root))
    made = spare / "upload"
    try:
        text = fill(made, push, client, shown.note)
        sizes = folders.weigh(made)
        if request.dry_run:
            return _dry(request, push, text, sizes)
        shown.note(f"uploading {len(sizes)} files, {size(sum(sizes.values()))}, to {push.repo} ...")
        address = hub.upload(
            client,
            push.repo,
            made,
            public=push.public,
            revision=push.revision,
            message=f"oneshot-rlvr {oneshot.__version__}: {push.trained.checkpoint} of {root.resolve().name}",
            say=shown.note,
        )
    finally:
        shutil.rmtree(spare, ignore_errors=True)
    push.trained.run.event("push", repo=push.repo, checkpoint=push.trained.checkpoint, public=push.public)
    print(files.dumps(_told(push, sizes) | {"url": address}) if request.json else address)
    return 0


def planned(request: Request) -> Push:
    """The command, checked; nothing is loaded. Errors as `main`."""
    word, repo = request.positional
    flags = request.verb_flags
    hub.check_name(repo)
    trained = find(word, Path(request.config.save.runs))
    asked = request.config.model.dtype if request.given("model.dtype") else "auto"
    if asked not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"model.dtype {asked!r} is not auto, float32 or bfloat16.", code="E103")
    adapter = _as_adapter(str(flags.get("to", "")), trained, word, repo)
    return Push(
        trained=trained,
        repo=repo,
        adapter=adapter,
        dtype=trained.dtype if asked == "auto" or adapter else asked,
        public=bool(flags.get("public")),
        revision=str(flags.get("revision", "")),
        offline=request.offline,
    )


def _as_adapter(kind: str, trained: Trained, word: str, repo: str) -> bool:
    """Whether the adapter alone goes to the Hub.

    Raises:
        UsageError: E102 an unknown kind, E105 one that this model has not, or an adapter nobody could use.
    """
    if kind and kind not in KINDS:
        raise UsageError(f"unknown --to {kind!r}.{nearest(kind, list(KINDS))} Known: {', '.join(KINDS)}.", code="E102")
    whole = (f"oneshot push {word} {repo} --to hf",)
    if not trained.adapted or trained.folder is None:
        if kind in ("adapter", "merged"):
            raise UsageError(f"{trained.checkpoint} of {trained.run.path} has no adapter.", code="E105", tries=whole)
        return False
    base = adapter_base(trained.folder)
    elsewhere = Path(base).is_absolute() or Path(base).is_dir() or base == embedded.NAME
    if kind == "adapter" and elsewhere:
        raise UsageError(
            f"the adapter belongs to {base}, which is on this machine only: nobody could use it without.",
            code="E105",
            tries=whole,
            kept="Nothing was uploaded.",
        )
    return kind == "adapter" or (not kind and not elsewhere)


def fill(folder: Path, push: Push, client: Any, say: Callable[[str], None]) -> str:
    """Write what is uploaded; returns the card."""
    trained = push.trained
    text = card.render(card_of(trained, repo=push.repo, adapter=push.adapter, dtype=push.dtype, client=client))
    if push.adapter:
        assert trained.folder is not None
        with folders.new_folder(folder) as made:
            folders.write_adapter(trained.folder, made)
            (made / README).write_text(text, "utf-8")
        return text
    weights = plain_weights(trained.load(offline=push.offline, dtype=trained.dtype), push.dtype)
    folders.check_room(folder, weights.bytes, "a copy of the weights for the upload")
    with folders.new_folder(folder) as made:
        notes = folders.write_model(weights.policy, made)
        (made / README).write_text(text, "utf-8")
    for note in (*weights.notes, *notes):
        say(note)
    return text


def draft(run: Path, runs: Path, checkpoint: str = "last") -> str:
    """The card of a run as its folder's README.md may hold it, before anybody pushes it."""
    trained = find(f"{run}:{checkpoint}", runs)
    return card.render(card_of(trained, repo="USER/NAME", adapter=trained.adapted, dtype=trained.dtype))


def _dry(request: Request, push: Push, text: str, sizes: dict[str, int]) -> int:
    """The card, then every file with its size."""
    if request.json:
        print(files.dumps(_told(push, sizes) | {"card": text, "url": None}))
        return 0
    print("\n".join(map(printable, text.split("\n"))))
    width = max(map(len, sizes))
    print("\n".join(f"{name:<{width}}  {size(count):>12}" for name, count in sizes.items()))
    print(f"\nnothing was uploaded; without --dry-run these go to {push.repo}, {_seen(push)}")
    return 0


def _told(push: Push, sizes: dict[str, int]) -> dict[str, Any]:
    return {
        "schema": "oneshot.push/1",
        "run": str(push.trained.run.path),
        "checkpoint": push.trained.checkpoint,
        "repo": push.repo,
        "public": push.public,
        "revision": push.revision,
        "files": sizes,
    }


def _seen(push: Push) -> str:
    return "public" if push.public else "private"
