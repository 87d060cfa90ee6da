"""A control arm's evaluation beside a run's, on the same problems and asked alike; and which problems claims rest on.

Loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oneshot._store.values import number, section
from oneshot.measure.compared import BASE
from oneshot.measure.control_line import eval_line
from oneshot.measure.run_facts import Rows, RunFacts, rows_of
from oneshot.types import EvalRow

ASKED = (
    "kind", "samples", "temperature", "max_new_tokens", "suffix", "system", "prompt", "dtype", "grader",
    "grader_version",
)  # fmt: skip
"""Entries of a protocol that must be equal, where both recorded them."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A control arm's responses to the task that a run is compared on."""

    rows: Rows = ()
    why: str = ""
    """Why there are none that may be compared."""
    note: str = ""
    """What differs all the same."""
    tries: tuple[str, ...] = ()


def beside(facts: RunFacts, control: RunFacts) -> Beside:
    """The control's responses after as many steps as the run's, else its last ones, if they may be compared."""
    if control.run.path.resolve() == facts.run.path.resolve():
        return Beside(why="the run and its control are one folder")
    if not control.control:
        return Beside(why=f"{control.name} is no control arm (its reward.control is empty)")
    steps = {step: name for step, name in control.readings.get(facts.task, {}).items() if step > 0}
    if not steps:
        return Beside(
            why=f"{control.name} has no trained checkpoint evaluated on {facts.task}",
            tries=(eval_line(replace(control, task=facts.task)),),
        )
    step = facts.step if facts.step in steps else max(steps)
    differ = _asked_otherwise(facts, control, steps[step])
    if differ:
        return Beside(why=f"{control.name} was evaluated or begun otherwise: {differ}")
    missing: list[str] = []
    rows = rows_of(control.run, facts.task, steps[step], missing)
    if {(row.id, row.answer) for row in rows} != {(row.id, row.answer) for row in facts.trained}:
        held = f"{facts.task} of {control.name} holds other problems"
        return Beside(why=missing[0].rstrip(".") if missing else held)
    note = "" if step == facts.step else f"the steps differ: {facts.step} here, {step} in the control arm"
    return Beside(rows=rows, note=note)


def _asked_otherwise(facts: RunFacts, control: RunFacts, checkpoint: str) -> str:
    """What of the protocols differs, or the weights that the two runs began with; empty where nothing is known to."""
    own = section(facts.results.get((facts.task, facts.checkpoint), {}), "protocol")
    other = section(control.results.get((facts.task, checkpoint), {}), "protocol")
    for name in ASKED:
        if name in own and name in other and own[name] != other[name]:
            return f"{name} is {_short(own[name])} and {_short(other[name])}"
    digests = [section(protocol, "data").get("digest") for protocol in (own, other)]
    if all(digests) and digests[0] != digests[1]:
        return "the data have other digests"
    adapted = any(section(each.config, "model").get("lora_rank") for each in (facts, control))
    began = [
        {str(event.get("sha256")) for event in each.events if event.get("kind") == "model"} for each in (facts, control)
    ]
    if all(began) and not adapted and not began[0] & began[1]:
        return "the two runs began with other weights"
    return ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(frozen=True, kw_only=True)
class Held:
    """The problems that say whether what was learned reaches further than the example."""

    what: str
    """In words, to follow a number: `problems of the example's own kind (mul_word)`."""
    belongs: Callable[[EvalRow], bool]

    def of(self, rows: Rows) -> Rows:
        """Those of an evaluation's rows."""
        return [row for row in rows if self.belongs(row)]


def held_out(facts: RunFacts) -> Held:
    """The problems of the compared task that a run's claims rest on."""
    return held_out_of(facts.base, facts.own, facts.examples)


def held_out_of(base: Rows, own: Collection[str], examples: Sequence[Mapping[str, Any]]) -> Held:
    """Problems that are neither the example nor a rewording of it.

    Of the built-in task, where its rows say so, those of the example's own kind: its mixture of kinds is one of
    convenience, and other kinds are a claim of their own. Of any other task all problems but the training examples.
    """
    if any(map(_own_kind, base)):
        kind = f" ({', '.join(sorted(own))})" if own else ""
        return Held(what=f"problems of the example's own kind{kind}", belongs=_own_kind)
    seen = {_text(str(row.get("prompt") or "")) for row in examples} - {""}
    return Held(what="held-out problems", belongs=lambda row: _text(row.prompt) not in seen)


def _own_kind(row: EvalRow) -> bool:
    return "own_kind" in (row.meta.get("rungs") or ())


def others(facts: RunFacts) -> Held:
    """Problems of every category but the example's."""
    return Held(what="problems of other categories", belongs=lambda row: row.category not in facts.own)


def floor_of(facts: RunFacts) -> float:
    """What chance alone reaches on the compared task; 0 where it was not recorded."""
    return number(facts.results.get((facts.task, BASE), {}).get("floor")) or 0.0


def _text(prompt: str) -> str:
    return " ".join(prompt.split())
