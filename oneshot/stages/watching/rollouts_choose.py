"""Which recorded responses are meant: steps, an evaluation, two checkpoints, and what a response must be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.registry import nearest
from oneshot.stages.watching.rollouts_read import Response

COUNT = 10
"""Responses that are shown without `--n`."""
LAST = ("", "last")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What a response must be to be shown."""

    correct: bool | None = None
    """Right, wrong, or either. What nothing graded is neither."""
    id: str = ""
    """The problem's id."""
    grep: str = ""
    """Part of the response, whatever its case."""

    def __call__(self, response: Response) -> bool:
        """Whether it is."""
        return (self.correct is None or response.correct is self.correct) and self.names(response)

    def names(self, response: Response) -> bool:
        """Whether problem and text are as asked, right or wrong."""
        return (not self.id or response.id == self.id) and self.grep.lower() in response.text.lower()


def filter_of(flags: Mapping[str, Any]) -> Filter:
    """The filter that the flags ask for. `UsageError` E105 where they contradict each other."""
    given = [name for name in ("wrong", "right", "flipped") if flags.get(name)]
    if len(given) > 1:
        raise UsageError(f"--{given[0]} and --{given[1]} exclude each other.", code="E105")
    correct = {"wrong": False, "right": True}.get(given[0] if given else "")
    return Filter(correct=correct, id=str(flags.get("id") or ""), grep=str(flags.get("grep") or ""))


def count_of(flags: Mapping[str, Any]) -> int:
    """How many are shown. `UsageError` E103 for anything but a whole number from 1."""
    text = str(flags.get("n") or COUNT)
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise UsageError(f"--n {text}: how many is a whole number from 1.", code="E103")
    return int(text)


def steps_of(run: RunFolder, text: str) -> list[int]:
    """The recorded steps behind `last`, `first`, `all`, `12`, `3-9` or several of them with commas.

    Raises:
        UsageError: E106 nothing is recorded, or no such step; E103 for anything else.
    """
    recorded = run.rollout_steps()
    if not recorded:
        state = run.status().get("state", "unknown")
        raise UsageError(
            f"{run.path} has no recorded rollouts: no training step was finished (its state is {state}).",
            code="E106",
            tries=(f"oneshot doctor {quote(str(run.path))}",),
        )
    chosen: list[int] = []
    for part in text.split(","):
        found = _part(part.strip(), recorded)
        if not found:
            raise UsageError(
                f"step {part.strip()} has no recorded rollouts in {run.path.name}; recorded are {ranges(recorded)} "
                "(0: the untrained model's).",
                code="E106",
                tries=(f"oneshot rollouts {quote(str(run.path))} --step {recorded[-1]}",),
            )
        chosen += found
    return list(dict.fromkeys(chosen))


def _part(text: str, recorded: Sequence[int]) -> list[int]:
    named = {"last": recorded[-1:], "first": recorded[:1], "all": recorded}
    if text in named:
        return list(named[text])
    match = re.fullmatch(r"(\d{1,9})(?:(?:-|\.\.|:)(\d{1,9}))?", text, re.ASCII)
    if match is None:
        raise UsageError(
            f"--step {text!r} is no step: give a number, a range such as 3-9, first, last or all.", code="E103"
        )
    low, high = int(match[1]), int(match[2] or match[1])
    return [step for step in recorded if low <= step <= high]


def ranges(steps: Sequence[int]) -> str:
    """`0 to 11, 20`: ascending steps in few words."""
    out: list[list[int]] = []
    for step in steps:
        if out and step == out[-1][1] + 1:
            out[-1][1] = step
        else:
            out.append([step, step])
    told = [str(low) if low == high else f"{low} to {high}" for low, high in out]
    return ", ".join(told if len(told) <= 6 else [*told[:3], "...", *told[-2:]])


def task_of(run: RunFolder, name: str, needed: Sequence[str] = (), *, least: int = 1) -> str:
    """The evaluated task of a name: the whole of it, or its beginning without the hash.

    Without a name one that was read with all `needed` checkpoints, and with at least so many in all.

    Raises:
        UsageError: E106 nothing is evaluated, or not what is needed; E102 an unknown name; E103 one with two meanings.
    """
    tasks: dict[str, set[str]] = {}
    for task, checkpoint in run.evals():
        tasks.setdefault(task, set()).add(checkpoint)
    if not tasks:
        line = f"oneshot eval {quote(str(run.path))} --tasks gsm8k"
        raise UsageError(f"{run.path} has no evaluation.", code="E106", tries=(line,))
    if not name:
        both = [task for task, there in tasks.items() if set(needed) <= there and len(there) >= least]
        if not both:
            told = "; ".join(f"{task}: {', '.join(sorted(there))}" for task, there in tasks.items())
            wanted = " and ".join([*needed, *(["another checkpoint"] if len(needed) < least else [])])
            raise UsageError(f"no task was read with {wanted}. There is {told}.", code="E106")
        return max(both, key=lambda task: (task.endswith("test"), task))
    found = [task for task in tasks if task == name] or [task for task in tasks if task.startswith(f"{name}-")]
    if not found:
        hint = nearest(name, list(tasks))
        message = f"{run.path.name} has no evaluation of {name!r}.{hint} There is {', '.join(tasks)}."
        raise UsageError(
            message, code="E102", tries=(f"oneshot rollouts {quote(str(run.path))} --task {next(iter(tasks))}",)
        )
    if len(found) > 1:
        lines = tuple(f"oneshot rollouts {quote(str(run.path))} --task {task}" for task in found)
        raise UsageError(f"{name!r} may be {' or '.join(found)}.", code="E103", tries=lines)
    return found[0]


def checkpoint_of(run: RunFolder, task: str, name: str) -> str:
    """The evaluated checkpoint of `base`, `checkpoint-12`, `12` or `last`. `UsageError` E106 where there is none."""
    there = [checkpoint for of, checkpoint in run.evals() if of == task]
    wanted = there[-1] if name in LAST and there else named(name)
    if wanted not in there:
        raise UsageError(
            f"{task} was not evaluated with {wanted}; there is {', '.join(there)}.",
            code="E106",
            tries=(f"oneshot rollouts {quote(str(run.path))} --task {task} --checkpoint {there[-1]}",) if there else (),
        )
    return wanted


def pair_of(text: str) -> tuple[str, str]:
    """The two names of `--diff base,12`. `UsageError` E103 unless there are two."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    if len(names) != 2:
        raise UsageError(
            f"--diff {text!r} must name two checkpoints, separated by a comma.",
            code="E103",
            tries=("--diff base,last",),
        )
    return named(names[0]), named(names[1])


def named(checkpoint: str) -> str:
    """`12` as `checkpoint-12`; any other name as it is."""
    return f"checkpoint-{checkpoint}" if checkpoint.isdecimal() else checkpoint
