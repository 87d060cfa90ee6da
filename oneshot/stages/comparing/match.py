"""Which tasks of several arms can be compared, and what makes two evaluations of a task incomparable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneshot.errors import UsageError
from oneshot.registry import nearest
from oneshot.stages.comparing.dev import MOST, DevSets
from oneshot.stages.comparing.models import Arm, Evaluation, Model, again
from oneshot.stages.evals.averages import stem

PROMPT_KEYS = ("prompt", "suffix", "system")
"""What another way of asking (`base+icl`) changes on purpose."""
KEYS = (
    "kind", "samples", "temperature", "max_new_tokens", "grader", "sha256", "grader_version", "dtype", "eos_ids",
    *PROMPT_KEYS,
)  # fmt: skip
"""Entries of a protocol that must be equal. Seeds need not be, and a model, its weights and its time are not."""
NEEDED = ("prompt", "grader_version", "data")
"""What every evaluation should record; what neither of two records cannot be compared either."""
DATA_KEYS = ("digest", "limit")
"""The same of `protocol.data`."""
WORDS: Mapping[str, str] = {
    "max_new_tokens": "response limit",
    "samples": "samples a problem",
    "grader_version": "grader version",
    "sha256": "the grader's file",
    "eos_ids": "stop ids",
    "data.digest": "data",
    "data.limit": "limit of problems",
    "prompt": "prompt of the first problem",
    "system": "system message",
}
SHOWN = 48
"""Characters of a long value."""


@dataclass(frozen=True, kw_only=True)
class Matched:
    """One task as every arm was evaluated on it."""

    name: str
    arms: Mapping[str, tuple[Evaluation, ...]]
    """Letter -> one evaluation a run."""
    different: Sequence[Mapping[str, Any]] = ()
    """What differs in the protocols: `what`, `A` and the other arm's letter; only where that was allowed."""
    dev: bool = False
    """A checkpoint or a prompt was chosen by these problems."""


def matched_tasks(
    arms: Sequence[Arm], tasks: Sequence[str], *, allow_different: bool
) -> tuple[list[Matched], list[str]]:
    """The tasks that all arms have, read and checked, and notes on what is left out.

    Raises:
        UsageError: E102 an arm was not evaluated on a task asked for, E103 there is no common task, a name is
            ambiguous, or the problems differ; E105 the protocols differ; E106 a damaged file.
    """
    models = [model for arm in arms for model in arm.models]
    notes: list[str] = []
    dev = DevSets()
    if tasks:
        chosen = [_asked_for(task, models, allow_different) for task in dict.fromkeys(tasks)]
    else:
        chosen = _in_common(models, allow_different, notes, dev)
    return [_read(arms, names, allow_different, notes, dev) for names in chosen], notes


def _in_common(models: Sequence[Model], allow_different: bool, notes: list[str], dev: DevSets) -> list[list[str]]:
    """For each task that all have its name in each model's folder."""
    there = [model.tasks() for model in models]
    same = [task for task in there[0] if all(task in tasks for tasks in there)]
    stems = dict.fromkeys(stem(task) for task in there[0])
    met = {stem(task) for task in same}
    near = [s for s in stems if s not in met and all(any(stem(task) == s for task in tasks) for tasks in there)]
    chosen = [[task] * len(models) for task in same]
    if allow_different or not same:
        chosen += [_asked_for(name, models, allow_different) for name in near]
    else:
        notes += [
            f"{name} was measured otherwise by one of them and is left out; --tasks {name} says how." for name in near
        ]
    if not chosen:
        raise _nothing_in_common(models, there)
    tested = [names for names in chosen if _chosen(models, names, dev) < MOST]
    if tested and len(tested) < len(chosen):
        left = ", ".join(sorted(names[0] for names in chosen if names not in tested))
        notes.append(f"{left}: a checkpoint or a prompt was chosen by it, so it is left out; --tasks shows it.")
    return tested or chosen


