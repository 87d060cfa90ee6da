"""`oneshot eval MODEL|RUN --data FILE`: accuracy with its interval; for a run also base, and the paired difference."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot.config.load import from_dict
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.data.problems import BUILTIN
from oneshot.errors import BelowThreshold, OneshotError, UsageError
from oneshot.measure import gains
from oneshot.record import RunFolder
from oneshot.stages.evaluation import evaluate, measure, results
from oneshot.stages.setup import annotate, held_out, load_setup, resolve_names
from oneshot.types import EvalRow, Problem


def main(request: Request) -> int:
    """Evaluate; the data goes to stdout. Exit 6 below `--fail-under`."""
    if not request.config.evals.source:
        raise UsageError("oneshot eval needs problems.", code="E105", tries=("oneshot eval MODEL --data FILE.jsonl",))
    (target,) = request.positional
    run = _run(target, Path(request.config.save.runs))
    problems = held_out(request.config, "", offline=request.offline)
    answer = _of_model(target, problems, request) if run is None else _of_run(run, problems, request)
    if request.json:
        print(json.dumps(answer))
    else:
        print(_text(answer))
    _fail_under(answer, request.verb_flags.get("fail_under", {}))
    return 0


def _run(target: str, runs: Path) -> RunFolder | None:
    """The run folder that `target` names, None when it names a model."""
    if target == "latest" or (Path(target) / "status.json").is_file() or (runs / target / "status.json").is_file():
        return RunFolder.open(target, runs)
    return None


def _of_model(model: str, problems: Sequence[Problem], request: Request) -> dict[str, Any]:
    config = replace(request.config, model=replace(request.config.model, name=model))
    rows = _rows(config, model, problems, request.offline)
    return {"schema": "oneshot.eval/1", "model": model, "data": config.evals.source, **_values(rows)}


def _of_run(run: RunFolder, problems: Sequence[Problem], request: Request) -> dict[str, Any]:
    """Base and last checkpoint on the same problems, with the run's prompt, limits and grader; kept in the run."""
    stored = from_dict(run.config(), where=str(run.path / "config.json"))
    config = replace(stored, evals=_merged(stored, request))
    done = run.checkpoints()
    if not done:
        raise UsageError(
            f"{run.path} has no checkpoint yet.", code="E104", tries=(f"oneshot train --resume {run.path}",)
        )
    last = f"checkpoint-{done[-1]}"
    names, task = resolve_names(config), _task(config, problems)
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
        **_values(rows[last]),
        "base": _values(rows["base"]),
        "paired": compared.as_dict(),
    }


def _merged(stored: Config, request: Request) -> Any:
    """The run's evaluation settings with those given now."""
    given = {k.partition(".")[2] for k in request.origins if k.startswith("evals.") and request.given(k)}
    return replace(stored.evals, limit=0, **{name: getattr(request.config.evals, name) for name in given})


def _task(config: Config, problems: Sequence[Problem]) -> str:
    """A name in evals/ that tells apart other data, other counts and other protocols."""
    evals = config.evals
    stem = BUILTIN if evals.source == BUILTIN else Path(evals.source).stem
    grader = evals.grader or config.reward.name
    return f"{stem}-{len(problems)}-{grader}-{evals.max_new_tokens}"


def _rows(config: Config, model: str, problems: Sequence[Problem], offline: bool) -> list[EvalRow]:
    names = resolve_names(config)
    setup = load_setup(config, names, offline=offline, model=model, training=False)
    return evaluate(
        setup.engine,
        setup.policy,
        problems,
        setup.render_eval,
        names.eval_verify,
        names.strict,
        max_new_tokens=config.evals.max_new_tokens,
        short=config.rollout.max_new_tokens,
        annotate=annotate,
    )


def _values(rows: Sequence[EvalRow]) -> dict[str, Any]:
    values = results(rows)
    return {k: values[k] for k in ("correct", "n", "value", "ci_low", "ci_high", "found", "cut", "boxed", "categories")}


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


def _fail_under(answer: Mapping[str, Any], least: Mapping[str, float]) -> None:
    stem = Path(answer["data"]).stem
    for task, value in least.items():
        if task not in ("", stem):
            raise _unknown_task(task, stem)
        if answer["value"] < value:
            raise BelowThreshold(f"{stem}: {answer['value']:.4f} is below --fail-under {value}.")


def _unknown_task(task: str, stem: str) -> OneshotError:
    print(f"note: the task measured is called {stem!r}", file=sys.stderr)
    return UsageError(f"--fail-under names {task!r}, but only {stem!r} was measured.", code="E102")
