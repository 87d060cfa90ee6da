"""`oneshot eval MODEL|RUN --tasks ...` and `oneshot eval --responses FILE --tasks ...`.

Everything that can be refused is refused before a model is loaded: names, files, graders against their references,
limits. Results are recorded as they come, so that what was measured is kept whatever happens next. Imports no torch
until a model is needed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oneshot.config.request import Request
from oneshot.errors import BelowThreshold, OneshotError
from oneshot.record import EvalFolder
from oneshot.stages.display import printable
from oneshot.stages.evals import claims as eval_claims
from oneshot.stages.evals import failures as eval_failures
from oneshot.stages.evals import flags as eval_flags
from oneshot.stages.evals import output as eval_output
from oneshot.stages.evals import results as eval_results
from oneshot.stages.evals import targets as eval_targets
from oneshot.stages.evals import tasks as eval_tasks
from oneshot.stages.evals.flags import Flags
from oneshot.stages.evals.results import Measured
from oneshot.stages.evals.targets import Target

SCHEMA = "oneshot.eval/2"


def main(request: Request) -> int:
    """Evaluate; the data goes to stdout. Exit 6 below `--fail-under`.

    Raises:
        UsageError: E102 to E107, what is asked for cannot be done or does not fit what is recorded.
        MachineError: E2xx memory, disk, network.
        DataError: E3xx rows, references, model or reward cannot be used.
        BelowThreshold: E601.
        Stopped: a stop signal came; the same command goes on.
    """
    flags = eval_flags.read(request)
    with eval_failures.told(flags.out):
        return _main(flags, request, _sayer(request))


def _main(flags: Flags, request: Request, say: Callable[[str], None]) -> int:
    target: Target | None
    if flags.responses:
        from oneshot.stages.evals.stored_outputs import grade

        _say_passed_over(request, say)
        head, measured, failed = grade(flags, request, say)
        target = None
    else:
        head, measured, failed, target = _of_model(flags, request, say)
    return _tell(request, flags, head, measured, failed, target, say)


def _of_model(
    flags: Flags, request: Request, say: Callable[[str], None]
) -> tuple[dict[str, Any], list[Measured], Mapping[str, OneshotError], Target]:
    target = eval_targets.find(flags, request)
    eval_flags.check_least(flags.least, eval_tasks.named(target.config, request)[1])  # before anything is fetched
    if target.note:
        say(f"note: {target.note}")
    if target.run is None:
        _say_passed_over(request, say)
    chosen = eval_tasks.choose(target.config, request, kind=target.kind)
    given = eval_tasks.given_by(request, target.stored)
    asked = eval_tasks.ask_all(chosen, target.config, given, forced=flags.forced, say=say)
    eval_flags.check_k(flags.ks, eval_tasks.samples_of(asked))
    for name, error in chosen.absent.items():
        say(f"warning: {name} cannot be had and is left out; the other tasks are measured first. {error.message}")
    from oneshot.stages.evals.models import measure

    measured, stopped = measure(target, asked, flags, request, say)
    head: dict[str, Any] = {"run": target.name} if target.run else {"model": target.name}
    return head | {"folder": str(target.folder)}, measured, {**chosen.absent, **stopped}, target


def _say_passed_over(request: Request, say: Callable[[str], None]) -> None:
    for note in eval_flags.passed_over(request):
        say(f"note: {note}")


def _tell(
    request: Request,
    flags: Flags,
    head: Mapping[str, Any],
    measured: list[Measured],
    failed: Mapping[str, OneshotError],
    target: Target | None,
    say: Callable[[str], None],
) -> int:
    """Print what there is, then what went wrong. Where nothing was measured the first error is raised as it is."""
    errors = list(failed.values())
    done = [found for found in measured if found.results]
    if not done and errors:
        raise errors[0]
    for error in errors if done else ():
        eval_failures.beside(error)
    answer = _object(head, done, failed, target, flags.ks)
    if flags.exports:
        try:
            with eval_failures.told(head["folder"]):
                answer["exports"] = _export(Path(head["folder"]), done, flags.exports, say)
        except OneshotError as unwritten:  # what was measured is printed all the same
            errors.append(unwritten)
    below = _below(flags, answer["tasks"])
    if flags.least:
        answer["passed"] = not below and not errors
    if below is not None:
        errors.append(below)
    print(json.dumps(answer) if request.json else eval_output.text(answer, flags.ks))
    if not errors:
        return 0
    if not request.json:
        for error in errors[1:]:
            print(printable_lines(error.render()), file=sys.stderr)
        raise errors[0]
    for error in errors:  # stdout holds one object, and it is printed
        print(printable_lines(error.render()), file=sys.stderr)
    return errors[0].exit_code


def _object(
    head: Mapping[str, Any],
    done: list[Measured],
    failed: Mapping[str, OneshotError],
    target: Target | None,
    ks: tuple[int, ...],
) -> dict[str, Any]:
    """The object that --json prints; of one task its keys stand at top level too. No `target`: stored responses."""
    headline = target.headline if target else eval_targets.BASE
    tasks = {
        found.name: eval_results.entry(found, headline, target.chosen(found.asked.problems) if target else None, ks)
        for found in done
    }
    answer: dict[str, Any] = {"schema": SCHEMA}
    whole = all(name.endswith(eval_results.BASELINES) for name in failed)
    mean = eval_claims.macro(done, headline) if whole else None
    eval_claims.judge(tasks, mean)
    if len(tasks) == 1 and whole:
        answer |= next(iter(tasks.values()))
    answer |= {**head, "tasks": tasks}
    if mean is not None:
        answer["macro"] = mean
        if headline != eval_targets.BASE and (base := eval_claims.macro(done, eval_targets.BASE)) is not None:
            answer["macro_base"] = base
    elif len(tasks) > 1 and (why := eval_claims.why_no_mean(done)):
        answer["no_macro"] = why
    if failed:
        answer["failed"] = {
            name: {"code": error.code, "message": error.message, "tries": error.tries, "kept": error.kept}
            for name, error in failed.items()
        }
    return answer


def _export(folder: Path, done: list[Measured], kinds: tuple[str, ...], say: Callable[[str], None]) -> list[str]:
    """Write what was measured now for other tools, into a dated folder beside it; the paths."""
    from oneshot.export import recorded, results

    date = datetime.now(UTC)
    out = folder / "exports" / recorded.stamp(date)
    paths = results.export(
        kinds,
        EvalFolder(folder),
        {found.asked.name: found.asked.task for found in done},
        out,
        date=date,
        checkpoints={name for found in done for name in found.results},
        say=say,
    )
    for path in paths:
        say(f"exported: {path}")
    return [str(path) for path in paths]


def _below(flags: Flags, tasks: Mapping[str, Mapping[str, Any]]) -> BelowThreshold | None:
    """What is below its threshold; a problem without a response counts as wrong there."""
    values = {name: told.get("value_missing_wrong", told["value"]) for name, told in tasks.items() if "value" in told}
    missed = eval_flags.missed(flags.least, values)
    if not missed:
        return None
    said = [
        f"{_worth(name, tasks[name], value)} is below --fail-under {least}." for name, (value, least) in missed.items()
    ]
    return BelowThreshold(" ".join(said))


def _worth(name: str, told: Mapping[str, Any], value: float) -> str:
    """A task's value as a threshold sees it."""
    if not told.get("missing"):
        return f"{name}: {value:.4f}"
    return (
        f"{name}: value {told['value']:.3f} on {told['n']} answered; {value:.3f} with the {told['missing']} missing as "
        "wrong, which"
    )


def _sayer(request: Request) -> Callable[[str], None]:
    """Sentences on stderr; none with --quiet."""

    def say(text: str) -> None:
        if not request.quiet:
            print(printable(text), file=sys.stderr, flush=True)

    return say


def printable_lines(text: str) -> str:
    """Every line with its control characters made visible."""
    return "\n".join(map(printable, text.split("\n")))
