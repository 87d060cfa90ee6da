"""Which tasks an evaluation asks, loaded before any model is. Loads no torch.

`evals.tasks` names benchmarks, suites and files; `evals.source` (`--data`) is one more task of a file, asked as the dev
set of a run is: greedily, one response, with the limit of the dev set and the reward's grader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from oneshot.config.names import flag
from oneshot.config.origins import show
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.data.problems import BUILTIN, load_source
from oneshot.data.readers import to_problems
from oneshot.data.tasks import builtin
from oneshot.data.tasks.digest import digest_of
from oneshot.data.tasks.loading import load_task
from oneshot.data.tasks.suites import resolve
from oneshot.data.tasks.task import LOGLIKELIHOOD, Protocol, Task, TaskData
from oneshot.errors import DataError, MachineError, OneshotError, UsageError
from oneshot.stages import graders
from oneshot.stages.evals.asked import SYSTEM, Asked, ask, set_in_run
from oneshot.types import Problem

SOURCE, TASKS = "evals.source", "evals.tasks"
_SAMPLING = tuple(f"evals.{key}" for key in ("samples", "temperature", "max_new_tokens", "suffix", "grader"))
ABSENT = ("E106", "E203", "E204")
"""Codes of a task that cannot be had: no file, no network, no library."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The tasks that are measured, and those that cannot be had."""

    data: tuple[TaskData, ...]
    absent: Mapping[str, OneshotError] = field(default_factory=dict)
    """Name -> why; the others are measured first."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all that were asked for."""
        return (*(found.task.name for found in self.data), *self.absent)


def choose(config: Config, request: Request, *, kind: str = "", limited: bool = True) -> Chosen:
    """Load every task that is asked for.

    Where either of `evals.source` and `evals.tasks` is given now, what else a run's configuration names is not
    measured.

    Args:
        config: what is measured under; `evals.limit` problems of each task are read.
        request: for what was given now.
        kind: the example's kind, of which the built-in dev set holds more.
        limited: whether `evals.limit` is applied here.

    Raises:
        UsageError: E102 an unknown task, E103 one named twice, E105 none at all.
        OneshotError: why the only task, or every one, cannot be had; any other error of a task's rows.
    """
    source, tasks = _named(config, request)
    limit = config.evals.limit if limited else 0
    found: list[TaskData] = []
    absent: dict[str, OneshotError] = {}
    if source:
        found.append(of_source(config, kind, limit=limit, offline=request.offline))
    for task in tasks:
        try:
            found.append(
                load_task(
                    task,
                    folder=config.evals.data_dir,
                    offline=request.offline,
                    limit=limit,
                    task_seed=config.data.task_seed,
                )
            )
        except (UsageError, MachineError) as error:
            if error.code not in ABSENT or len(tasks) + bool(source) == 1:
                raise
            absent[task.name] = error
    if not found:
        raise next(iter(absent.values()))
    return Chosen(data=tuple(found), absent=absent)


def named(config: Config, request: Request) -> tuple[list[Task], tuple[str, ...]]:
    """(the tasks of `evals.tasks`, the names of all that are asked for), before anything is loaded or fetched.

    Raises:
        UsageError: as `choose`, for what is wrong with the names.
    """
    source, tasks = _named(config, request)
    return tasks, (*((_source_name(source),) if source else ()), *(task.name for task in tasks))


def _named(config: Config, request: Request) -> tuple[str, list[Task]]:
    """(`evals.source`, the tasks of `evals.tasks`), as far as they are asked for."""
    now = [key for key in (SOURCE, TASKS) if request.given(key)]
    source = config.evals.source if SOURCE in now or not now else ""
    tasks = resolve(config.evals.tasks) if config.evals.tasks and (TASKS in now or not now) else []
    if not source and not tasks:
        tries = ("oneshot eval MODEL --tasks math500", "oneshot eval MODEL --data FILE.jsonl")
        raise UsageError("oneshot eval needs problems.", code="E105", tries=tries)
    name = _source_name(source)
    if source and any(task.name == name for task in tasks):
        raise UsageError(f"--data and --tasks both name a task {name!r}.", code="E103", tries=(f"--tasks {name}",))
    return source, tasks


