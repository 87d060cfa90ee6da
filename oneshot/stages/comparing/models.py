"""What `oneshot compare` compares: evaluations, the models they are of, and arms. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from oneshot._store import names
from oneshot.errors import UsageError
from oneshot.measure.pairing import by_problem
from oneshot.record import EvalFolder, Evaluations, RunFolder
from oneshot.rewards.controls import label
from oneshot.stages.evals.averages import stem
from oneshot.types import EvalRow

BASE, LAST, BEST = "base", "last", "best"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One recorded evaluation."""

    task: str
    """Its name in evals/."""
    results: dict[str, Any]
    rows: Sequence[EvalRow]

    @property
    def protocol(self) -> dict[str, Any]:
        """How it was made; empty where nothing is recorded."""
        return dict(self.results.get("protocol") or {})

    @cached_property
    def ids(self) -> frozenset[str]:
        """The problems."""
        return frozenset(row.id for row in self.rows)

    @property
    def samples(self) -> int:
        """The most responses to one problem."""
        return max(map(len, by_problem(self.rows).values()), default=0)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A checkpoint and the folder that holds its evaluations."""

    store: Evaluations
    checkpoint: str

    @property
    def name(self) -> str:
        """As it can be typed again."""
        return f"{self.store.path}:{self.checkpoint}"

    @property
    def untrained(self) -> bool:
        """A base model: training seeds play no part in it."""
        return self.checkpoint.partition("+")[0] == BASE

    @property
    def varied(self) -> bool:
        """Asked in another way, such as `base+icl`."""
        return "+" in self.checkpoint

    @property
    def trained(self) -> bool:
        """A checkpoint that a run wrote. Of a model without a run nothing is known of its training."""
        return self.of_run and names.checkpoint_number(self.checkpoint) >= 0

    @property
    def of_run(self) -> bool:
        """Whether the folder is a run's."""
        return isinstance(self.store, RunFolder)

    def config(self) -> dict[str, Any]:
        """The run's configuration; empty of a model without a run."""
        return self.store.config() if isinstance(self.store, RunFolder) else {}

    @property
    def label(self) -> str:
        """What sets its run apart from a normal one; a base model is nobody's control arm."""
        return "" if self.untrained else label(self.config())

    def tasks(self) -> list[str]:
        """What it was evaluated on."""
        return [task for task, checkpoint in evals_of(self.store) if checkpoint == self.checkpoint]

    def read(self, task: str) -> Evaluation:
        """One evaluation. `UsageError` E106 when it is absent or damaged."""
        try:
            results, rows = self.store.read_eval(task, self.checkpoint)
        except TypeError as error:  # a row without a field that every version writes
            where = self.store.eval_dir(task, self.checkpoint)
            raise UsageError(f"{where} is damaged: {error}.", code="E106", tries=(again(self, task),)) from error
        return Evaluation(task=task, results=results, rows=rows)

    def at(self, checkpoint: str) -> Model:
        """Another checkpoint of the same folder."""
        return Model(store=self.store, checkpoint=checkpoint)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One model, or runs of one kind that differ by their training seed."""

    letter: str
    models: tuple[Model, ...]

    @property
    def label(self) -> str:
        """`B checkpoint-12`."""
        first = self.models[0].checkpoint
        several = f" ({len(self.models)} runs)" if len(self.models) > 1 else ""
        return f"{self.letter} {first}{several}"


def open_store(ref: str, root: Path) -> Evaluations:
    """A folder of evaluations or a run, by path, by its name in `root`, or `latest`. `UsageError` E104."""
    for path in (Path(ref), root / ref):
        if folder := EvalFolder.find(path):
            return folder
    return RunFolder.open(ref, root)


def evals_of(store: Evaluations) -> list[tuple[str, str]]:
    """(task, checkpoint) of everything that was evaluated. `UsageError` E106 where a results.json is none."""
    try:
        return store.evals()
    except KeyError as error:
        where = store.path / "evals"
        raise UsageError(f"a results.json in {where} is damaged: it has no {error}.", code="E106") from error


def again(model: Model, task: str, *flags: str) -> str:
    """The line that measures a model on a task again; recorded responses are only graded again."""
    return again_in(model.store, stem(task), *flags)


def again_in(store: Evaluations, task: str, *flags: str) -> str:
    """The same for whatever a folder holds."""
    if isinstance(store, EvalFolder):
        model = store.model()
        name = "--responses FILE.jsonl" if "responses" in model else model.get("model") or "MODEL"
        return " ".join((f"oneshot eval {name} --tasks {task}", *flags, f"--out {store.path}"))
    return " ".join((f"oneshot eval {store.path} --tasks {task}", *flags))
