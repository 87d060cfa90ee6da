"""What the words of `oneshot compare` name: arms, each one model or several runs of one kind. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from oneshot._store import names
from oneshot.config.schema import Config, EvalsConfig
from oneshot.errors import UsageError
from oneshot.measure.pairing import by_problem
from oneshot.record import EvalFolder, Evaluations, RunFolder
from oneshot.registry import nearest
from oneshot.stages import best
from oneshot.types import EvalRow

BASE, LAST, BEST = "base", "last", "best"
CHOICES = "prompt-choice-"
"""How the tasks are called on which a prompt was chosen; they compare prompts, not models."""
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
        """What may be measured against a base model's baselines: a model without a run may have been trained too."""
        return not self.varied and (self.checkpoint != BASE or isinstance(self.store, EvalFolder))

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


def arms_of(words: Sequence[str], root: Path, tasks: Sequence[str]) -> list[Arm]:
    """The arms that words such as `RUN`, `RUN:base`, `FOLDER` and `RUN1,RUN2,RUN3` name; the first is the control.

    One word alone is compared with the base models of the same runs. `tasks` are those that the last evaluated
    checkpoint is looked for in; empty means all.

    Raises:
        UsageError: E102 no such checkpoint, E103 the same twice or numbers of runs that do not pair, E104 no such
            folder, E106 nothing evaluated.
    """
    groups = [[find(ref, root, tasks) for ref in word.split(",") if ref] for word in words]
    if not all(groups):
        raise UsageError("an arm names no run.", code="E103", tries=("oneshot compare --help",))
    if len(groups) == 1:
        groups.insert(0, [_base_of(model) for model in groups[0]])
    seen: set[tuple[Path, str]] = set()
    for model in (model for group in groups for model in group):
        key = (model.store.path.resolve(), model.checkpoint)
        if key in seen:
            raise UsageError(
                f"{model.name} is named twice; a model differs from itself by nothing.",
                code="E103",
                tries=("oneshot compare RUN   (base against its last checkpoint)",),
            )
        seen.add(key)
    _check_seeds(groups)
    return [Arm(letter=LETTERS[i], models=tuple(group)) for i, group in enumerate(groups)]


def _base_of(model: Model) -> Model:
    if model.checkpoint == BASE:
        raise UsageError(
            f"{model.store.path} has no evaluation but of its base model, so there is nothing to compare it with.",
            code="E103",
            tries=("oneshot eval RUN --tasks TASK", f"oneshot compare {model.store.path} ANOTHER"),
        )
    base = model.at(BASE)
    if not base.tasks():
        tries = (f"oneshot eval {model.store.path} --tasks TASK", f"oneshot compare OTHER {model.store.path}")
        raise UsageError(f"the base model of {model.store.path} was not evaluated.", code="E106", tries=tries)
    return base


def _check_seeds(groups: Sequence[Sequence[Model]]) -> None:
    """Arms pair run by run; a control that was not trained has no seeds and is paired with every run."""
    control = groups[0]
    for place, group in enumerate(groups[1:], start=1):
        if len(group) != len(control) and not (len(control) == 1 and control[0].untrained):
            raise UsageError(
                f"arm A has {len(control)} runs and arm {LETTERS[place]} {len(group)}: runs are paired in their order, "
                "so both need as many (a base model alone is paired with every run).",
                code="E103",
                tries=("oneshot compare A1,A2,A3 B1,B2,B3",),
            )


def find(ref: str, root: Path, tasks: Sequence[str] = ()) -> Model:
    """The model that one word names. Errors as `arms_of`."""
    whole = ref == "latest" or ":" not in ref or any(path.exists() for path in (Path(ref), root / ref))
    place, _, checkpoint = (ref, "", "") if whole else ref.rpartition(":")
    store = open_store(place, root)
    there = list(dict.fromkeys(name for _, name in evals_of(store)))
    if not there:
        raise UsageError(f"{store.path} holds no evaluation.", code="E106", tries=(again_in(store, "TASK"),))
    if checkpoint == BEST and isinstance(store, RunFolder):
        checkpoint = f"checkpoint-{best.best_checkpoint(store)}"
    if checkpoint in ("", LAST):
        checkpoint = _last(store, tasks)
    if checkpoint not in there:
        raise UsageError(
            f"{store.path} has no evaluation of {checkpoint!r}.{nearest(checkpoint, there)} It has: "
            f"{', '.join(there)}.",
            code="E102",
            tries=(again_in(store, "TASK"), f"oneshot compare {store.path}:{there[0]} ..."),
        )
    return Model(store=store, checkpoint=checkpoint)


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


def _last(store: Evaluations, tasks: Sequence[str]) -> str:
    """The checkpoint of most steps that was evaluated; dev sets are looked at where there is nothing else."""
    evals = evals_of(store)
    wanted = [key for key in evals if key[0] in tasks or stem(key[0]) in tasks] if tasks else []
    kept = wanted or [key for key in evals if not is_dev(store, key[0])] or evals
    found = [name for _, name in kept]
    numbered = max(found, key=names.checkpoint_number)
    return numbered if names.checkpoint_number(numbered) >= 0 else BASE if BASE in found else found[0]


def stem(task: str) -> str:
    """A task's name without the eight hex digits that another protocol, limit, grader or data gave it."""
    head, dash, tail = task.rpartition("-")
    return head if dash and len(tail) == 8 and set(tail) <= set("0123456789abcdef") else task


def is_dev(store: Evaluations, task: str) -> bool:
    """Whether something was chosen by these problems: a checkpoint of the run, or a prompt."""
    if task.startswith(CHOICES):
        return True
    if not isinstance(store, RunFolder):
        return False
    source = str(store.config().get("evals", {}).get("source", ""))
    return bool(source) and task == best.dev_task(Config(evals=EvalsConfig(source=source)))


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
