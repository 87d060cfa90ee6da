"""Format against the rest, of one run: the three gains of `reasoning.py` with every baseline that was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from oneshot._store.values import section
from oneshot.measure import grades
from oneshot.measure.compared import BASE
from oneshot.measure.control_run import beside, floor_of, held_out
from oneshot.measure.decompose import decomposition, outcome_states, share, transitions
from oneshot.measure.reasoning import FORMAT, Gain, Rows, adjusted, gains_of, graded_twice
from oneshot.measure.run_facts import RunFacts, rows_of
from oneshot.rewards.controls.form import BOXED, form_is_box, needs_box


class Split(NamedTuple):
    """Whether what a box alone gives counts as form."""

    box: bool
    """`boxed` of `gains_of`."""
    note: str
    """Why, where it is not simply that the reward asks for a box."""


def reward_of(config: Mapping[str, Any]) -> str:
    """The reward of a run by name; one that was not recorded is the default's."""
    return str(section(config, "reward").get("name") or BOXED[0])


def split_of(reward: str, graders: Sequence[str], base: Rows, trained: Rows) -> Split:
    """A box is form where the reward asks for one, or a grader of the two evaluations finds no answer without one.

    Of a function of the user's own that is not known: then it is form where both grades were recorded, which errs
    against a gain beyond form.
    """
    if form_is_box(reward):
        return Split(box=True, note="")
    paid = f"reward of this run ({reward})"
    asked = {paid: form_is_box(reward)}
    asked |= {f"grader of the evaluation ({name})": needs_box(name) for name in graders}
    if by := [who for who, box in asked.items() if box]:
        said = f"The {by[0]} finds no answer without a box, so what a box alone gives counts as form, whether or not "
        return Split(box=True, note=f"{said}the {paid} asks for one.")
    own = "every grade here is the evaluation’s own."
    unknown = [who for who, box in asked.items() if box is None]
    if not unknown:
        said = f"The {paid} takes an answer without a box, so boxes are no form that training could have repaired"
        return Split(box=False, note=f"{said}, and {own}")
    said = f"Whether the {unknown[0]}, a function of your own, asks for a box is not known"
    if graded_twice(base, trained):
        return Split(box=True, note=f"{said}; what a box alone gives counts as form.")
    return Split(box=False, note=f"{said}, and not every response has a strict and a lenient grade: {own}")


def split(facts: RunFacts) -> Split:
    """The same of a run, on the held-out problems."""
    held = held_out(facts)
    results = [facts.results.get((facts.task, name), {}) for name in (BASE, facts.checkpoint)]
    graders = [str(section(result, "protocol").get("grader") or "") for result in results]
    return split_of(reward_of(facts.config), graders, held.of(facts.base), held.of(facts.trained))


def form_gains(facts: RunFacts, control: RunFacts | None, missing: list[str]) -> dict[str, Gain]:
    """gain_total, gain_format, gain_reasoning on the held-out problems; none where `why_none` says why.

    Strict is a complete box where `split` says so, else nothing more than the evaluation's own grade (`gains_of`,
    `boxed`).
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
    accuracy, floor = share(base, grades.is_right), floor_of(facts)
    room = not accuracy.low <= floor <= accuracy.high
    return gains_of(base, trained, arms, room=room, boxed=split(facts).box)


def why_none(facts: RunFacts) -> str:
    """Why there are no gains, in a sentence; empty where nothing known speaks against them."""
    held = held_out(facts)
    base, trained = held.of(facts.base), held.of(facts.trained)
    if not facts.base:
        return "Base and trained model were not both evaluated."
    if not base:
        return f"{facts.task} holds no problem but the training examples."
    if split(facts).box and not graded_twice(base, trained):
        return f"{facts.task} does not have every response graded both strictly (boxed) and leniently."
    return ""


def form(facts: RunFacts, control: RunFacts | None, missing: list[str]) -> dict[str, Any]:
    """JSON form: the gains, and where a change comes from (`decompose.py`), on the same problems.

    `strict` is `box` or `own`; `note` says why, where that needs saying.
    """
    held = held_out(facts)
    base, trained = held.of(facts.base), held.of(facts.trained)
    gains = form_gains(facts, control, missing)
    if not gains:
        missing.append(f"Format and the rest of the gain are not told apart: {why_none(facts)}")
    body: dict[str, Any] = {gain.name: gain.as_dict() for gain in adjusted(list(gains.values()))}
    box, note = split(facts)
    if gains and "gain_format" not in gains:
        note += " What form alone gives was not measured: that takes a forced box or a control arm on format."
    body |= {"strict": "box" if box else "own", "note": note if base else ""}
    if base:
        body |= {
            "problems": held.what,
            "n": len({row.id for row in base}),
            "states": {"base": outcome_states(base), "trained": outcome_states(trained)},
            "transitions": transitions(base, trained),
            "decomposition": decomposition(base, trained).as_dict(),
        }
    return body
