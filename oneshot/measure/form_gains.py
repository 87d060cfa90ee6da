"""Format against the rest, of one run: the three gains of `reasoning.py` with every baseline that was recorded."""

from __future__ import annotations

from typing import Any

from oneshot.measure.control_run import beside, floor_of, held_out
from oneshot.measure.decompose import decomposition, outcome_states, share, transitions
from oneshot.measure.grades import is_right
from oneshot.measure.reasoning import FORMAT, Gain, Rows, adjusted, gains_of
from oneshot.measure.run_facts import RunFacts, rows_of


def form_gains(facts: RunFacts, control: RunFacts | None, missing: list[str]) -> dict[str, Gain]:
    """gain_total, gain_format, gain_reasoning on the held-out problems; none without strict and lenient grades.

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
    return gains_of(base, trained, arms, room=not accuracy.low <= floor <= accuracy.high)


def form(facts: RunFacts, control: RunFacts | None, missing: list[str]) -> dict[str, Any]:
    """JSON form: the gains, and where a change comes from (`decompose.py`), on the same problems."""
    held = held_out(facts)
    base, trained = held.of(facts.base), held.of(facts.trained)
    gains = form_gains(facts, control, missing)
    if not gains:
        missing.append(
            "Format and the rest of the gain are not told apart: not every response to the held-out problems of "
            f"{facts.task} is graded both strictly (boxed) and leniently."
        )
    body: dict[str, Any] = {gain.name: gain.as_dict() for gain in adjusted(list(gains.values()))}
    if base:
        body |= {
            "problems": held.what,
            "n": len({row.id for row in base}),
            "states": {"base": outcome_states(base), "trained": outcome_states(trained)},
            "transitions": transitions(base, trained),
            "decomposition": decomposition(base, trained).as_dict(),
        }
    return body