def _chosen(models: Sequence[Model], names: Sequence[str], dev: DevSets) -> float:
    """The share of the problems by which something was chosen, for the model of which it is largest."""
    return max(dev.share(model.store, name) for model, name in zip(models, names, strict=True))


def _nothing_in_common(models: Sequence[Model], there: Sequence[Sequence[str]]) -> UsageError:
    held = "; ".join(f"{model.name}: {', '.join(tasks)}" for model, tasks in zip(models, there, strict=True))
    known = {stem(task) for tasks in there for task in tasks}
    tries = [
        again(model, task)
        for model, tasks in zip(models, there, strict=True)
        for task in sorted(known - {stem(name) for name in tasks})
    ]
    return UsageError(f"there is no task on which all were evaluated. {held}.", code="E103", tries=tuple(tries[:4]))


def _asked_for(task: str, models: Sequence[Model], allow_different: bool) -> list[str]:
    """The name of one task in each model's folder; where they were measured differently, only if that is allowed."""
    found = []
    for model in models:
        there = model.tasks()
        fits = [name for name in there if task in (name, stem(name))]
        if not fits:
            known = f" It has: {', '.join(there)}.{nearest(task, there)}"
            raise UsageError(
                f"{model.name} was not evaluated on {task!r}.{known}", code="E102", tries=(again(model, task),)
            )
        found.append(fits)
    same = [name for name in found[0] if all(name in fits for fits in found)]
    if len(same) == 1 or task in same:
        return [task if task in same else same[0]] * len(models)
    names = [task if task in fits else fits[0] for fits in found]
    crowd = same or next((fits for fits in found if len(fits) > 1 and task not in fits), [])
    if crowd:
        raise UsageError(
            f"{task!r} was measured in several ways: {', '.join(crowd)}. Name one of them.",
            code="E103",
            tries=tuple(f"--tasks {name}" for name in crowd[:3]),
        )
    return names


def _read(arms: Sequence[Arm], names: Sequence[str], allow_different: bool, notes: list[str], dev: DevSets) -> Matched:
    left = iter(names)
    found = {arm.letter: tuple(model.read(next(left)) for model in arm.models) for arm in arms}
    pairs = [(model, found[arm.letter][i], arm.letter) for arm in arms for i, model in enumerate(arm.models)]
    (first, control, _), others = pairs[0], pairs[1:]
    differ: list[dict[str, Any]] = []
    name = names[0] if len(set(names)) == 1 else stem(names[0])
    for model, evaluation, letter in others:
        if control.ids != evaluation.ids:
            raise _other_problems(name, (first, control), (model, evaluation))
        told = list(differences(control, evaluation, varied=first.varied or model.varied))
        if told and not allow_different:
            raise _incomparable(name, (first, control), (model, evaluation), told)
        differ += [{"what": WORDS.get(what, what), "A": was, letter: now} for what, was, now in told]
        if unknown := _unrecorded(control, evaluation):
            notes.append(f"{name}: {', '.join(unknown)} not recorded by both of A and {letter}, so not compared.")
    if blind := sorted({letter for _, evaluation, letter in pairs if evaluation.results.get("cut", 0) is None}):
        notes.append(f"{name}: {' and '.join(blind)} does not say which responses were cut; none counts as cut.")
    chosen = _chosen([model for model, _, _ in pairs], names, dev)
    if 0 < chosen < MOST:
        notes.append(f"{name}: {chosen:.0%} of its problems stand in a dev set by which a checkpoint was chosen.")
    return Matched(name=name, arms=found, different=differ, dev=chosen >= MOST)


def differences(first: Evaluation, second: Evaluation, *, varied: bool = False) -> Iterator[tuple[str, Any, Any]]:
    """(entry, first value, second value) of what makes two evaluations incomparable, as far as both record it.

    `varied`: one of them was asked in another way on purpose.
    """
    one, two = first.protocol, second.protocol
    for key in KEYS:
        if key in one and key in two and one[key] != two[key] and not (varied and key in PROMPT_KEYS):
            yield key, one[key], two[key]
    one, two = dict(one.get("data") or {}), dict(two.get("data") or {})
    for key in DATA_KEYS:
        if key in one and key in two and one[key] != two[key]:
            yield f"data.{key}", one[key], two[key]


