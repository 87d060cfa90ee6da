"""`oneshot train`: a new run, a resumed one, or with --dry-run what it would be. The loop itself is in `loop.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple

from oneshot.config.environment import plain
from oneshot.config.load import to_dict
from oneshot.config.request import Request
from oneshot.errors import UsageError
from oneshot.export import tracking
from oneshot.record import RunFolder
from oneshot.stages import demo, graders, say
from oneshot.stages.display import Display, display
from oneshot.stages.evals import best
from oneshot.stages.evals.asked import Asked
from oneshot.stages.log import Logged
from oneshot.stages.plan import dry_run
from oneshot.stages.setup import Setup, check_answers, held_out, load_setup, resolve_names
from oneshot.stages.training import controls, resume, transfer_map
from oneshot.stages.training import tasks as training_tasks
from oneshot.stages.training.beginning import begin
from oneshot.stages.training.endings import ended, failing, starting
from oneshot.stages.training.examples import training_problems
from oneshot.stages.training.preflight import BaseRate
from oneshot.stages.training.session import Phases, Session, new_run, preflight, tracked, train
from oneshot.stages.training.summary import headline, limits, peak_memory_gib, summarise
from oneshot.types import Problem


def main(request: Request, begun_as: Callable[[RunFolder], None] = lambda run: None) -> int:
    """Train on one example; prints the run folder, with --json one object with the summary.

    `begun_as` is told of a new run folder before anything is measured: a study records what the run is a part of.
    """
    if request.dry_run:
        return dry_run(request)
    run, request = _asked(request)
    config = request.config
    with ExitStack() as ends:
        loaded = ends.enter_context(starting(run))
        setup, problems, unseen, tests, shown, phases = _loaded(request, run)
        rate = resume.recorded_rate(run) if run else None
        begun, known = run is not None, run is not None and bool(run.checkpoints())
        run = run or new_run(setup, problems, request.argv)
        ends.enter_context(failing(run))
        loaded()
        if not begun:
            begun_as(run)
        shown = Logged(shown, run)
        session = Session(
            setup=setup, run=run, problems=problems, held_out=unseen, task=best.dev_task(config), shown=shown,
            tests=tests, yes=request.yes, verbose=request.verbose,
        )  # fmt: skip
        track = ends.enter_context(tracked(session, offline=request.offline))
        setup = begin(setup, problems, run, shown.note)
        session = replace(session, setup=setup, tracking=track)
        if begun:
            _go_on(session)
        shown.note(f"run folder {run.path}")
        rate = rate if known else preflight(session)
        phases.end("preflight")
        if reads := session.readings():
            with run.doing("evaluating"):
                reads.before()
            phases.end("evaluate base")
        train(session, rate)  # reads all of them again after the last step
        phases.end("train")
        if rate and (demo.TEST, "base") in run.evals():  # a demo that was stopped ends as a demo
            summary = demo.finish(session, rate, phases)
            track.close(summary)
            demo.tell(request, run, summary)
            return 0
        summary = _finish(session, rate, phases)
        track.close(summary)
    return _tell(request, session, summary)


def _asked(request: Request) -> tuple[RunFolder | None, Request]:
    """The run that goes on, None for a new one, and the request with the configuration that the run has."""
    run = resume.resumed(request) if "resume" in request.verb_flags else None
    # A run records what its control arm made of its settings, so one that goes on has it already.
    request = replace(request, config=resume.config_of(run, request)) if run else controls.applied(request)
    if request.config.optim.steps < 1:
        raise UsageError("optim.steps = 0: a run trains for at least one step.", tries=("--steps 1",))
    best.check(request.config, request.origins)
    return run, request


class _Loaded(NamedTuple):
    """What a run is made of."""

    setup: Setup
    problems: Sequence[Problem]
    unseen: Sequence[Problem]
    tests: Sequence[Asked]
    shown: Display
    phases: Phases


def _loaded(request: Request, run: RunFolder | None) -> _Loaded:
    """Everything that is read and loaded before a new run has a folder, or before one goes on."""
    config = request.config
    names = resolve_names(config)
    controls.check(config, names.verify)
    tracking.check(config.save.track)
    shown = _display(request)
    warnings: list[str] = []
    if run:
        warnings += check_answers(names, problems := resume.examples(run))
    else:
        problems = training_problems(config, names.verify, offline=request.offline, say=shown.note)
    unseen = held_out(config, str(problems[0].meta.get("kind", "")), offline=request.offline)
    transfer_map.check(config, len(unseen))
    warnings += graders.check_references(names.eval_verify, unseen)
    tests = training_tasks.load(config, offline=request.offline, say=warnings.append)
    for note in (*graders.notes(names.verify, names.eval_verify), *warnings):
        shown.note(note)
    phases = Phases()
    setup = load_setup(config, names, offline=request.offline, longest=training_tasks.longest(tests))
    training_tasks.check_prompts(setup, tests)
    phases.end("model")
    return _Loaded(setup, problems, unseen, tests, shown, phases)


def _display(request: Request) -> Display:
    """Where the run speaks; the first thing said is what sets it apart from a normal one."""
    arm = controls.label(to_dict(request.config))
    shown = display(quiet=request.quiet or request.json, plain=plain(), label=arm)
    for note in controls.said(request.config, request.origins):
        shown.note(note)
    return shown


def _go_on(session: Session) -> None:
    """Record the settings that a resumed run has now, and say which of them cost the last bits."""
    config = to_dict(session.setup.config)
    for note in resume.rounding(session.run.config(), config):
        session.shown.note(note)
    session.run.write_json("config.json", config)
    session.run.write_status(steps=session.setup.config.optim.steps, phase="starting")


def _finish(session: Session, rate: BaseRate | None, phases: Phases) -> dict[str, Any]:
    """The summary of a run that came to its end, written with what else such a run leaves."""
    summary = _summary(session, rate, phases)
    ended(session.run, summary)
    return summary


def _tell(request: Request, session: Session, summary: dict[str, Any]) -> int:
    """The test tasks, then the headline."""
    for line in training_tasks.lines(summary.get("tasks", {})):
        session.shown.note(line)
    say.result(request, session.run, summary)
    return 0


def _summary(session: Session, rate: BaseRate | None, phases: Phases) -> dict[str, Any]:
    run, config, example = session.run, session.setup.config, session.problems[0]
    steps = config.optim.steps
    summary: dict[str, Any] = {
        "schema": "oneshot.summary/1",
        "model": config.model.name,
        "example": {
            "prompt": example.prompt,
            "answer": example.answer,
            "kind": example.category,
            "base_rate": rate.as_dict() if rate else None,
            "count": len(session.problems),
        },
        "training": {"first": run.metrics()[0]["train/accuracy"], "last": run.metrics()[-1]["train/accuracy"]},
        "seeds": {"run": config.seed, "task": config.data.task_seed},
        "times": phases.times,
        "peak_memory_gib": peak_memory_gib(),
    }
    if session.tests:
        summary["tasks"] = training_tasks.summary(run, session.tests, session.task)
    if session.held_out:
        if (on_dev := best.best_step(run, session.task)) is not None:
            value = best.accuracies(run, session.task)[on_dev]
            summary["best_on_dev"] = {"step": on_dev, "value": value, "kept": on_dev in run.checkpoints()}
        trained = run.read_eval(session.task, f"checkpoint-{steps}")[1]
        compared = summarise(run.read_eval(session.task, "base")[1], trained)
        summary |= {"task": session.task, **compared}
        summary["headline"] = headline(compared)
        summary["limits"] = limits(
            compared, last_step=steps, read_during=config.evals.every > 0, tasks=summary.get("tasks")
        )
    else:
        first, last = summary["training"]["first"], summary["training"]["last"]
        lacks = "there is no dev set" if session.tests else "nothing held out was measured"
        summary["headline"] = f"Training accuracy {first:.1%} to {last:.1%}; {lacks}."
        summary["limits"] = (
            ["One run: the intervals cover the choice of problems, not another training seed."]
            if session.tests
            else ["No held-out problems were given, so nothing is known beyond the example itself."]
        )
    summary["headline"] = controls.marked(config, summary["headline"])
    summary["limits"] = [*controls.limits(config), *summary["limits"]]
    return summary | controls.summary(config)
