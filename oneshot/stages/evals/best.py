"""The best checkpoint of a run is the best one on its dev set; what choosing on a test set would give, corrected.

Nothing of this is stored: which checkpoint is best follows from the recorded evaluations, in a resumed run too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from oneshot._store import files, names
from oneshot.config.load import from_dict
from oneshot.config.schema import Config
from oneshot.data.problems import BUILTIN
from oneshot.errors import UsageError
from oneshot.measure.best_checkpoint import split_half
from oneshot.record import RunFolder
from oneshot.types import EvalRow

BUILTIN_DEV = "builtin-dev"
LEAST = 3
"""Checkpoints from which on the best of them on a test set is told at all, with its correction."""


def check(config: Config, origins: Mapping[str, str]) -> None:
    """Refuse a flag that asks for the best checkpoint of a run without a dev set; a stored `true` asks for nothing.

    Raises:
        UsageError: E105.
    """
    origin = origins.get("save.best", "")
    if config.save.best and origin.startswith("flag") and not config.evals.source:
        raise UsageError(
            f"save.best = true ({origin}) keeps the checkpoint that is best on the dev set, and evals.source names "
            "none. Test tasks choose nothing.",
            code="E105",
            tries=("--evals.source FILE.jsonl --evals.every 20", "--save.best false"),
        )


def dev_task(config: Config) -> str:
    """The name of the dev set in evals/; empty where there is none."""
    return BUILTIN_DEV if config.evals.source == BUILTIN else Path(config.evals.source).stem


def steps_read(run: RunFolder, task: str) -> list[int]:
    """Steps after which a task was read, ascending; the base model is none of them."""
    found = [names.checkpoint_number(checkpoint) for name, checkpoint in run.evals() if name == task]
    return sorted(step for step in found if step >= 0)


def accuracies(run: RunFolder, task: str, *, upto: int | None = None) -> dict[int, float]:
    """Step -> the accuracy that is shown for it, of every recorded evaluation of a task after at most `upto` steps."""
    steps = [step for step in steps_read(run, task) if upto is None or step <= upto]
    return {step: float(results(run, task, f"checkpoint-{step}")["value"]) for step in steps}


def results(run: RunFolder, task: str, checkpoint: str) -> dict[str, Any]:
    """`results.json` of an evaluation, without its responses."""
    return files.read_json(run.eval_dir(task, checkpoint) / "results.json")


def best_step(
    run: RunFolder, task: str, *, upto: int | None = None, among: Collection[int] | None = None
) -> int | None:
    """The step with the highest accuracy on a task, of equal ones the earliest; None where nothing was read.

    Args:
        run: the run.
        task: its name in evals/.
        upto: later steps do not count: what is best now cannot depend on an attempt that went further and was killed.
        among: only these steps; None means all.
    """
    found = accuracies(run, task, upto=upto)
    return max(
        (step for step in found if among is None or step in among), key=lambda step: (found[step], -step), default=None
    )


def best_checkpoint(run: RunFolder) -> int:
    """The step of the kept checkpoint that is best on the run's dev set.

    Raises:
        UsageError: E104 when there is no dev set, or none of the kept checkpoints was read on it.
    """
    task, kept = dev_task(from_dict(run.config(), where=str(run.path / "config.json"))), run.checkpoints()
    best = best_step(run, task, among=kept) if task else None
    if best is None:
        why = f"none of its checkpoints was read on {task}" if task else "it has no dev set (evals.source)"
        raise UsageError(
            f"{run.path} has no checkpoint that is best on dev: {why}.",
            code="E104",
            tries=(
                f"oneshot eval {run.path} --checkpoints last",
                "a new run with --evals.source FILE --evals.every 20",
            ),
        )
    return best


def not_kept(run: RunFolder) -> str:
    """A sentence where a checkpoint was better on dev than the best of those that are kept; else empty."""
    task = dev_task(from_dict(run.config(), where=str(run.path / "config.json")))
    found, best = accuracies(run, task), best_step(run, task)
    kept = best_step(run, task, among=run.checkpoints())
    if best is None or kept is None or found[best] == found[kept]:
        return ""
    return (
        f"checkpoint-{best} was better on {task} ({found[best]:.1%}, checkpoint-{kept} {found[kept]:.1%}), "
        "but was not kept (save.best = false)"
    )


def scores(rows: Sequence[EvalRow]) -> dict[str, float]:
    """Problem -> the share of its responses that are right."""
    grades: dict[str, list[bool]] = {}
    for row in rows:
        grades.setdefault(row.id, []).append(row.correct)
    return {problem: sum(right) / len(right) for problem, right in grades.items()}


def best_on_test(read: Mapping[int, Sequence[EvalRow]]) -> dict[str, Any] | None:
    """What the best checkpoint on a test set reaches there, corrected for the choice (split-half).

    The paper reports its best checkpoint on the test benchmarks. Chosen and scored on the same problems such a number
    is too high, by more the fewer problems and the more checkpoints there are; so it stands beside its correction only.

    Args:
        read: step -> the graded responses of that checkpoint, the same problems for each.

    Returns:
        `corrected`, `uncorrected`, `step` (the best on all problems), `checkpoints`, `how`; None where fewer than
        `LEAST` checkpoints were read, or there is a single problem.
    """
    steps, scored = list(read), [scores(rows) for rows in read.values()]
    if len(read) < LEAST or len(scored[0]) < 2:
        return None
    found = split_half([[each[problem] for problem in scored[0]] for each in scored])
    return {
        "corrected": found.corrected,
        "uncorrected": found.on_all,
        "step": steps[found.best],
        "checkpoints": len(steps),
        "splits": found.splits,
        "how": "chosen on half of the problems, scored on the other half, mean of the splits",
    }


def sentence(found: Mapping[str, Any]) -> str:
    """`best_on_test` for people; the corrected value comes first, and the other one never alone."""
    return (
        f"chosen on these problems themselves, the best of {found['checkpoints']} checkpoints is worth "
        f"{found['corrected']:.1%} after the split-half correction (before it {found['uncorrected']:.1%}, step "
        f"{found['step']}, which counts the luck of the choice and is no result)"
    )
