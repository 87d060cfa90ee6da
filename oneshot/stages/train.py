"""`oneshot train`: a new run, a resumed one, or with --dry-run what it would be. The loop itself is in `loop.py`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot.config.environment import plain
from oneshot.config.load import from_dict, to_dict
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.data import readers
from oneshot.data.problems import BUILTIN, load
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.report import page
from oneshot.stages import say
from oneshot.stages.display import display
from oneshot.stages.evaluation import measure
from oneshot.stages.plan import dry_run
from oneshot.stages.preflight import BaseRate
from oneshot.stages.session import Phases, Session, new_run, preflight, train
from oneshot.stages.setup import check_answers, held_out, load_setup, resolve_names
from oneshot.stages.summary import headline, limits, peak_memory_gib, summarise
from oneshot.types import Problem

MAY_CHANGE = ("optim.steps", "model.threads", "save.", "evals.batch", "rollout.batch", "optim.micro_tokens")
"""Settings a resumed run may change: they move neither the mathematics nor what is compared."""


def main(request: Request) -> int:
    """Train on one example; prints the run folder, with --json one object with the summary."""
    if request.dry_run:
        return dry_run(request)
    run = _resumed(request) if "resume" in request.verb_flags else None
    config = request.config if run is None else _config_of(run, request)
    names = resolve_names(config)
    shown = display(quiet=request.quiet or request.json, plain=plain())
    problems = training_problems(config, offline=request.offline, say=shown.note) if run is None else _examples(run)
    check_answers(names, problems)
    kind = str(problems[0].meta.get("kind", ""))
    unseen = held_out(config, kind, offline=request.offline)
    phases = Phases()
    setup = load_setup(config, names, offline=request.offline)
    phases.end("model")
    fresh = run is None
    run = run or new_run(setup, problems, request.argv)
    shown.note(f"run folder {run.path}")
    task = "builtin-dev" if config.evals.source == BUILTIN else Path(config.evals.source).stem
    session = Session(
        setup=setup, run=run, problems=problems, held_out=unseen, task=task, shown=shown, yes=request.yes
    )  # fmt: skip
    try:
        rate = preflight(session) if fresh else _recorded_rate(run)
        phases.end("preflight")
        if unseen:
            measure(setup, unseen, run, task, "base")
            phases.end("evaluate base")
        train(session, rate)
    except BaseException:
        if run.status().get("state") == "running":
            run.write_status(state="failed")
        raise
    phases.end("train")
    summary = _summary(session, rate, phases)
    run.write_json("summary.json", summary)
    page.write(run)
    run.write_status(state="done")
    say.result(request, run, summary)
    return 0


def training_problems(config: Config, *, offline: bool, say: Any) -> list[Problem]:
    """The example(s) of the configuration; equal rows are merged, and it is said."""
    loaded = load(config.data, offline=offline)
    if loaded.columns:
        say(readers.describe(loaded.columns))
    problems, merged = readers.merge_equal(loaded.problems)
    if merged:
        say(f"merged {merged} rows whose prompt and answer equal another row's; {len(problems)} remain")
    return problems


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
    if session.held_out:
        trained = run.read_eval(session.task, f"checkpoint-{steps}")[1]
        compared = summarise(run.read_eval(session.task, "base")[1], trained)
        summary |= compared
        summary["headline"] = headline(compared, "held-out problems")
        summary["limits"] = limits(compared, last_step=steps)
    else:
        first, last = summary["training"]["first"], summary["training"]["last"]
        summary["headline"] = f"Training accuracy {first:.1%} to {last:.1%}; nothing held out was measured."
        summary["limits"] = ["No held-out problems were given, so nothing is known beyond the example itself."]
    return summary


def _resumed(request: Request) -> RunFolder:
    run = RunFolder.open(str(request.verb_flags["resume"]), Path(request.config.save.runs))
    status = run.status()
    if status.get("state") == "running" and status.get("pid") != os.getpid() and _alive(status.get("pid")):
        raise UsageError(f"{run.path} is being written by process {status['pid']} right now.", code="E104")
    return run


def _alive(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (OSError, TypeError, ValueError):
        return False
    return True


def _config_of(run: RunFolder, request: Request) -> Config:
    """The run's own configuration, with the flags given now where a resumed run may change them."""
    stored = from_dict(run.config(), where=str(run.path / "config.json"))
    before, now = to_dict(stored), to_dict(request.config)
    for key in request.origins:
        section, _, name = key.partition(".")
        if not request.given(key) or not name or name not in before.get(section, {}):
            continue
        if before[section][name] == now[section][name]:
            continue
        if not key.startswith(MAY_CHANGE):
            raise UsageError(
                f"{key} was {before[section][name]!r} in {run.path.name} and cannot become {now[section][name]!r}: "
                f"a resumed run continues the same experiment. It may change {', '.join(MAY_CHANGE)}.",
                code="E107",
                tries=(f"oneshot train --resume {run.path}", "start a new run"),
            )
        before[section][name] = now[section][name]
    config = from_dict(before)
    done = max(run.checkpoints(), default=0)
    if done >= config.optim.steps:
        raise UsageError(
            f"{run.path} has done all its {done} steps.",
            code="E107",
            tries=(f"oneshot train --resume {run.path} --steps {2 * done}", f"oneshot report {run.path}"),
        )
    run.write_json("config.json", to_dict(config))
    return replace(config)


def _examples(run: RunFolder) -> list[Problem]:
    keys = ("id", "prompt", "answer", "category", "meta")
    return [Problem(**{key: row[key] for key in keys}) for row in run.example()]


def _recorded_rate(run: RunFolder) -> BaseRate | None:
    """The preflight of the first attempt."""
    seen = [e for e in run.events() if e["kind"] == "preflight"]
    return BaseRate(successes=round(seen[-1]["value"] * seen[-1]["n"]), samples=seen[-1]["n"]) if seen else None
