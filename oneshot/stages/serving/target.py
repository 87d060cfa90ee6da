"""What `serve` and `chat` are asked about: a run's model, or a model without a run. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from oneshot._store import names
from oneshot.config.environment import home
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.data.tasks import builtin
from oneshot.model import embedded
from oneshot.model.shapes import ADAPTER_CONFIG
from oneshot.stages.exporting import trained as runs_model
from oneshot.stages.exporting.trained import BASE, Trained
from oneshot.types import Problem

if TYPE_CHECKING:
    from oneshot.model.policy import Policy

LATEST = "latest"
ORDINARY = "add_word"
"""Kind of the built-in task whose problem stands for a run's example where there is no run."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One model, and how it is asked."""

    word: str
    """As typed."""
    config: Config
    """The run's own; of a bare model the one given."""
    trained: Trained | None = None

    @property
    def name(self) -> str:
        """What it is called: the run's folder, with the checkpoint where one was asked for; of a model its own name."""
        if self.trained is None:
            return Path(self.word).resolve().name if Path(self.word).is_dir() else self.word
        run = self.trained.run.path.resolve().name
        asked = not (self.word == LATEST or Path(self.word).resolve() == self.trained.run.path.resolve())
        return f"{run}:{self.trained.checkpoint}" if asked and self.word != run else run

    @property
    def dtype(self) -> str:
        """What its weights are kept in where nobody asks otherwise."""
        return self.trained.dtype if self.trained else "auto"

    @property
    def source(self) -> str:
        """The folder or name that is loaded."""
        return self.trained.model if self.trained else self.config.model.name

    def load(self, *, offline: bool, dtype: str) -> Policy:
        """The policy. Errors as `policy.load`."""
        if self.trained:
            return self.trained.load(offline=offline, dtype=dtype)
        from oneshot.model import policy as policies

        model = self.config.model
        return policies.load(model.name, home=home(), offline=offline, revision=model.revision, dtype=dtype)

    def base(self) -> Target | None:
        """The model before training; None where this is it."""
        if self.trained is None or self.trained.checkpoint == BASE:
            return None
        return replace(self, word=f"{self.trained.run.path}:{BASE}", trained=replace(self.trained, checkpoint=BASE))

    def problem(self) -> Problem:
        """The run's example (of a pool the first one); without a run a problem of the built-in task."""
        if self.trained and (rows := self.trained.run.example()):
            row = rows[0]
            return Problem(id=str(row["id"]), prompt=str(row["prompt"]), answer=str(row["answer"]))
        return builtin.candidates(self.config.data.task_seed, ORDINARY, 1)[0]


def find(request: Request) -> Target:
    """The model that the command names.

    Raises:
        UsageError: E102 no such checkpoint, E104 neither a run nor a model, or a run without a checkpoint, E106 a
            damaged checkpoint.
    """
    (word,) = request.positional
    if _names_run(word, Path(request.config.save.runs)) or not _may_be_model(word):
        found = runs_model.find(word, Path(request.config.save.runs))
        return Target(word=word, config=found.config, trained=found)
    return Target(word=word, config=replace(request.config, model=replace(request.config.model, name=word)))


def _names_run(word: str, runs: Path) -> bool:
    """Whether a word is, before its colon where it has one, a run; or a checkpoint's folder in one."""
    path = Path(word)

    def is_run(name: str) -> bool:
        return name == LATEST or names.is_run(Path(name)) or names.is_run(runs / name)

    inside = path.parent.name == "checkpoints" and names.is_run(path.parent.parent)
    return inside or is_run(word) or (":" in word and is_run(word.rpartition(":")[0]))


def _may_be_model(word: str) -> bool:
    """Whether a word can name a model: a folder with one, the embedded one, or an id on the Hub with its owner."""
    folder = Path(word)
    if folder.is_dir():
        return any((folder / name).is_file() for name in ("config.json", ADAPTER_CONFIG))
    return word == embedded.NAME or ("/" in word and ":" not in word)
