"""The test tasks of a run (`evals.tasks`): made ready before anything heavy is loaded, read with the code of `eval`.

They are read before step 0 (`base`), every `evals.every` steps and after the last step, and choose nothing: the best
checkpoint is the best on the dev set. Their samples have random streams of their own, so a run with them and one
without have the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oneshot.config.schema import Config
from oneshot.data.tasks.loading import load_task
from oneshot.data.tasks.suites import resolve
from oneshot.data.tasks.task import LOGLIKELIHOOD, Task, TaskData
from oneshot.errors import MachineError, UsageError
from oneshot.measure import gains
from oneshot.record import RunFolder
from oneshot.stages import graders
from oneshot.stages.comparing.match import unlike
from oneshot.stages.evals import best
from oneshot.stages.evals.asked import Asked, ask
from oneshot.stages.evals.claims import room
from oneshot.stages.evals.claims import said as claim_said
from oneshot.stages.evals.judged import judge
from oneshot.stages.evals.records import recorded
from oneshot.stages.evals.work import prompts_of
from oneshot.stages.setup import Setup

Say = Callable[[str], None]
ABSENT = ("E106", "E203", "E204")
"""Codes of a task that is not on this machine."""
_RESERVED = (best.BUILTIN_DEV, "builtin-test")
"""What the demo's own problems are called in evals/."""
_SHOWN = ("correct", "responses", "n", "samples", "value", "ci_low", "ci_high", "method")


def chosen(config: Config) -> list[Task]:
    """The tasks that are asked for, by name alone: nothing is loaded.

    Raises:
        UsageError: E102 an unknown name, with the nearest; E103 one given twice; E105 the dev set among them.
    """
    if not config.evals.tasks.strip():
        return []
    tasks, dev = resolve(config.evals.tasks), best.dev_task(config)
    for task in tasks:
        if task.name in (dev, *_RESERVED):
            raise UsageError(
                f"evals.tasks has {task.name!r}, which is what the dev set is called too: the set that chooses the "
                "checkpoint is no test of it.",
                code="E105",
                tries=("--evals.source ANOTHER.jsonl   (a dev set of its own)", "--evals.tasks without it"),
            )
    return tasks


def load(config: Config, *, offline: bool, say: Say) -> tuple[Asked, ...]:
    """Every task of the run with its problems, graders and protocol, its references checked.

    Raises:
        UsageError: as `chosen`.
        OneshotError: a task that cannot be had or read; E302 a grader that accepts none of a task's references.
    """
    made = []
    for task in chosen(config):
        found = _loaded(task, config, offline=offline)
        asked = ask(found, config)
        doubts = graders.check_references(asked.verify, asked.problems) if generates(asked) else []
        for note in (*asked.data["notes"], *(f"{task.name}: {doubt}" for doubt in doubts)):
            say(note)
        made.append(asked)
    return tuple(made)


def _loaded(task: Task, config: Config, *, offline: bool) -> TaskData:
    evals = config.evals
    return load_task(task, folder=evals.data_dir, offline=offline, limit=evals.limit, task_seed=config.data.task_seed)


def planned(config: Config, say: Say) -> list[tuple[int, int]]:
    """`sizes` for a plan, which fetches nothing and calls no grader: of a task that is not here, by its known count."""
    found = []
    for task in chosen(config):
        count, limit = task.count, config.evals.limit
        try:
            data = _loaded(task, config, offline=True)
            count = len(data.problems)
        except (UsageError, MachineError) as error:
            if error.code not in ABSENT:
                raise
            data = TaskData(task=task, problems=(), digest="", rows=0, origin="")
            count = min(count, limit) if limit else count
            known = f"its {count} problems are counted all the same" if count else "its problems are not counted"
            say(f"warning: {task.name} is not on this machine, so a run without it is refused; {known}")
        asked = ask(data, config)
        if generates(asked):
            found.append((count * asked.protocol.samples, asked.protocol.max_new_tokens))
    return found


def check_prompts(setup: Setup, tasks: Sequence[Asked]) -> None:
    """Put every problem to the loaded model's template, so that one which does not fit is told before step 0.

    Raises:
        UsageError: E105 a prompt and the response limit exceed the model's positions.
        DataError: E301 a prompt longer than `rollout.max_prompt_tokens`.
    """
    for asked in filter(generates, tasks):
        prompts_of(setup, asked)


