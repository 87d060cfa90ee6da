"""The untrained model is the same in every cell that shares model, data and protocol: it is measured once and copied.

It would be a large part of the time otherwise. What is copied is looked at again by the run itself, as whatever a run
finds recorded: another fingerprint of the weights and it is measured after all (`readings._is_there`), another protocol
or other problems and the run is refused (E107).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oneshot.config.load import from_dict
from oneshot.config.origins import value_of
from oneshot.config.schema import Config
from oneshot.record import RunFolder
from oneshot.stages.comparing.models import BASE

COPIED = "base_copied"
"""The event of a run that got its base evaluations from another one."""
ALIKE = (
    "model.name", "model.revision", "model.dtype", "model.lora_rank", "data.system", "data.task_seed",
    "rollout.max_new_tokens", "evals.source", "evals.tasks", "evals.limit", "evals.samples", "evals.temperature",
    "evals.max_new_tokens", "evals.suffix",
)  # fmt: skip
"""Settings that must be equal. The training limit is one: base's responses are also graded when cut there."""


def copy_base(run: RunFolder, others: Sequence[RunFolder]) -> list[str]:
    """Copy the finished base evaluations of another run of the study; the tasks that were copied.

    Args:
        run: a run that was just begun.
        others: runs of the study.
    """
    source = next((other for other in others if other.path != run.path and _alike(run, other)), None)
    if source is None:
        return []
    copied = []
    for task, checkpoint in source.evals():
        if checkpoint != BASE or run.has_eval(task, checkpoint):
            continue
        results, rows = source.read_eval(task, checkpoint)
        if _sampled(results) and source.config().get("seed") != run.config().get("seed"):
            continue
        run.write_eval(task, checkpoint, results | {"copied_from": source.path.name}, rows)
        copied.append(task)
    if copied:
        run.event(COPIED, source=source.path.name, tasks=copied)
    return copied


def _alike(run: RunFolder, other: RunFolder) -> bool:
    """Whether the untrained model of another run was asked what this run's will be asked."""
    if not any(checkpoint == BASE for _, checkpoint in other.evals()):
        return False
    one, two = (_config(each) for each in (run, other))
    same = all(value_of(one, key) == value_of(two, key) for key in ALIKE)
    # The built-in dev set depends on the kind of the example.
    return same and _grader(one) == _grader(two) and _kind(run) == _kind(other)


def _config(run: RunFolder) -> Config:
    return from_dict(run.config(), where=str(run.path / "config.json"))


def _grader(config: Config) -> str:
    return config.evals.grader or config.reward.name


def _kind(run: RunFolder) -> Any:
    return next((row.get("meta", {}).get("kind", "") for row in run.example()), "")


def _sampled(results: dict[str, Any]) -> bool:
    """Whether the seed of the run decided the responses."""
    return bool((results.get("protocol") or {}).get("temperature"))
