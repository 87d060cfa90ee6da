"""`oneshot eval MODEL|RUN --data FILE`: accuracy with its interval; for a run also base, and the paired difference."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot.config.load import from_dict
from oneshot.config.origins import show, value_of
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.data.problems import BUILTIN
from oneshot.errors import BelowThreshold, UsageError
from oneshot.measure import gains
from oneshot.record import RunFolder
from oneshot.stages import graders
from oneshot.stages.display import printable
from oneshot.stages.evaluation import evaluate, measure, results
from oneshot.stages.setup import Names, annotate, held_out, load_setup, resolve_names
from oneshot.types import EvalRow, Problem


def main(request: Request) -> int:
    """Evaluate; the data goes to stdout. Exit 6 below `--fail-under`."""
    (target,) = request.positional
    run = _run(target, Path(request.config.save.runs))
    config = request.config if run is None else _of_the_run(run, request)
    if not config.evals.source:
        raise UsageError("oneshot eval needs problems.", code="E105", tries=("oneshot eval MODEL --data FILE.jsonl",))
    least: Mapping[str, float] = request.verb_flags.get("fail_under", {})
    stem = _stem(config)
    if unknown := set(least) - {"", stem}:
        raise UsageError(
            f"--fail-under names {min(unknown)!r}; the task measured here is called {stem!r}.",
            code="E102",
            tries=(f"--fail-under {stem}={least[min(unknown)]}",),
        )
    answer = _of_model(target, config, request) if run is None else _of_run(run, config, request)
    missed = [value for value in least.values() if answer["value"] < value]
    print(json.dumps(answer | ({"passed": not missed} if least else {})) if request.json else _text(answer))
    if not missed:
        return 0
    below = BelowThreshold(f"{stem}: {answer['value']:.4f} is below --fail-under {max(missed)}.")
    if not request.json:
        raise below
    print(below.render(), file=sys.stderr)  # stdout holds one object, and it is printed
    return below.exit_code


def _run(target: str, runs: Path) -> RunFolder | None:
    """The run folder that `target` names, None when it names a model."""
    if target == "latest" or (Path(target) / "status.json").is_file() or (runs / target / "status.json").is_file():
        return RunFolder.open(target, runs)
    return None


def _of_model(model: str, config: Config, request: Request) -> dict[str, Any]:
    problems = held_out(config, "", offline=request.offline)
    config = replace(config, model=replace(config.model, name=model))
    names = _names(config, problems, request)
    rows = _rows(config, names, problems, request.offline)
    return {
        "schema": "oneshot.eval/1",
        "model": model,
        "data": config.evals.source,
        **graders.described(names.eval_verify),
        **_values(rows),
        "unmatchable": graders.unmatchable(names.eval_verify, problems).as_dict(),
    }


def _names(config: Config, problems: Sequence[Problem], request: Request) -> Names:
    """The graders, after the check that they can match the references; what there is to say goes to stderr.

    Raises:
        DataError: E302 when not one reference can be matched, E305 when a function of the user's fails.
    """
    names = resolve_names(config)
    verify = names.eval_verify
    for note in (*graders.notes(verify), *graders.check_references(verify, problems)):
        if not request.quiet:
            print(printable(note), file=sys.stderr)
    return names


def _of_the_run(run: RunFolder, request: Request) -> Config:
    """The run's configuration, with the evaluation settings given now (its own limit is for inside the run).

    Raises:
        UsageError: E105 when something else is given that the run did otherwise.
    """
    stored = from_dict(run.config(), where=str(run.path / "config.json"))
    evals: dict[str, Any] = {"limit": 0}
    for key in filter(request.given, request.origins):
        section, _, name = key.partition(".")
        before, now = value_of(stored, key), value_of(request.config, key)
        if section == "evals":
            evals[name] = now
        elif before != now and key not in ("save.runs", "model.threads", "reward.timeout"):
            raise UsageError(
                f"{key} was {show(before)} in {run.path.name} and cannot be {show(now)} here: a run is measured as it "
                "was trained, but for --evals.",
                code="E105",
                tries=("--evals.grader NAME   (to grade otherwise)", f"oneshot eval {_last(run)} --data FILE"),
            )
    threads = request.config.model.threads or stored.model.threads
    limit = (request.config if request.given("reward.timeout") else stored).reward.timeout
    return replace(
        stored,
        evals=replace(stored.evals, **evals),
        model=replace(stored.model, threads=threads),
        reward=replace(stored.reward, timeout=limit),
    )


def _last(run: RunFolder) -> str:
    return str(run.checkpoint_dir(max(run.checkpoints(), default=0)))


def _of_run(run: RunFolder, config: Config, request: Request) -> dict[str, Any]:
    """Base and last checkpoint on the same problems, with the run's prompt, limits and grader; kept in the run."""
    kind = next((str(row["meta"].get("kind", "")) for row in run.example()), "")
    problems = held_out(config, kind, offline=request.offline)
    done = run.checkpoints()
    if not done:
        raise UsageError(
            f"{run.path} has no checkpoint yet.", code="E104", tries=(f"oneshot train --resume {run.path}",)
        )
    last = f"checkpoint-{done[-1]}"
    names = _names(config, problems, request)
    task = _task(config, problems, names)
    rows: dict[str, list[EvalRow]] = {}
    for checkpoint, model in (("base", ""), (last, str(run.checkpoint_dir(done[-1])))):
        if (task, checkpoint) in run.evals():
            rows[checkpoint] = run.read_eval(task, checkpoint)[1]
        else:
            setup = load_setup(config, names, offline=request.offline, model=model, training=False)
            rows[checkpoint] = measure(setup, problems, run, task, checkpoint)
    compared = gains.paired(rows["base"], rows[last])
    return {
        "schema": "oneshot.eval/1",
        "run": str(run.path),
        "data": config.evals.source,
        "checkpoint": last,
        **graders.described(names.eval_verify),
        **_values(rows[last]),
        "base": _values(rows["base"]),
        "paired": compared.as_dict(),
        "unmatchable": graders.unmatchable(names.eval_verify, problems).as_dict(),
    }


