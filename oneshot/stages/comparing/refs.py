"""What the words of `oneshot compare` name: arms, each one model or several runs of one kind. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oneshot._store import names
from oneshot.errors import UsageError
from oneshot.record import Evaluations, RunFolder
from oneshot.registry import nearest
from oneshot.stages.comparing import seeds as compare_seeds
from oneshot.stages.comparing.dev import DevSets
from oneshot.stages.comparing.models import BASE, BEST, LAST, LETTERS, Arm, Model, again_in, evals_of, open_store
from oneshot.stages.evals import best
from oneshot.stages.evals.averages import stem


def arms_of(words: Sequence[str], root: Path, tasks: Sequence[str]) -> list[Arm]:
    """The arms that words such as `RUN`, `RUN:base`, `FOLDER` and `RUN1,RUN2,RUN3` name; the first is the control.

    One word alone is compared with the base models of the same runs. `tasks` are those that the last evaluated
    checkpoint is looked for in; empty means all.

    Raises:
        UsageError: E102 no such checkpoint, E103 the same twice, too many arms, or runs that do not pair or are no
            seeds, E104 no such folder, E106 nothing evaluated.
    """
    groups = [[find(ref, root, tasks) for ref in word.split(",") if ref] for word in words]
    if not all(groups):
        raise UsageError("an arm names no run.", code="E103", tries=("oneshot compare --help",))
    if len(groups) == 1:
        groups.insert(0, [_base_of(model) for model in groups[0]])
    if len(groups) > len(LETTERS):
        raise UsageError(
            f"there are {len(groups)} arms; one comparison has at most {len(LETTERS)}.",
            code="E103",
            tries=("oneshot compare A B C   (fewer of them)", "oneshot compare A1,A2,A3 B1,B2,B3   (runs as one arm)"),
        )
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
    compare_seeds.check(groups)
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


def _last(store: Evaluations, tasks: Sequence[str]) -> str:
    """The checkpoint of most steps that was evaluated; dev sets are looked at where there is nothing else."""
    evals, dev = evals_of(store), DevSets()
    wanted = [key for key in evals if key[0] in tasks or stem(key[0]) in tasks] if tasks else []
    kept = wanted or [key for key in evals if not dev.chose(store, key[0])] or evals
    found = [name for _, name in kept]
    numbered = max(found, key=names.checkpoint_number)
    return numbered if names.checkpoint_number(numbered) >= 0 else BASE if BASE in found else found[0]
