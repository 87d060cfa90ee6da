"""What `--tasks` names: tasks, suites, `name:protocol`, files, reasoning-gym data sets. Importing it registers all."""

from __future__ import annotations

from collections.abc import Mapping

from oneshot.config.gym import PREFIX
from oneshot.data.tasks import (  # noqa: F401  (each registers its tasks)
    aime,
    amc23,
    arc,
    arithmetic,
    dsr_sub,
    gsm8k,
    math500,
    math_beyond,
    minerva_math,
    olympiadbench,
)
from oneshot.data.tasks.files import file_task, is_file
from oneshot.data.tasks.gym import gym_task
from oneshot.data.tasks.task import TASKS, Task
from oneshot.errors import UsageError
from oneshot.registry import nearest

__all__ = ["SUITES", "TASKS", "known", "resolve"]

SUITES: Mapping[str, tuple[str, ...]] = {
    "math6": ("math500", "aime24", "aime25", "amc23", "minerva_math", "olympiadbench"),
    "reasoning": ("arc_easy", "arc_challenge"),
}
"""Suite -> tasks. `math6` is the paper's six, each under the paper's protocol."""


def known() -> list[str]:
    """Every name of a task or a suite, sorted."""
    return sorted([*TASKS.names(), *SUITES])


def resolve(specs: str) -> list[Task]:
    """The tasks of a list with commas: `math500,aime24`, `math6`, `arc_easy:loglikelihood`, `FILE.jsonl`, `gym:NAME`.

    Nothing is loaded. An empty text gives no task.

    Raises:
        UsageError: E102 an unknown task or protocol, with the nearest name; E103 a task that is named twice.
    """
    named = [(typed, task) for spec in specs.split(",") if spec.strip() for typed, task in _named(spec.strip())]
    tasks = [task for _, task in named]
    names = [task.name for task in tasks]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        once = ",".join({task.name: typed for typed, task in reversed(named)}[name] for name in dict.fromkeys(names))
        said = f"the task {twice!r} is named twice in {specs!r}; its results would share a folder."
        raise UsageError(said, code="E103", tries=(f"--tasks {once}",))
    return tasks


def _named(spec: str) -> list[tuple[str, Task]]:
    """The tasks of one part of the list, each with what names it alone."""
    if spec.startswith(PREFIX):
        return [(spec, gym_task(spec))]
    if is_file(spec):
        return [(spec, file_task(spec, known()))]
    name, colon, protocol = spec.partition(":")
    if name in SUITES:
        tasks = [TASKS.build(member) for member in SUITES[name]]
    elif name in TASKS.names():
        tasks = [TASKS.build(name)]
    else:
        said = f"unknown task {name!r}.{nearest(name, known())} Known: {', '.join(known())}; or a file, or gym:NAME."
        raise UsageError(said, code="E102", tries=("--tasks math500,aime24", "--tasks FILE.jsonl"))
    return [(task.name + colon + protocol, task.under(protocol) if colon else task) for task in tasks]