def _source_name(source: str) -> str:
    return BUILTIN if source == BUILTIN else Path(source).stem


def problems_of(config: Config, kind: str, *, offline: bool) -> list[Problem]:
    """Every problem of `evals.source`, whatever the limit; none where none is configured. Errors as `load_source`."""
    source = config.evals.source
    if source == BUILTIN:
        return list(builtin.dev_set(config.data.task_seed, kind))
    return list(load_source(source, allow_empty_answer=True, offline=offline).problems) if source else []


def of_source(config: Config, kind: str, *, limit: int, offline: bool) -> TaskData:
    """`evals.source` as a task.

    Raises:
        UsageError, DataError, MachineError: as `load_source`.
    """
    evals, name = config.evals, _source_name(config.evals.source)
    problems = problems_of(config, kind, offline=offline)
    protocol = Protocol(
        max_new_tokens=evals.source_tokens,
        suffix=evals.suffix,
        grader=evals.grader or config.reward.name,
        system=config.data.system,
    )
    task = Task(
        name=name,
        title=name,
        protocol=protocol,
        problems=lambda rows, source: to_problems(rows, source, allow_empty_answer=True)[0],
        file=evals.source,
    )
    read = tuple(problems[: limit or None])
    return TaskData(task=task, problems=read, digest=digest_of(problems), rows=len(problems), origin=evals.source)


def ask_all(
    chosen: Chosen, config: Config, given: Callable[[str], bool], *, forced: bool, say: Callable[[str], None]
) -> list[Asked]:
    """Every task with its protocol and graders, and what there is to say about its rows and references.

    Raises:
        UsageError: E102, E105 as `ask`.
        DataError: E302 when a grader matches none of the references, E305 when a function of the user's fails.
    """
    asked: list[Asked] = []
    said: set[str] = set()
    for data in chosen.data:
        task = ask(data, config, given=given, forced=forced)
        for note in data.notes:
            say(f"note: {note}")
        if task.protocol.kind == LOGLIKELIHOOD and (ignored := [flag(key) for key in _SAMPLING if given(key)]):
            say(f"note: {task.task.name} compares likelihoods: {', '.join(ignored)} changes nothing in it")
        if changed := _changed(task):
            say(f"note: {task.task.name} is not asked by its own protocol: {changed}")
        for note in (*graders.notes(task.verify), *_checked(task, alone=len(chosen.names) == 1)):
            if note not in said:
                say(note)
            said.add(note)
        asked.append(task)
    return asked


def _checked(task: Asked, *, alone: bool) -> list[str]:
    """The warnings about a task's references; likelihoods are compared without a grader."""
    if task.protocol.kind == LOGLIKELIHOOD:
        return []
    try:
        return graders.check_references(task.verify, task.problems)
    except DataError as error:
        if alone:
            raise
        raise DataError(
            f"{task.task.name}: {error.message}", code=error.code, tries=error.tries, kept=error.kept
        ) from error


def _changed(task: Asked) -> str:
    """What differs from the task's own protocol: `max_new_tokens 128 instead of 3072`."""
    own, now = task.task.protocol.as_dict(), task.protocol.as_dict()
    return ", ".join(f"{name} {show(now[name])} instead of {show(own[name])}" for name in own if own[name] != now[name])


def given_by(request: Request, stored: Config | None) -> Callable[[str], bool]:
    """Whether a key changes the protocol: it was given now; of a run's own tasks, also what the run set.

    A task that is named now is asked by its own protocol, of a run as of a model, so that their results compare. Only
    the system text is the run's, which was trained with it.
    """
    own = stored is not None and not request.given(TASKS)

    def given(key: str) -> bool:
        in_force = stored is not None and (own or key == SYSTEM) and set_in_run(stored, key)
        return request.given(key) or in_force

    return given


def samples_of(asked: Sequence[Asked]) -> dict[str, int]:
    """Task -> responses to each problem."""
    return {task.task.name: task.protocol.samples for task in asked}


def first(problems: Sequence[Problem], limit: int) -> tuple[Problem, ...]:
    """The problems that a limit leaves."""
    return tuple(problems[: limit or None])


def limited(data: TaskData, limit: int) -> TaskData:
    """The same data with the first problems only."""
    return replace(data, problems=first(data.problems, limit))
