"""The model that `RUN`, `RUN:checkpoint-N`, `RUN:best` or `RUN:base` names, as a run left it. Loads no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oneshot._store import folders, names
from oneshot.config.environment import home
from oneshot.config.load import from_dict
from oneshot.config.schema import Config
from oneshot.errors import UsageError
from oneshot.model.shapes import ADAPTER_CONFIG
from oneshot.record import RunFolder
from oneshot.registry import nearest
from oneshot.stages.evals import best

if TYPE_CHECKING:
    from oneshot.model.policy import Policy

BASE, BEST, LAST = "base", "best", "last"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One model of a run."""

    run: RunFolder
    config: Config
    """The run's own."""
    checkpoint: str
    """`checkpoint-12` or `base`."""
    asked: str = ""
    """How it was named: `best`, `last`, its own name, or nothing, which is the last one."""

    @property
    def which(self) -> str:
        """`checkpoint-12, best on dev`, for every output that must not leave open which one it is."""
        why = {BEST: "best on dev", LAST: "the last one", "": "the last one", BASE: "before training"}
        told = why.get(self.asked, "")
        return f"{self.checkpoint}, {told}" if told else self.checkpoint

    @property
    def folder(self) -> Path | None:
        """The checkpoint's folder; of the base model, None."""
        return None if self.checkpoint == BASE else self.run.checkpoints_dir / self.checkpoint

    @property
    def model(self) -> str:
        """What is loaded: the checkpoint's folder, or the configured model."""
        return str(self.folder) if self.folder else self.config.model.name

    @property
    def adapted(self) -> bool:
        """Whether it is an adapter (LoRA)."""
        return self.folder is not None and (self.folder / ADAPTER_CONFIG).is_file()

    @property
    def dtype(self) -> str:
        """What its weights are kept in; of an adapter and of a model that was not looked at, float32."""
        if self.folder is None or self.adapted:
            return "float32"
        told = json.loads((self.folder / "config.json").read_bytes())
        found = str(told.get("dtype") or told.get("torch_dtype") or "")
        return found if found in ("float32", "bfloat16") else "float32"

    def load(self, *, offline: bool, dtype: str = "float32") -> Policy:
        """The policy, an adapter in it where there is one. Errors as `policy.load`."""
        from oneshot.model import policy as policies

        revision = self.config.model.revision if self.folder is None else ""
        return policies.load(self.model, home=home(), offline=offline, revision=revision, dtype=dtype)


def find(word: str, runs: Path) -> Trained:
    """The model that one word names; without a checkpoint, a run's last one. A checkpoint's own folder is taken too.

    Raises:
        UsageError: E102 no such checkpoint, E104 no such run, or one without a checkpoint, E106 a damaged checkpoint.
    """
    path = Path(word)
    inside = path.parent.name == "checkpoints" and names.is_run(path.parent.parent)
    whole = word == "latest" or ":" not in word or path.exists() or (runs / word).exists()
    place, _, checkpoint = (word, "", "") if whole else word.rpartition(":")
    if inside and whole:
        place, checkpoint = str(path.parent.parent), path.name
    run = RunFolder.open(place, runs)
    config = from_dict(run.config(), where=str(run.path / "config.json"))
    if checkpoint == BASE:
        return Trained(run=run, config=config, checkpoint=BASE, asked=BASE)
    done = [f"checkpoint-{step}" for step in run.checkpoints()]
    if not done:
        raise UsageError(
            f"{run.path} has no checkpoint yet.", code="E104", tries=(f"oneshot train --resume {run.path}",)
        )
    asked = checkpoint
    if checkpoint == BEST:
        checkpoint = f"checkpoint-{best.best_checkpoint(run)}"
    if checkpoint in ("", LAST):
        checkpoint = done[-1]
    if checkpoint not in done:
        known = [*done, BEST, BASE]
        raise UsageError(
            f"{run.path} has no checkpoint {checkpoint!r}.{nearest(checkpoint, known)} It has: {', '.join(known)}.",
            code="E102",
            tries=(f"{run.path}:{done[-1]}", f"{run.path}:{BASE}   (the model before training)"),
        )
    found = Trained(run=run, config=config, checkpoint=checkpoint, asked=asked)
    if fault := folders.fault(run.checkpoints_dir / checkpoint):
        others = [f"{run.path}:{name}" for name in reversed(done) if name != checkpoint]
        raise UsageError(
            f"{run.checkpoints_dir / checkpoint} {fault}.",
            code="E106",
            tries=(*others[:1], f"oneshot train --resume {run.path}"),
            kept="Nothing was written.",
        )
    return found