def _unrecorded(first: Evaluation, second: Evaluation) -> list[str]:
    """What at least one of them should record and does not; a user's function has a file's digest, ours have none."""
    one, two = first.protocol, second.protocol
    lacking = [key for key in KEYS if (key in one) != (key in two) and key != "sha256"]
    lacking += [key for key in NEEDED if one.get(key) is None and two.get(key) is None]
    if not (one.get("data") and two.get("data")):
        lacking.append("data")
    return [WORDS.get(key, key) for key in dict.fromkeys(lacking)]


Side = tuple[Model, Evaluation]


def _other_problems(task: str, first: Side, second: Side) -> UsageError:
    """The problems themselves differ; most often one side was limited."""
    sides = (first, second)
    one, two = first[1].ids, second[1].ids
    counts = f"{len(one - two)} only in {first[0].name}, {len(two - one)} only in {second[0].name}"
    limits = [_limit(evaluation) for _, evaluation in sides]
    tries: tuple[str, ...] = tuple(again(model, task) for model, _ in sides)
    if limits[0] != limits[1]:
        tries = (
            *(again(model, task) for (model, _), limit in zip(sides, limits, strict=True) if limit),
            *(again(sides[1 - i][0], task, f"--limit {limit}") for i, limit in enumerate(limits) if limit),
        )
    return UsageError(
        f"{task}: the evaluations hold different problems: {len(one)} and {len(two)}; {counts}, such as "
        f"{min(one ^ two)!r}. A paired comparison needs the same problems; evaluate both alike.",
        code="E103",
        tries=tries,
    )


def _limit(evaluation: Evaluation) -> int:
    """How many problems were read where not all were; 0: all."""
    return int(dict(evaluation.protocol.get("data") or {}).get("limit") or 0)


def _incomparable(task: str, first: Side, second: Side, told: Sequence[tuple[str, Any, Any]]) -> UsageError:
    said = sentence(told)
    of_grader = all(what in ("grader", "grader_version", "sha256") for what, _, _ in told)
    more = " Recorded responses are only graded again." if of_grader else ""
    return UsageError(
        f"{task} was measured differently by {first[0].name} and {second[0].name}: {said}. A difference between them "
        f"would not be one of the models alone.{more}",
        code="E105",
        tries=(*dict.fromkeys(again(model, task) for model, _ in (first, second)), "--allow-different"),
    )


def sentence(told: Sequence[tuple[str, Any, Any]]) -> str:
    """`dtype 'float32' and 'bfloat16'; response limit 64 and 128`, of `differences`."""
    return "; ".join(f"{WORDS.get(what, what)} {_shown(was, now)} and {_shown(now, was)}" for what, was, now in told)


def unlike(first: Mapping[str, Any], second: Mapping[str, Any], *, varied: bool = False) -> str:
    """How two results.json of a task were measured differently, as `sentence` says it; empty where they were not."""
    one, two = (Evaluation(task="", results=dict(each), rows=()) for each in (first, second))
    return sentence(list(differences(one, two, varied=varied)))


def _shown(value: Any, other: Any) -> str:
    """A value; of a long text the part where it begins to differ from the other one."""
    text, against = (value, other) if isinstance(value, str) and isinstance(other, str) else (str(value), "")
    if len(text) > SHOWN:
        start = next((i for i, (a, b) in enumerate(zip(text, against, strict=False)) if a != b), 0)
        begin = max(0, min(start, len(text)) - SHOWN // 4)
        text = ("..." if begin else "") + text[begin : begin + SHOWN] + ("..." if begin + SHOWN < len(text) else "")
    return repr(text) if isinstance(value, str) else text
