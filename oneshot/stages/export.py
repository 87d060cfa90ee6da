"""`oneshot export RUN --to hf,gguf,...`: a run's model as other tools open it, compared with what was trained.

Everything that can be refused is refused before anything is written; each folder is whole or absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.config.environment import llama_cpp, plain
from oneshot.config.request import Request
from oneshot.errors import UsageError
from oneshot.export import folders, gguf
from oneshot.registry import nearest
from oneshot.stages.display import display
from oneshot.stages.evals.best import not_kept
from oneshot.stages.exporting.trained import BEST, Trained, find
from oneshot.stages.exporting.write import Export, write

KINDS: Mapping[str, str] = {
    "hf": "a plain Hugging Face folder: transformers, vLLM, LM Studio",
    "adapter": "the adapter alone, in peft's format",
    "merged": "the adapter merged into its model, as a plain folder",
    "gguf": "one file for llama.cpp and what is built on it",
    "ollama": "a Modelfile with template and stop texts, and the weights",
    "verl": "data, reward and script to train on with verl",
}
"""What `--to` takes."""


def main(request: Request) -> int:
    """Export; prints each path, with `--json` one object. Exit 1 where `--verify` finds a difference.

    Raises:
        UsageError: E102 an unknown kind or checkpoint, E104 no such run, no checkpoint, or something is at the place
            already, E105 a kind or flag that does not fit, E106 a damaged checkpoint.
        MachineError: E202 the disk is too small, E203, E204 what is needed is not here.
        DataError: E304 the model does not load, or cannot become this.
    """
    shown = display(quiet=request.quiet or request.json, plain=plain())
    work = planned(request, shown.note)
    for line in chosen(work.trained):
        shown.note(line)
    write(work)
    told: list[dict[str, Any]] = []
    if request.verb_flags.get("verify"):
        from oneshot.stages.exporting.check import verify

        told = verify(work)
    report = {
        "schema": "oneshot.export/1",
        "run": str(work.trained.run.path),
        "checkpoint": work.trained.checkpoint,
        "asked": work.trained.asked,
        "dtype": work.dtype,
        "exports": [
            {"to": kind, "path": str(path), "files": folders.weigh(work.places[kind])}
            for kind, path in work.made.items()
        ],
        "verified": told,
    }
    print(files.dumps(report) if request.json else "\n".join(map(str, work.made.values())))
    return 1 if any(row["same"] is False for row in told) else 0


def chosen(trained: Trained) -> list[str]:
    """Which checkpoint is exported, and a better one that was not kept."""
    said = [f"exporting {trained.which}, of {trained.run.path}"]
    note = not_kept(trained.run) if trained.asked == BEST else ""
    return [*said, *([f"note: {note}"] if note else [])]


def kinds_of(given: object) -> list[str]:
    """What `--to` names. `UsageError` E102, E105."""
    names = list(dict.fromkeys(filter(None, (word.strip() for word in str(given or "").split(",")))))
    if not names:
        raise UsageError(
            f"oneshot export needs --to: {', '.join(KINDS)}.", code="E105", tries=("oneshot export RUN --to hf",)
        )
    for name in names:
        if name not in KINDS:
            hint = nearest(name, list(KINDS))
            raise UsageError(f"unknown export {name!r}.{hint} Known: {', '.join(KINDS)}.", code="E102")
    return names


def planned(request: Request, say: Callable[[str], None]) -> Export:
    """Everything the command needs, checked; nothing is loaded or written. Errors as `main`."""
    flags = request.verb_flags
    kinds = kinds_of(flags.get("to"))
    (word,) = request.positional
    trained = find(word, Path(request.config.save.runs))
    _check(kinds, trained, request, word)
    home = llama_cpp()
    kind_of_file = str(flags.get("gguf_type", ""))
    if kind_of_file:
        gguf.check_type(kind_of_file)
    converter = gguf.find(str(flags.get("converter", "")), home=home) if "gguf" in kinds else None
    asked = request.config.model.dtype if request.given("model.dtype") else "auto"
    dtype = trained.dtype if asked == "auto" else asked
    out = Path(str(flags["out"])).expanduser() if "out" in flags else None
    root = out or trained.run.path / "exports" / trained.checkpoint
    places = {kind: root if out and len(kinds) == 1 else root / kind for kind in kinds}
    for place in places.values():
        folders.refuse_existing(place)
    return Export(
        trained=trained,
        places=places,
        dtype=dtype,
        offline=request.offline,
        converter=converter,
        gguf_type=kind_of_file or gguf.TYPE_OF.get(dtype, ""),
        say=say,
    )


def _check(kinds: list[str], trained: Trained, request: Request, word: str) -> None:
    """Refuse kinds and flags that do not fit this model."""
    for kind in ("adapter", "merged"):
        if kind in kinds and not trained.adapted:
            raise UsageError(
                f"{trained.checkpoint} of {trained.run.path} has no adapter: all of its weights are its own.",
                code="E105",
                tries=(f"oneshot export {word} --to hf",),
                kept="Nothing was written.",
            )
    for flag in ("converter", "gguf_type"):
        if flag in request.verb_flags and "gguf" not in kinds:
            spelled = f"--{flag.replace('_', '-')}"
            raise UsageError(f"{spelled} is for --to gguf.", code="E105", tries=(f"oneshot export {word} --to gguf",))
    if request.given("model.dtype") and request.config.model.dtype not in ("auto", "float32", "bfloat16"):
        raise UsageError(f"model.dtype {request.config.model.dtype!r} is not auto, float32 or bfloat16.", code="E103")
