"""What a control arm changes of a run's settings, what is refused, and what the outputs say. Loads no torch.

`rewards/controls` says what each arm is, `stages/training/control_arm.py` does it; `docs/controls.md` says when to use
which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from oneshot.config.checks import WITHOUT_GROUP_NORM
from oneshot.config.gym import LENIENT, PREFIX
from oneshot.config.load import to_dict
from oneshot.config.origins import show, value_of
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.errors import UsageError
from oneshot.rewards.controls import CONTROLS, form_of, label
from oneshot.stages import graders
from oneshot.types import Verifier

__all__ = [
    "CONTROLS",
    "across",
    "applied",
    "changes",
    "check",
    "inert",
    "label",
    "leaks",
    "limits",
    "marked",
    "needs_success",
    "refuse",
    "said",
    "summary",
]

OFF = {"optim.lr": 0.0, "optim.lr_final": 0.0, "optim.schedule": "constant", "optim.weight_decay": 0.0}
LIKELIHOOD = {
    "algorithm.policy": 1.0,
    "algorithm.kl": 0.0,
    "algorithm.kl_in_reward": 0.0,
    "algorithm.entropy": 0.0,
    "algorithm.entropy_schedule": "constant",
    "algorithm.entropy_final": 0.0,
    "algorithm.weighting": "",
    "algorithm.pooled": False,
    "algorithm.importance_cap": 0.0,
}
LEAK = (
    "each round of rollout.dynamic is permuted by itself, and this algorithm compares responses of several rounds, so "
    "how well a round went stays with its responses: no exact null. --rollout.dynamic false makes it one"
)
READS_ANSWERS = ("wrong", "majority")
"""Arms that need to know which answer a response gives."""


def changes(config: Config, given: Callable[[str], bool]) -> dict[str, Any]:
    """Dotted key -> the value that the arm needs; empty where it needs none. Applied twice it changes nothing more."""
    name, algorithm = config.reward.control, config.algorithm
    wanted: dict[str, Any] = {}
    if name in ("entropy", "confidence"):
        wanted["algorithm.policy"] = 0.0
        if not given("algorithm.kl"):
            wanted["algorithm.kl"] = 0.0
    if name == "confidence":
        wanted["algorithm.entropy"] = -abs(algorithm.entropy)
        wanted["algorithm.entropy_final"] = -abs(algorithm.entropy_final)
    wanted |= {"rft": LIKELIHOOD, "noop": OFF}.get(name, {})
    return {key: value for key, value in wanted.items() if value_of(config, key) != value}


def applied(request: Request) -> Request:
    """The request of a new run with what its control arm changes; where a value came from says so too."""
    config, found = request.config, changes(request.config, request.given)
    for key, value in found.items():
        section, _, name = key.partition(".")
        config = replace(config, **{section: replace(getattr(config, section), **{name: value})})
    origins = dict.fromkeys(found, _origin(config.reward.control))
    return replace(request, config=config, origins={**request.origins, **origins})


def said(config: Config, origins: Mapping[str, str]) -> list[str]:
    """What a person should know before a run that is no normal one, a sentence each."""
    name, words = config.reward.control, label(to_dict(config))
    if not name:
        return [words] if words else []
    changed = ", ".join(
        f"{k} = {show(value_of(config, k))}" for k, origin in origins.items() if origin == _origin(name)
    )
    return [
        f"{words}. {CONTROLS[name].meaning}",
        *([f"{words.partition(';')[0]}: {changed}"] if changed else []),
        *([f"warning: {words.partition(';')[0]}: {LEAK}"] if leaks(config) else []),
    ]


def across(config: Config) -> bool:
    """Whether the credit compares a response with more than the others of its group."""
    algorithm = config.algorithm
    return algorithm.pooled or (algorithm.name in WITHOUT_GROUP_NORM and algorithm.options.get("baseline") != "group")


def leaks(config: Config) -> bool:
    """Whether something of the true rewards is left in the arm `shuffled` (docs/controls.md)."""
    rounds = config.rollout.max_rounds if config.rollout.dynamic else 1
    return config.reward.control == "shuffled" and rounds > 1 and across(config)


def _origin(name: str) -> str:
    """What set a value that a control arm needs."""
    return f"control {name}"


def inert(config: Config) -> list[str]:
    """The settings that cannot act in this arm, as a sentence; nothing for a normal run."""
    name = config.reward.control
    found = CONTROLS[name].inert if name else ()
    if name == "unguessable" and config.algorithm.kl_in_reward:
        found = ()  # the KL that is taken off each reward is learned from by the policy term
    return [f"cannot act in the control arm {name}: {', '.join(found)}"] if found else []


def needs_success(config: Config) -> bool:
    """Whether the real rewards are what is learned from, so that an example never or always solved teaches nothing."""
    name = config.reward.control
    return not name or CONTROLS[name].real


def marked(config: Config, sentence: str) -> str:
    """A headline that cannot be taken for that of a normal run."""
    words = label(to_dict(config))
    return f"{words}. {sentence}" if words else sentence


def summary(config: Config) -> dict[str, Any]:
    """The entry `control` of summary.json; nothing for a normal run."""
    name = config.reward.control
    return {"control": {"name": name, "meaning": CONTROLS[name].meaning}} if name else {}


def limits(config: Config) -> list[str]:
    """What the result of such a run does not show, in sentences; nothing for a normal run."""
    said = []
    if config.reward.control:
        said.append("A control arm: its gain is what other arms are measured against, no finding about the example.")
    if config.reward.control == "rft":
        said.append("Its steps imitate the base model's responses, so training accuracy is not the trained model's.")
    if config.data.corrupt:
        said.append("Training accuracy is by the answers trained on, some of them wrong; the true one is beside it.")
    return said


def check(config: Config, verify: Verifier) -> None:
    """Refuse an arm that the reward has no meaning for. What the settings alone tell is in `config.checks`.

    Raises:
        UsageError: E105.
    """
    name, reward = config.reward.control, config.reward.name
    gym = reward.startswith((PREFIX, LENIENT))
    why = ""
    if name == "format" and form_of(reward) is None:
        why = "it is not known which form it asks for, so none can be paid alone"
    elif name in READS_ANSWERS and graders.is_users(verify):
        why = "your own function need not say which answer it read, and this arm pays answers"
    elif name == "unguessable" and graders.is_users(verify):
        why = "your own function need not look at the answer, so it may pay for one that nobody gives"
    elif (name == "wrong" or config.data.corrupt) and gym:
        why = "its references name an entry of the library, not an answer, so no other label can be put there"
    if why:
        arm = (
            f"reward.control = {name}"
            if name in ("format", "unguessable", *READS_ANSWERS)
            else f"data.corrupt = {config.data.corrupt:g}"
        )
        raise UsageError(
            f"{arm} with the reward {reward}: {why}.",
            code="E105",
            tries=("--control shuffled", "--reward math", "--reward number"),
            kept="Nothing was trained.",
        )


def refuse(config: Config, verb: str) -> None:
    """For a verb that has no control arms.

    Raises:
        UsageError: E105.
    """
    if words := label(to_dict(config)):
        raise UsageError(
            f"{words}: oneshot {verb} has no control arms and corrupts no answers.",
            code="E105",
            tries=(f"oneshot train --data pi1 --control {config.reward.control or 'shuffled'}",),
        )
