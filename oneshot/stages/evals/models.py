"""Measures the checkpoints of a target on the tasks, and keeps each result as it comes.

Loads torch where something must be measured or graded again; what is finished is read without it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from oneshot.config.environment import plain
from oneshot.config.request import Request
from oneshot.data.tasks.task import LOGLIKELIHOOD
from oneshot.errors import DataError, OneshotError, Stopped, UsageError
from oneshot.record import Evaluations, RunFolder
from oneshot.stages.evals import asked_alike, model_files
from oneshot.stages.evals.asked import Asked, with_limits
from oneshot.stages.evals.failures import NOTHING, beside, ends, told
from oneshot.stages.evals.flags import Flags
from oneshot.stages.evals.progress import progress
from oneshot.stages.evals.results import BASELINES, Measured
from oneshot.stages.evals.targets import BASE, Target, pasted
from oneshot.types import EvalRow

if TYPE_CHECKING:
    from oneshot.stages.setup import Setup

Say = Callable[[str], None]


class _Loaded:
    """One checkpoint, loaded when it is first needed: what is recorded already needs no model."""

    def __init__(self, target: Target, model: str, asked: Sequence[Asked], request: Request, say: Say) -> None:
        self.target, self.model, self.asked, self.request, self.say = target, model, asked, request, say

    @cached_property
    def folder(self) -> Path:
        """Of the model; it is none where the model is named by something else."""
        return Path(self.model or self.target.config.model.name)

    @cached_property
    def files(self) -> dict[str, str]:
        """The files that its answers depend on."""
        return model_files.digests(self.folder)

    @cached_property
    def setup(self) -> Setup:
        """The model with sampler and prompts, checked against the longest limit of the tasks."""
        from oneshot.stages.setup import load_setup, resolve_names

        config = with_limits(self.target.config, *self.asked)
        try:
            names = resolve_names(config)
            setup = load_setup(config, names, offline=self.request.offline, model=self.model, training=False)
        except OneshotError as error:
            _of_eval(error, self.request)
            raise
        for note in setup.notes:
            self.say(note)
        for task in self.asked:
            _check_prompts(setup, task, self.request)
        return setup


def _of_eval(error: OneshotError, request: Request) -> OneshotError:
    """The same error with lines that `oneshot eval` takes; other verbs raise it too, and train."""
    error.tries = tuple(pasted(line, request) for line in error.tries)
    error.kept = error.kept.replace("Nothing was trained.", NOTHING[0])
    return error


def _check_prompts(setup: Setup, asked: Asked, request: Request) -> None:
    """Refuse a task whose longest prompt does not fit, before any other task is measured. Errors as `prompts_of`."""
    from oneshot.stages.evals.work import prompts_of

    if asked.protocol.kind == LOGLIKELIHOOD:
        return
    try:
        prompts_of(setup, asked)
    except (UsageError, DataError) as error:
        told = type(error)(f"{asked.task.name}: {error.message}", code=error.code, tries=error.tries, kept=NOTHING[0])
        raise _of_eval(told, request) from error


def measure(
    target: Target, asked: Sequence[Asked], flags: Flags, request: Request, say: Say
) -> tuple[list[Measured], dict[str, OneshotError]]:
    """Every task of every checkpoint, base first.

    Returns:
        What was measured, and the error that ended it before its end under the name of the task it happened at.
    """
    icl = RunFolder.open(flags.icl, Path(request.config.save.runs)) if flags.icl else None
    each = {name: _Loaded(target, model, asked, request, say) for name, model in target.models.items()}
    if not target.folder.exists():
        _ = each[BASE].setup  # no folder is made for a model that cannot be loaded
    with told(target.folder):
        store = target.store()
    found = [Measured(asked=task, folder=store.eval_dir(task.name, BASE).parent) for task in asked]
    say(f"results: {store.path}")
    failed: dict[str, OneshotError] = {}
    for checkpoint in target.models:
        loaded = each.pop(checkpoint)
        for measured in found:
            try:
                with ends(), told(store.path):
                    _one(measured, loaded, store, checkpoint)
            except OneshotError as error:
                _of_eval(error, request)
                if not any(other.results for other in found):
                    raise
                return found, failed | {measured.name: _kept(error, store)}
            if checkpoint == BASE and (icl or flags.best_prompt):
                try:
                    with ends(), told(store.path):
                        _baselines(measured, loaded, store, icl, flags)
                except Stopped as stop:
                    return found, failed | {measured.name: _kept(stop, store)}
                except OneshotError as error:  # a baseline that cannot be had keeps nothing else from being measured
                    failed[measured.name + BASELINES] = _kept(_of_eval(error, request), store)
    return found, failed


def _one(measured: Measured, loaded: _Loaded, store: Evaluations, checkpoint: str) -> None:
    """Read what is recorded, else measure it; what is recorded needs no model."""
    asked, name = measured.asked, measured.asked.under(checkpoint)
    seed, again = loaded.target.config.seed, (f"oneshot {shlex.join(loaded.request.argv)}   (measures it again)",)
    if store.has_eval(asked.name, name):
        model_files.check(store, asked.name, name, loaded.folder, loaded.files, again=again)
    elif other := asked_alike.of_other_grader(asked, store, name, seed=seed, files_now=loaded.files):
        from oneshot.stages.evals.records import take_over

        take_over(asked, store, name, other, say=loaded.say)
    rows = _as_it_is(asked, store, name)
    if rows is None:
        from oneshot.stages.evals.records import recorded

        rows = recorded(asked, store, checkpoint, say=loaded.say) or _measured(loaded, asked, store, checkpoint)
    results = store.read_eval(asked.name, name)[0]
    if asked.protocol.temperature:
        store.check_protocol(asked.name, name, results["protocol"], {"seed": seed})
    measured.add(name, results, rows)


def _as_it_is(asked: Asked, store: Evaluations, name: str) -> list[EvalRow] | None:
    """The rows of a finished evaluation for which nothing is left to do: no response to draw, nothing to grade.

    Raises:
        UsageError: E107 it was asked otherwise.
    """
    if not store.has_eval(asked.name, name):
        return None
    protocol, rows = asked_alike.read(asked, store, name)
    same = protocol.get("grader_version", "") == asked_alike.without_model(asked)["grader_version"]
    return rows if same and not (asked.forced and any("forced" not in row.meta for row in rows)) else None


def _measured(loaded: _Loaded, asked: Asked, store: Evaluations, checkpoint: str) -> list[EvalRow]:
    from oneshot.stages.evals.sampling import measure_task

    bar = progress(quiet=loaded.request.quiet, plain=plain())
    files = loaded.files  # read before the model is loaded from them
    return measure_task(loaded.setup, asked, store, checkpoint, say=loaded.say, progress=bar, files=files)


def _baselines(measured: Measured, loaded: _Loaded, store: Evaluations, icl: RunFolder | None, flags: Flags) -> None:
    """The same task asked of base in other ways."""
    from oneshot.stages.evals.baselines import add_baselines

    for other in add_baselines(
        loaded.setup,
        measured.asked,
        icl=icl,
        best_prompt=flags.best_prompt,
        say=loaded.say,
        store=store,
        offline=loaded.request.offline,
    ):
        rows = _measured(loaded, other, store, BASE)
        measured.add(other.under(BASE), store.read_eval(other.name, other.under(BASE))[0], rows)


def _kept(error: OneshotError, store: Evaluations) -> OneshotError:
    """The same error, saying that what was measured before is kept."""
    beside(error, f"What was measured before is kept in {store.path}.")
    if isinstance(error, Stopped) and not error.tries:
        error.tries = ("the same command again   (it measures only what is missing)",)
    return error
