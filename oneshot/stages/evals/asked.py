"""One task as it is asked here: its problems, the protocol in force, the graders, and its name in a run folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from oneshot.config import gym
from oneshot.config.origins import value_of
from oneshot.config.schema import Config
from oneshot.data.tasks.task import LOGLIKELIHOOD, Protocol, Task, TaskData
from oneshot.errors import UsageError
from oneshot.rewards.controls.form import users_own
from oneshot.rollout.collect import Render
from oneshot.stages import graders
from oneshot.stages.evals.best import dev_task
from oneshot.types import Problem, Verifier

STRICT, LENIENT = "math", "math-lenient"
"""The two graders whose verdicts stand beside the one that counts, where references are mathematics."""
NOT_MATHS = ("choice", "exact")
"""Graders whose references are letters or any text."""
SAMPLED = 0.6
"""Temperature where several responses are asked for of a task that has none: the paper's for its sampled sets."""
SYSTEM = "data.system"
_SETTINGS: Mapping[str, tuple[str, Any]] = {
    "samples": ("evals.samples", 0),
    "temperature": ("evals.temperature", -1.0),  # as any below 0
    "max_new_tokens": ("evals.max_new_tokens", 0),
    "suffix": ("evals.suffix", None),  # an empty text is a text
    "grader": ("evals.grader", ""),
    "system": (SYSTEM, None),
}
"""Field of a protocol -> the setting that changes it, and the setting's value that means the task's own."""
_IN_RUN = ("evals.samples", "evals.temperature", "evals.max_new_tokens", SYSTEM)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A task ready to be measured."""

    name: str
    """Its folder in evals/: the task's name, with eight hex digits where protocol, limit, grader or data are not what
    is known as the task's own (of a file or a generated task nothing is known: it always has them)."""
    task: Task
    problems: tuple[Problem, ...]
    protocol: Protocol
    """In force: the task's own with what the settings change."""
    verify: Verifier
    """The grader whose verdict counts. Not called where continuations are compared (`loglikelihood`)."""
    strict: Verifier
    """A complete box or nothing; `verify` itself where the references are no mathematics."""
    lenient: Verifier
    """What is stated without a box too; `verify` itself where the references are no mathematics."""
    data: Mapping[str, Any]
    """`origin`, `rows` (before the limit), `digest`, `limit` (0: none), `notes`."""
    forced: bool = False
    """Also force a box where there is none and grade that (`meta["forced"]`)."""
    render: Render | None = None
    """Problem to prompt tokens; None: the chat template with the protocol's suffix and system text."""
    variant: str = ""
    """Another way of asking, part of the checkpoint's name: `icl` makes `base+icl`."""

    @property
    def maths(self) -> bool:
        """Whether strict and lenient grades stand beside the one that counts."""
        return is_maths(self.protocol.grader) and self.protocol.kind != LOGLIKELIHOOD

    def under(self, checkpoint: str) -> str:
        """The name in evals/<task>/ of a checkpoint asked in this way."""
        return f"{checkpoint}+{self.variant}" if self.variant else checkpoint


def ask(
    found: TaskData,
    config: Config,
    *,
    given: Callable[[str], bool] | None = None,
    forced: bool = False,
    render: Render | None = None,
    variant: str = "",
) -> Asked:
    """The task with the protocol in force and its graders, before any model is loaded.

    Args:
        found: the loaded problems.
        config: `evals.samples`, `temperature`, `max_new_tokens`, `suffix`, `grader` and `data.system` change the
            protocol; the first three and the grader have a value that means the task's own.
        given: whether a key is to change the protocol; None: as inside a run (`set_in_run`).
        forced: also force a box where there is none.
        render: another way to put a problem; None: the chat template.
        variant: the name of that way.

    Raises:
        UsageError: E102 an unknown grader; E105 several responses at temperature 0, or a grader that cannot read the
            task's references.
        DataError: E305 a user's function that cannot be used.
    """
    task = found.task
    protocol, said = _in_force(task.protocol, config, given or partial(set_in_run, config))
    _check_grader(task, protocol.grader)
    maths = is_maths(protocol.grader)
    names = {protocol.grader, STRICT, LENIENT} if maths else {protocol.grader}
    built = {name: graders.build(name, timeout=config.reward.timeout, flag="--evals.grader") for name in names}
    verify = built[protocol.grader]
    limit = len(found.problems) if len(found.problems) < found.rows else 0
    return Asked(
        name=_name(task, protocol, found.digest, limit, taken=dev_task(config)),
        task=task,
        problems=found.problems,
        protocol=protocol,
        verify=verify,
        strict=built.get(STRICT, verify),
        lenient=built.get(LENIENT, verify),
        data={
            "origin": found.origin,
            "rows": found.rows,
            "digest": found.digest,
            "limit": limit,
            "notes": [*found.notes, *(f"{task.name} {what}" for what in said)],
        },
        forced=forced and protocol.kind != LOGLIKELIHOOD,
        render=render,
        variant=variant,
    )


