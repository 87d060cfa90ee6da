"""Whether the run of `--format-only` is what it is named for: trained on form alone, from the model of the control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.rewards.controls.form import users_own
from oneshot.stages.comparing.models import BASE, Arm, Evaluation, Model, evals_of

FORMAT = "format"
"""The control arm that pays form."""
DIGITS = 16
"""Of a fingerprint, as evaluations record it."""


def check(model: Model, arms: Sequence[Arm], control: Evaluation, notes: list[str]) -> None:
    """Refuse what is no training on format alone; what cannot be told is said in a note.

    Raises:
        UsageError: E103 it is no trained checkpoint of a run, a run of the arms, of another reward, or it began with
            other weights than the control's.
    """
    if not model.trained:
        raise _no(model, "it is no checkpoint that a run wrote", "a run trained on format alone is wanted")
    own = model.store.path.resolve()
    if any(other.store.path.resolve() == own for arm in arms for other in arm.models):
        raise _no(model, "it is one of the arms", "a run of its own is wanted")
    said, kind = reward_of(model.config())
    if kind is False:
        raise _no(model, f"its {said}", "a run whose reward looks at the form of a response alone is wanted")
    if kind is None:
        notes.append(f"{model.name} is taken for training on format alone; its {said}, which does not tell it.")
    began = began_with(model, control)
    if began is False:
        raise _no(model, "it began with other weights than A", "a run of the same base model is wanted")
    if began is None:
        notes.append(f"{model.name}: whether it began with the weights of A was not recorded.")


def _no(model: Model, what: str, rule: str) -> UsageError:
    return UsageError(
        f"--format-only {model.name}: {what}; {rule}.",
        code="E103",
        tries=("--format-only RUN:checkpoint-12", "oneshot compare ...   (without --format-only)"),
    )


def reward_of(config: Mapping[str, Any]) -> tuple[str, bool | None]:
    """What a run was rewarded by, in words, and whether that is form alone; None where it cannot be told.

    A control arm says it (`control = format`). Every grader of ours compares with the reference, so it pays right
    answers; of a user's own function nothing is known.
    """
    control = _control(config)
    if control:
        return f"control arm is {control}", control == FORMAT
    reward = str(dict(config.get("reward") or {}).get("name") or "")
    if not reward:
        return "reward was not recorded", None
    if users_own(reward):
        return f"reward is your own function {reward}", None
    return f"reward {reward} pays right answers", False


def _control(config: Mapping[str, Any]) -> str:
    """The name of the control arm, wherever a configuration has it."""
    sections = [config, *(section for section in config.values() if isinstance(section, Mapping))]
    for section in sections:
        control = section.get("control")
        name = control.get("name") if isinstance(control, Mapping) else control
        if isinstance(name, str) and name and name != "none":
            return name
    return ""


def began_with(model: Model, base: Evaluation) -> bool | None:
    """Whether a run began with the weights of an evaluation; None where that was not recorded.

    By the fingerprint that the run noted before its first step, or of its own evaluation of the base model. A run with
    an adapter may have the fingerprint of another form of the same weights, so there a difference tells nothing.
    """
    store, weights = model.store, str(base.protocol.get("weights") or "")
    assert isinstance(store, RunFolder), store
    known = {str(event.get("sha256", ""))[:DIGITS] for event in store.events() if event.get("kind") == "model"}
    known |= {store.weights_read(task, checkpoint) for task, checkpoint in evals_of(store) if checkpoint == BASE}
    known.discard("")
    if not known or not weights:
        return None
    if weights in known:
        return True
    return None if dict(model.config().get("model") or {}).get("lora_rank") else False