def _stem(config: Config) -> str:
    """What the problems are called: the file's name without its ending."""
    return BUILTIN if config.evals.source == BUILTIN else Path(config.evals.source).stem


def _task(config: Config, problems: Sequence[Problem], names: Names) -> str:
    """A name in evals/: other problems or another protocol have another one, so nothing stale is read."""
    evals = config.evals
    grader = evals.grader or config.reward.name
    asked = [[p.id, p.prompt, p.answer] for p in problems]
    used = graders.described(names.eval_verify)  # of a user's function the file's digest too: it may have been edited
    whole = json.dumps([asked, evals.suffix, config.data.system, config.model.dtype, used])
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{_stem(config)}-{len(problems)}-{grader}-{evals.max_new_tokens}-{digest}"


def _rows(config: Config, names: Names, problems: Sequence[Problem], offline: bool) -> list[EvalRow]:
    setup = load_setup(config, names, offline=offline, training=False)
    return evaluate(
        setup.eval_engine,
        setup.policy,
        problems,
        setup.render_eval,
        names.eval_verify,
        names.strict,
        max_new_tokens=config.evals.max_new_tokens,
        short=config.rollout.max_new_tokens,
        annotate=annotate,
    )


_SHOWN = ("correct", "n", "value", "ci_low", "ci_high", "found", "cut", "boxed", "statuses", "categories")


def _values(rows: Sequence[EvalRow]) -> dict[str, Any]:
    values = results(rows)
    return {name: values[name] for name in _SHOWN}


def _text(answer: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = [_line("trained" if "base" in answer else answer["model"], answer)]
    if "base" in answer:
        lines.insert(0, _line("base", answer["base"]))
        pair = answer["paired"]
        lines.append(
            f"paired difference {100 * pair['estimate']:+.1f} points, 95 % interval "
            f"{100 * pair['ci_low']:+.1f} to {100 * pair['ci_high']:+.1f} "
            f"({pair['gained']} gained, {pair['lost']} lost)"
        )
    if len(answer["categories"]) > 1:
        lines += [_line(f"  {name}", value) for name, value in answer["categories"].items()]
    return "\n".join(lines)


def _line(name: str, value: Mapping[str, Any]) -> str:
    shares = (
        f"   found {value['found']:.0%}, cut {value['cut']:.0%}, in a box {value['boxed']:.0%}"
        if "found" in value
        else ""
    )
    interval = f"95 % interval {value['ci_low']:.1%} to {value['ci_high']:.1%}"
    return f"{name}: {value['correct']} of {value['n']} = {value['value']:.1%}, {interval}{shares}"