def set_in_run(config: Config, key: str) -> bool:
    """Whether a run's own configuration changes how its test tasks are asked by this key.

    Number, temperature and length of the responses do, and the system text it trains with. Suffix and grader of
    `[evals]` are the dev set's: a benchmark keeps its own.
    """
    return key in _IN_RUN and value_of(config, key) != value_of(Config(), key)


def with_limits(config: Config, *asked: Asked) -> Config:
    """The configuration with the longest response limit of these tasks, for the checks before a model is loaded.

    Memory (E201) and positions (E105) are then those of the tasks, not of the dev set.
    """
    longest = max((task.protocol.max_new_tokens for task in asked), default=0)
    return replace(config, evals=replace(config.evals, max_new_tokens=longest)) if longest else config


def is_maths(grader: str) -> bool:
    """Whether a grader's references are mathematics: not letters, any text, a gym's rows or a user's own."""
    return ":" not in grader and not grader.endswith(".py") and grader not in NOT_MATHS


def _check_grader(task: Task, grader: str) -> None:
    """Refuse a grader that would find every response wrong: the task's references are not of its kind. E105."""
    own, of_gym = task.protocol.grader, (gym.PREFIX, gym.LENIENT)
    users = users_own(grader)
    if task.protocol.kind == LOGLIKELIHOOD or grader == own:
        return
    if own.startswith(of_gym):
        if grader.startswith(of_gym) and grader.partition(":")[2] == own.partition(":")[2]:
            return
        why = f"{task.name} brings its own scorer, which alone can read its references"
    elif own == "choice" and not users:
        why = f"the answers of {task.name} are letters, which only the grader 'choice' or a function of yours reads"
    else:
        return
    raise UsageError(
        f"{why}; they cannot be graded by {grader!r}.",
        code="E105",
        tries=(f"--tasks {task.name}   (in a command of its own, without --evals.grader)",),
    )


def _in_force(own: Protocol, config: Config, given: Callable[[str], bool]) -> tuple[Protocol, list[str]]:
    """The task's protocol with what the settings change, and what to say about it.

    A likelihood has nothing that could be changed.

    Raises:
        UsageError: E105 several responses at temperature 0, which would all be the same.
    """
    if own.kind == LOGLIKELIHOOD:
        return own, []
    changes: dict[str, Any] = {}
    for field, (key, unset) in _SETTINGS.items():
        value = value_of(config, key)
        if given(key) and value != unset and not (field == "temperature" and value < 0):
            changes[field] = value
    protocol = replace(own, **changes)
    if protocol.samples == 1 or protocol.temperature:
        return protocol, []
    if "temperature" in changes:
        raise UsageError(
            f"{protocol.samples} responses to a problem at temperature 0 are {protocol.samples} times the same one.",
            code="E105",
            tries=(f"--evals.samples {protocol.samples} --evals.temperature {SAMPLED}", "--evals.samples 1"),
        )
    said = f"is read greedily by its own protocol; {protocol.samples} responses are drawn at temperature {SAMPLED}"
    return replace(protocol, temperature=SAMPLED), [said]


def _name(task: Task, protocol: Protocol, digest: str, limit: int, *, taken: str) -> str:
    """The task's name, with a hash of what is not its own, so that nothing stale is ever read.

    `taken` is what the dev set of a run is called in evals/: a task of that name has the hash always.
    """
    if protocol == task.protocol and not limit and digest == task.digest and task.name != taken:
        return task.name
    whole = json.dumps([protocol.as_dict(), digest, limit])
    return f"{task.name}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
