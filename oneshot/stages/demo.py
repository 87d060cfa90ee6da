"""`oneshot demo`: choose one example, train on it, measure what was learned and what it cost, and show it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot.config.environment import plain
from oneshot.config.load import to_dict
from oneshot.config.request import Request
from oneshot.data.tasks import builtin
from oneshot.data.tasks.wordings import LABELS
from oneshot.errors import UsageError
from oneshot.export import tracking
from oneshot.measure.statistics import wilson
from oneshot.record import RunFolder
from oneshot.rollout.collect import collect
from oneshot.rollout.streams import PROBE_STEP
from oneshot.stages import loop, say
from oneshot.stages.display import Display, display
from oneshot.stages.evals.evaluation import measure
from oneshot.stages.log import Logged
from oneshot.stages.probing.probe import Probed, Prober, choose
from oneshot.stages.setup import Setup, check_answers, load_setup, resolve_names
from oneshot.stages.training import controls
from oneshot.stages.training.beginning import begin
from oneshot.stages.training.endings import ended, failing
from oneshot.stages.training.preflight import BaseRate
from oneshot.stages.training.session import Phases, Session, tracked, train
from oneshot.stages.training.summary import headline, limits, peak_memory_gib, summarise
from oneshot.types import Problem

KIND = "add_word"
"""The kind of the example, frozen by `benchmarks/tune_demo.py` on dev problems of task seeds >= 100."""
CANDIDATES = 24
DEV, TEST = "builtin-dev", "builtin-test"


def main(request: Request) -> int:
    """The whole loop. Prints the run folder, with --json one object with the summary."""
    config = request.config
    controls.refuse(config, "demo")
    names = resolve_names(config)
    tracking.check(config.save.track)
    if config.rollout.groups * config.rollout.group_size < 1 or config.optim.steps < 1:
        raise UsageError("the demo trains for at least one step.", tries=("oneshot demo --steps 1",))
    if config.evals.tasks:
        raise UsageError(
            f"evals.tasks = {config.evals.tasks!r}: the demo reads its own held-out problems and nothing else.",
            code="E105",
            tries=(f"oneshot train --data pi1 --evals.tasks {config.evals.tasks}", "oneshot eval RUN --tasks NAME"),
        )
    shown: Display = display(quiet=request.quiet or request.json, plain=plain())
    phases = Phases()
    shown.note("model: loading (the first time it is fetched and converted, about a minute)")
    setup = load_setup(config, names, offline=request.offline)
    phases.end("model")
    run = RunFolder.create(Path(config.save.runs), config.save.name or "demo", to_dict(setup.config), request.argv)
    shown = Logged(shown, run)
    shown.note(f"run folder {run.path}")
    with failing(run):
        setup = begin(setup, builtin.candidates(config.data.task_seed, KIND, CANDIDATES), run, shown.note)
        chosen = _choose(setup, run, shown.note)
        phases.end("choose the example")
        dev = builtin.dev_set(config.data.task_seed, KIND)
        session = Session(
            setup=setup, run=run, problems=[chosen.problem], held_out=dev, task=DEV, shown=shown, yes=request.yes
        )  # fmt: skip
        with run.doing("evaluating"):
            measure(setup, dev, run, DEV, "base")
            test = builtin.test_set(config.data.task_seed, chosen.problem)
            shown.note(f"test: reading {len(test)} held-out problems with the base model")
            measure(setup, test, run, TEST, "base")
            sampled = _sampled(setup, dev, run) if request.verb_flags.get("full") else None
        phases.end("evaluate base")
        rate = BaseRate(successes=chosen.successes, samples=chosen.samples)
        run.event("preflight", **rate.as_dict())
        shown.note(f"training: {config.optim.steps} steps")
        with tracked(session, offline=request.offline) as track:
            train(replace(session, tracking=track), rate)
            phases.end("train")
            summary = finish(session, rate, phases, sampled)
            track.close(summary)
    tell(request, run, summary)
    return 0


def finish(session: Session, rate: BaseRate, phases: Phases, sampled: dict[str, float] | None = None) -> dict[str, Any]:
    """Read test with the trained model, then write the summary and the page. Also ends a demo that was resumed."""
    setup, run, config = session.setup, session.run, session.setup.config
    test = builtin.test_set(config.data.task_seed, session.problems[0])
    session.shown.note(f"test: reading the same {len(test)} problems with the trained model")
    measure(setup, test, run, TEST, f"checkpoint-{config.optim.steps}")
    again = _sampled(setup, session.held_out, run) if sampled else None
    phases.end("evaluate trained")
    summary = _summary(session, rate, phases, {"base": sampled, "trained": again} if sampled else {})
    ended(run, summary)
    return summary


def tell(request: Request, run: RunFolder, summary: dict[str, Any]) -> None:
    """The table of rungs and kinds, then the headline."""
    if not (request.json or request.quiet):
        print("\n" + say.table(summary), file=sys.stderr)
    say.result(request, run, summary)


def _choose(setup: Setup, run: RunFolder, note: Any) -> Probed:
    """Two-round probing on the train split; the rate shown comes from fresh samples."""
    config = setup.config
    pool = builtin.candidates(config.data.task_seed, KIND, CANDIDATES)
    for warning in check_answers(setup.names, pool):
        note(warning)
    note(f"example: probing {len(pool)} candidates of kind {KIND}")
    probe = Prober(
        engine=setup.engine, render=setup.render, verify=setup.names.verify, sampling=loop.build_sampling(config)
    )  # fmt: skip
    chosen, counted = choose(probe, pool)
    run.write_selection([p.as_dict() for p in counted])
    run.write_example([chosen.problem], {"base_rate": chosen.rate, "base_rate_samples": chosen.samples})
    interval = wilson(chosen.successes, chosen.samples)
    note(
        f'example: "{chosen.problem.prompt}" (answer {chosen.problem.answer}); the base model solves it '
        f"{chosen.successes} of {chosen.samples} times in fresh samples "
        f"(95 % {interval.low:.0%} to {interval.high:.0%})"
    )
    return chosen


def _sampled(setup: Setup, problems: Sequence[Problem], run: RunFolder) -> dict[str, float]:
    """avg@8 and pass@8 on dev at the training temperature and the evaluation limit (--full)."""
    sampling = replace(loop.build_sampling(setup.config), max_new_tokens=setup.config.evals.source_tokens)
    groups = collect(
        setup.engine, problems, setup.render_eval, setup.names.eval_verify, sampling, PROBE_STEP + 10, group_size=8
    )
    rewards = [[c.reward for c in g.completions] for g in groups]
    found = {
        "avg@8": sum(map(sum, rewards)) / (8 * len(rewards)),
        "pass@8": sum(max(r) for r in rewards) / len(rewards),
        "n": float(len(rewards)),
    }
    run.event("sampled", **found)
    return found


def _summary(session: Session, rate: BaseRate, phases: Phases, sampled: dict[str, Any]) -> dict[str, Any]:
    run, config, example = session.run, session.setup.config, session.problems[0]
    steps = config.optim.steps
    base = run.read_eval(TEST, "base")[1]
    trained = run.read_eval(TEST, f"checkpoint-{steps}")[1]
    compared = summarise(base, trained, own=example.category)
    metrics = run.metrics()
    return {
        "schema": "oneshot.summary/1",
        "headline": headline(compared, LABELS[example.category]),
        "model": config.model.name,
        "example": {
            "prompt": example.prompt,
            "answer": example.answer,
            "kind": example.category,
            "base_rate": rate.as_dict(),
        },
        "task": TEST,
        **compared,
        "training": {"first": metrics[0]["train/accuracy"], "last": metrics[-1]["train/accuracy"]},
        "sampled": sampled,
        "seeds": {"run": config.seed, "task": config.data.task_seed},
        "times": phases.times,
        "peak_memory_gib": peak_memory_gib(),
        "limits": limits(compared, last_step=steps),
    }
