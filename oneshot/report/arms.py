"""Whether a run is a control arm, in words, and whether a given control arm can stand beside a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oneshot.report.text import is_number
from oneshot.rewards.controls import CONTROLS, label

if TYPE_CHECKING:
    from oneshot.report.gather import Facts

NULL = "shuffled"
"""The control arm that the missing one is suggested as: the same rewards, without their information."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What makes a run no ordinary one; empty for an ordinary one."""

    name: str = ""
    """Of the control arm: `shuffled`, `random`, ..."""
    label: str = ""
    """The words that every output of the run carries."""
    meaning: str = ""
    """One sentence."""
    corrupt: float = 0.0
    """Share of the examples whose answers were replaced by wrong ones."""


def arm_of(config: Mapping[str, Any], summary: Mapping[str, Any]) -> Arm:
    """The arm that a run's configuration names; the summary's words where they are there."""
    reward, data, said = (found if isinstance(found, Mapping) else {} for found in
                          (config.get("reward"), config.get("data"), summary.get("control")))  # fmt: skip
    name, corrupt = str(reward.get("control") or ""), data.get("corrupt")
    share = float(corrupt) if is_number(corrupt) else 0.0
    if not name and share <= 0:
        return Arm()
    known = CONTROLS.get(name)
    try:
        words = label(config)
    except (LookupError, TypeError, ValueError, AttributeError):  # an arm or a form that this version does not know
        words = f"control arm: {name}" if name else "some answers corrupted"
    return Arm(
        name=name,
        label=words,
        meaning=str(said.get("meaning") or (known.meaning if known else "")) if name else "",
        corrupt=share,
    )


def missing_control(facts: Facts) -> tuple[str, str]:
    """Lines that train a control arm of this run and write the page again with it."""
    config = shlex.quote(f"{facts.folder}/config.json")
    return (
        f"oneshot train -c {config} --control {NULL}",
        f"oneshot report {shlex.quote(facts.folder)} --with CONTROL_RUN",
    )


def comparable(facts: Facts) -> str:
    """Why the given control arm's gain does not stand beside this run's; empty where it does."""
    control = facts.control
    if control is None:
        return "no control arm was given"
    if not control.arm.name:
        return f"{control.name} is no control arm: its configuration names none"
    if not control.held.task or control.held.task != facts.held.task:
        there = control.held.task or "nothing"
        return f"{control.name} was compared on {there}, this run on {facts.held.task or 'nothing'}"
    return ""
