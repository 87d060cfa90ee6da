"""Format against the rest, of one run: the three gains of `reasoning.py` with every baseline that was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneshot._store.values import section
from oneshot.measure.control_run import beside, floor_of, held_out
from oneshot.measure.decompose import decomposition, outcome_states, share, transitions
from oneshot.measure.grades import is_right
from oneshot.measure.reasoning import FORMAT, Gain, Rows, adjusted, gains_of
from oneshot.measure.run_facts import RunFacts, rows_of
from oneshot.rewards.controls.form import BOXED


def reward_of(facts: RunFacts) -> str:
    """The reward of a run by name; one that was not recorded is the default's."""
    return str(section(facts.config, "reward").get("name") or BOXED[0])


def asks_for_box(facts: RunFacts) -> bool:
    """Whether the form that the run's reward pays is a box, as of the control arm `format`."""
    return reward_of(facts) in BOXED


def form_gains(facts: RunFacts, control: RunFacts | None, missing: list[str]) -> dict[str, Gain]:
    """gain_total, gain_format, gain_reasoning on the held-out problems; none without strict and lenient grades.

    Strict is what the run's own reward asks for: a box, or, where it takes an answer without one, nothing more than the
    evaluation's own grade (`gains_of`, `boxed`).
    Baselines: the lenient grade, a forced box where it was asked for, `base+icl` and `base+prompt-NAME` beside the
    base, and a control arm `format`. What cannot be used is told in `missing`. Errors as `gains_of`.
    """
    held, arms = held_out(facts), dict[str, Rows]()
    base, trained = held.of(facts.base), held.of(facts.trained)
    if not base:
        return {}
    ids = {row.id for row in base}
    for kind, name in facts.variants().items():
        rows = held.of(rows_of(facts.run, facts.task, name, missing))
        if {row.id for row in rows} == ids:
            arms[kind] = rows
        elif rows:
            missing.append(f"{name} was asked other problems of {facts.task} than base, and is left out.")
    if control is not None and control.control == FORMAT:
        found = beside(facts, control)
        if found.why:
            missing.append(f"The control arm on format is no baseline here: {found.why}.")
        else:
            arms[FORMAT] = held.of(found.rows)
    accuracy, floor = share(base, is_right), floor_of(facts)
    room = not accuracy.low <= floor <= accuracy.high
    return gains_of(base, trained, arms, room=room, boxed=asks_for_box(facts))


def form(facts: RunFacts, control: RunFacts | None, missing: list[str]) -> dict[str, Any]:
    """JSON form: the gains, and where a change comes from (`decompose.py`), on the same problems.

    `strict` is `box` or `own`; `note` says what the latter means.
    """
    held = held_out(facts)
    base, trained = held.of(facts.base), held.of(facts.trained)
    gains = form_gains(facts, control, missing)
    if not gains:
        missing.append(
            "Format and the rest of the gain are not told apart: not every response to the held-out problems of "
            f"{facts.task} is graded both strictly (boxed) and leniently."
        )
    body: dict[str, Any] = {gain.name: gain.as_dict() for gain in adjusted(list(gains.values()))}
    body |= {"strict": "box", "note": ""} if asks_for_box(facts) else {"strict": "own", "note": _unboxed(facts, body)}
    if base:
        body |= {
            "problems": held.what,
            "n": len({row.id for row in base}),
            "states": {"base": outcome_states(base), "trained": outcome_states(trained)},
            "transitions": transitions(base, trained),
            "decomposition": decomposition(base, trained).as_dict(),
        }
    return body


def _unboxed(facts: RunFacts, gains: Mapping[str, Any]) -> str:
    """What there is to say where no box is asked for."""
    said = (
        f"The reward of this run ({reward_of(facts)}) takes an answer without a box, so boxes are no form that "
        "training could have repaired, and every grade here is the evaluation’s own."
    )
    if gains and "gain_format" not in gains:
        said += " What form alone gives was not measured: that takes a forced box or a control arm on format."
    return said
