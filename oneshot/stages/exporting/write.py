"""Writes what `oneshot export` was asked for: each kind into a folder of its own, whole or absent."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oneshot import __version__
from oneshot._store import files
from oneshot.export import folders, gguf, verl
from oneshot.export.merged import Weights, plain_weights
from oneshot.export.ollama import FILE, Modelfile, modelfile
from oneshot.export.turns import turns_of
from oneshot.model.storage import size
from oneshot.rewards.controls import label
from oneshot.stages.exporting.trained import Trained

WEIGHTS = ("hf", "merged", "gguf", "ollama")
"""Kinds that hold the weights, as a plain model."""
PROVENANCE = "oneshot.json"
"""Which model of which run an export is. Other tools pass over it."""
_MODEL = "model"
"""The weights' folder beside a Modelfile."""


@dataclass(kw_only=True)
class Export:
    """One command at work."""

    trained: Trained
    places: Mapping[str, Path]
    """Kind -> its folder, in the order asked for."""
    dtype: str
    offline: bool
    converter: gguf.Converter | None
    gguf_type: str
    say: Callable[[str], None]
    made: dict[str, Path] = field(default_factory=dict)
    """Kind -> the folder or file that was written."""


def write(work: Export) -> None:
    """Write every kind; what was finished before an error stays, whole. Errors as `main`."""
    if needed := [kind for kind in work.places if kind in WEIGHTS]:
        _write_weights(work, needed)
    if "adapter" in work.places:
        assert work.trained.folder is not None
        with folders.new_folder(work.places["adapter"]) as made:
            folders.write_adapter(work.trained.folder, made)
            _sign(work, "adapter", made)
        _done(work, "adapter", work.places["adapter"])
    if "verl" in work.places:
        _write_verl(work)
    work.made = {kind: work.made[kind] for kind in work.places}


def _write_weights(work: Export, kinds: Sequence[str]) -> None:
    """Load the weights once, and write all that holds them."""
    loaded = work.trained.load(offline=work.offline, dtype=work.trained.dtype)
    weights = plain_weights(loaded, work.dtype)
    policy = weights.policy
    if work.converter:
        gguf.check_architecture(work.converter, [type(policy.model).__name__])
    found = _modelfile(work, weights) if "ollama" in kinds else None
    copies = _copies(kinds)
    folders.check_room(next(iter(work.places.values())), copies * weights.bytes, f"writing the weights {copies} times")
    for note in weights.notes:
        work.say(note)
    notes = list[str]()
    for kind in ("hf", "merged"):
        if kind in kinds:
            with folders.new_folder(work.places[kind]) as made:
                notes = folders.write_model(policy, made)
                _sign(work, kind, made)
            _done(work, kind, work.places[kind])
    if work.converter:
        _write_gguf(work, weights)
    if found:
        with folders.new_folder(work.places["ollama"]) as made:
            if found.source == f"./{_MODEL}":
                (made / _MODEL).mkdir()
                notes = folders.write_model(policy, made / _MODEL)
            (made / FILE).write_text(found.text(), "utf-8")
            _sign(work, "ollama", made)
        _done(work, "ollama", work.places["ollama"])
    for note in notes:
        work.say(note)


def _copies(kinds: Sequence[str]) -> int:
    """How often the weights are on disk while they are written: a GGUF file is made of a folder, which may be here."""
    plain = [kind for kind in kinds if kind in ("hf", "merged")]
    return len(plain) + ("gguf" in kinds) + (not plain)


def _write_gguf(work: Export, weights: Weights) -> None:
    """Convert the folder that is there, or one made for it."""
    assert work.converter is not None
    place = work.places["gguf"]
    name = f"{work.trained.run.path.resolve().name}-{work.trained.checkpoint}-{work.gguf_type}.gguf"
    source = work.made.get("hf") or work.made.get("merged")
    work.say(f"converting with {work.converter.place} ...")
    with folders.new_folder(place) as made, tempfile.TemporaryDirectory(prefix=".hf-", dir=place.parent) as spare:
        if source is None:
            folders.write_model(weights.policy, Path(spare))
        gguf.convert(work.converter, source or Path(spare), made / name, work.gguf_type)
        _sign(work, "gguf", made)
    _done(work, "gguf", place / name)


def _modelfile(work: Export, weights: Weights) -> Modelfile:
    """The Modelfile, derived before anything is written. Its weights are those exported beside it, if there are any."""
    config, policy = work.trained.config, weights.policy
    beside = next((kind for kind in ("gguf", "merged", "hf") if kind in work.places), "")
    source = f"./{_MODEL}"
    if beside:
        source = os.path.relpath(work.places[beside], work.places["ollama"])
    if beside == "gguf":
        source += f"/{work.trained.run.path.resolve().name}-{work.trained.checkpoint}-{work.gguf_type}.gguf"
    if config.data.suffix:
        work.say(f"the run put {config.data.suffix!r} after every question; a Modelfile cannot, so type it yourself")
    return modelfile(
        turns_of(policy.tokenizer),
        policy.tokenizer,
        source=source,
        stops=sorted(policy.eos_ids),
        parameters={"temperature": config.rollout.temperature, "num_predict": config.rollout.max_new_tokens},
        system=config.data.system,
    )


def _write_verl(work: Export) -> None:
    from oneshot.stages.exporting.check import dev_problems
    from oneshot.stages.training.resume import examples

    problems = examples(work.trained.run)
    held_out = dev_problems(work.trained, offline=work.offline, say=work.say)
    with folders.new_folder(work.places["verl"]) as made:
        verl.write(made, problems, held_out, work.trained.config, _start(work.trained))
        _sign(work, "verl", made)
    _done(work, "verl", work.places["verl"])


def _start(trained: Trained) -> str:
    """The model that the run began with, as verl can open it."""
    from oneshot.config.environment import home
    from oneshot.model import embedded

    name = trained.config.model.name
    if name == embedded.NAME:
        return str(embedded.folder(home()))
    return str(Path(name).resolve()) if Path(name).is_dir() else name


def _sign(work: Export, kind: str, folder: Path) -> None:
    """Write which checkpoint this is and how it was named: `RUN:best` alone says it to nobody later.

    Of the run only its folder's name, since an export is given to others.
    """
    trained = work.trained
    told = {
        "schema": "oneshot.exported/1",
        "oneshot": __version__,
        "run": trained.run.path.resolve().name,
        "checkpoint": trained.checkpoint,
        "asked": trained.asked,
        "to": kind,
        "label": "" if trained.folder is None else label(trained.run.config()),
    }
    (folder / PROVENANCE).write_text(files.dumps(told, indent=2) + "\n", "utf-8")


def _done(work: Export, kind: str, path: Path) -> None:
    work.made[kind] = path
    total = sum(folders.weigh(work.places[kind]).values())
    kept = f", {work.gguf_type}" if kind == "gguf" else f", {work.dtype}" if kind in WEIGHTS else ""
    work.say(f"{kind}: {path} ({size(total)}{kept})")
