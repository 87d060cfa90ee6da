"""Whether a run is a control arm, in words, and whether a given control arm can stand beside a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oneshot._store.values import number, section
from oneshot.rewards.controls import CONTROLS, label

if TYPE_CHECKING:
    from oneshot.report.gather import Facts


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
    name = str(section(config, "reward").get("control") or "")
    known = CONTROLS.get(name)
    told = section(summary, "control").get("meaning") or (known.meaning if known else "")
    return Arm(
        name=name,
        label=label(config),
        meaning=str(told) if name else "",
        corrupt=number(section(config, "data").get("corrupt")) or 0.0,
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