def longest(tasks: Sequence[Asked]) -> int:
    """The longest response limit among them; 0 without any."""
    return max((asked.protocol.max_new_tokens for asked in tasks if generates(asked)), default=0)


def generates(asked: Asked) -> bool:
    """Whether responses are sampled; where likelihoods are compared, none are."""
    return asked.protocol.kind != LOGLIKELIHOOD


def sizes(tasks: Sequence[Asked]) -> list[tuple[int, int]]:
    """(responses, response limit) of one reading of each task that samples; comparing likelihoods counts as nothing."""
    return [(len(t.problems) * t.protocol.samples, t.protocol.max_new_tokens) for t in tasks if generates(t)]


def tokens(tasks: Sequence[Asked]) -> int:
    """Response tokens of one reading of all tasks, each response to its limit."""
    return sum(responses * limit for responses, limit in sizes(tasks))


def told(run: RunFolder, folder: str, checkpoint: str, *, name: str = "") -> str:
    """`math500, checkpoint-20: 41.2% of 500 problems (95 % interval 37.0% to 45.6%)`, of evals/<folder>/."""
    found = best.results(run, folder, checkpoint)
    return (
        f"{name or folder}, {checkpoint}: {found['value']:.1%} of {found['n']} problems "
        f"(95 % interval {found['ci_low']:.1%} to {found['ci_high']:.1%})"
    )


def summary(run: RunFolder, tasks: Sequence[Asked], dev: str) -> dict[str, Any]:
    """The `tasks` entry of summary.json: for each task base, last, best on dev, and the difference last - base.

    The differences are one table: what each may claim is adjusted for all (`judged.judge`). `best_on_test` is there
    where at least `best.LEAST` checkpoints were read, all alike, with its correction.
    """
    found = {asked.task.name: _of_task(run, asked, best.best_step(run, dev) if dev else None) for asked in tasks}
    judge([(told["paired"], told.pop("room")) for told in found.values()])
    return found


def _of_task(run: RunFolder, asked: Asked, on_dev: int | None) -> dict[str, Any]:
    steps = best.steps_read(run, asked.name)
    rows = {step: recorded(asked, run, f"checkpoint-{step}") or [] for step in steps}
    base = recorded(asked, run, "base") or []
    return {
        "title": asked.task.title,
        "folder": asked.name,
        "protocol": asked.protocol.as_dict(),
        "steps": steps,
        "base": _values(run, asked.name, "base"),
        "last": {"step": steps[-1], **_values(run, asked.name, f"checkpoint-{steps[-1]}")},
        "best_on_dev": {"step": on_dev, **_values(run, asked.name, f"checkpoint-{on_dev}")} if on_dev in rows else None,
        "paired": gains.paired(base, rows[steps[-1]]).as_dict(),
        "room": room(*(best.results(run, asked.name, name) for name in ("base", f"checkpoint-{steps[-1]}"))),
        "best_on_test": best.best_on_test(rows) if _alike(run, asked.name, steps) else None,
    }


def _alike(run: RunFolder, task: str, steps: Sequence[int]) -> bool:
    """Whether all checkpoints were read alike: a run may have gone on where weights have another dtype."""
    each = [best.results(run, task, f"checkpoint-{step}") for step in steps]
    return not any(unlike(each[0], other) for other in each[1:])


def _values(run: RunFolder, task: str, checkpoint: str) -> dict[str, Any]:
    found = best.results(run, task, checkpoint)
    return {name: found[name] for name in _SHOWN if name in found}


def lines(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The same for people, at the end of a run."""
    said = []
    for name, task in found.items():
        base, last, on_dev, pair = task["base"], task["last"], task["best_on_dev"], task["paired"]
        chosen = f", best on dev {on_dev['value']:.1%} (step {on_dev['step']})" if on_dev else ""
        said.append(
            f"{name}: base {base['value']:.1%}, last {last['value']:.1%} (step {last['step']}){chosen}; "
            f"last - base {100 * pair['estimate']:+.1f} points, 95 % interval {100 * pair['ci_low']:+.1f} to "
            f"{100 * pair['ci_high']:+.1f}, {base['n']} problems; {claim_said(pair)}"
        )
        if task["best_on_test"]:
            said.append(f"  {best.sentence(task['best_on_test'])}")
    return said
