"""Whether the runs of an arm are one training repeated with other seeds. Only then do they speak of new seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oneshot.errors import UsageError
from oneshot.stages.comparing.models import LETTERS, Arm, Evaluation, Model

ELSEWHERE = ("save", "evals")
"""Sections of a configuration that do not change what is trained."""
FREE = ("seed", "model.threads", "reward.timeout")
"""Keys that need not be equal, either."""


def check(groups: Sequence[Sequence[Model]]) -> None:
    """Refuse arms whose runs cannot be paired, or of which several can be no seeds at all.

    Runs are paired in their order. A control that was not trained has no seeds: one stands beside every run, or each
    run's own base does.

    Raises:
        UsageError: E103 unequal numbers; an arm of several that holds a base model, a model without a run, or two
            checkpoints of one run.
    """
    control = groups[0]
    for place, group in enumerate(groups):
        if len(group) != len(control) and not (len(control) == 1 and control[0].untrained):
            raise UsageError(
                f"arm A has {len(control)} runs and arm {LETTERS[place]} {len(group)}: runs are paired in their order, "
                "so both need as many (a base model alone is paired with every run).",
                code="E103",
                tries=("oneshot compare A1,A2,A3 B1,B2,B3",),
            )
        if len(group) > 1 and not (place == 0 and all(_base_of_run(model) for model in group)):
            _check_group(LETTERS[place], group)


def _base_of_run(model: Model) -> bool:
    return model.untrained and not model.varied and model.of_run


def _check_group(letter: str, group: Sequence[Model]) -> None:
    wrong = next((model for model in group if not model.trained), None)
    if wrong is not None:
        what = "a base model" if wrong.untrained else "no checkpoint that a run wrote"
        raise UsageError(
            f"arm {letter} names several models, and {wrong.name} is {what}: an arm of several is one training "
            "repeated with other seeds.",
            code="E103",
            tries=("oneshot compare A1,A2,A3 B1,B2,B3   (runs)", "oneshot compare A B C   (an arm each)"),
        )
    paths = [model.store.path.resolve() for model in group]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise UsageError(
            f"arm {letter} names several checkpoints of {twice.name}: they are one training, and no seeds.",
            code="E103",
            tries=("oneshot compare RUN:base RUN:checkpoint-4 RUN:checkpoint-8   (an arm each)",),
        )


def doubt(control: Arm, arm: Arm, evaluations: Mapping[str, Sequence[Evaluation]]) -> str:
    """Why the runs of a comparison are no training seeds, in words; empty where they are, or there is one run.

    Args:
        control: the first arm.
        arm: what is compared with it.
        evaluations: letter -> the evaluations of one task, which record the weights.
    """
    if len(arm.models) == 1:
        return ""
    own = _of_arm(arm, evaluations[arm.letter])
    if own or len(control.models) == 1:
        return own
    if control.models[0].untrained:
        bases = {_weights(evaluation) for evaluation in evaluations[control.letter]}
        return f"{control.letter} holds other base models" if len(bases) > 1 else ""
    return _of_arm(control, evaluations[control.letter])


def _of_arm(arm: Arm, evaluations: Sequence[Evaluation]) -> str:
    checkpoints = list(dict.fromkeys(model.checkpoint for model in arm.models))
    if len(checkpoints) > 1:
        return f"{arm.letter} holds {' and '.join(checkpoints)}"
    configs = [dict(_flat(model.config())) for model in arm.models]
    seeds = [config.get("seed") for config in configs]
    if None in seeds or len(set(seeds)) < len(seeds):
        return f"the seeds of {arm.letter} are {', '.join(map(str, seeds))}"
    for other in configs[1:]:
        for key in dict.fromkeys((*configs[0], *other)):
            if key not in FREE and configs[0].get(key) != other.get(key):
                return f"{key} of {arm.letter} is {configs[0].get(key)!r} and {other.get(key)!r}"
    weights = [_weights(evaluation) for evaluation in evaluations]
    if not all(weights):
        return f"the weights of {arm.letter} were not recorded"
    return f"runs of {arm.letter} have the same weights" if len(set(weights)) < len(weights) else ""


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key -> value, of what decides what is trained."""
    for key, value in section.items():
        if not prefix and key in ELSEWHERE:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _weights(evaluation: Evaluation) -> str:
    return str(evaluation.protocol.get("weights") or "")
