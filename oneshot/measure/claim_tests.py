"""The tests behind the five claims of a run: each gives a `Finding`, judged together in `claims.py`. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from oneshot.errors import UsageError
from oneshot.measure import gains
from oneshot.measure.control_line import beside_line, control_line, eval_line
from oneshot.measure.control_run import Held, beside, floor_of, held_out, others
from oneshot.measure.decompose import share
from oneshot.measure.differences import method_words
from oneshot.measure.form_gains import form_gains, split, why_none
from oneshot.measure.grades import is_right
from oneshot.measure.proportions import fisher_exact, mover, newcombe, normal_p
from oneshot.measure.reasoning import FORCED, FORMAT, WORDS, Gain
from oneshot.measure.run_facts import IMITATES, NOT_ITS_OWN, Rows, RunFacts, attempt
from oneshot.measure.solved import base_rate, last_samples


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one test found, before the claims of the page are judged together."""

    why: str
    """How it was tested, or why not."""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    before: float | None = None
    """The share that `estimate` starts from."""
    after: float | None = None
    p_value: float | None = None
    """None where nothing is claimed: it is not tested."""
    detectable: float | None = None
    tries: tuple[str, ...] = ()
    """Lines to paste that would make it testable."""


def learned(facts: RunFacts) -> Finding:
    """Training samples of the last steps against the base rate: two samples of the same example, drawn anew."""
    if facts.control == IMITATES:
        return Finding(why=NOT_ITS_OWN)
    base, last = base_rate(facts), last_samples(facts)
    if base is None or last is None:
        lacks = "no training step after the first was recorded" if last is None else "the base rate was not recorded"
        return Finding(why=f"{lacks[0].upper()}{lacks[1:]}.")
    if base.rates or last.rates:
        found = mover(last.interval, base.interval)
        p_value, how = normal_p(found), "each side's interval is over examples (MOVER)"
    else:
        found = newcombe(last.successes, last.samples, base.successes, base.samples)
        p_value = fisher_exact(last.successes, last.samples, base.successes, base.samples)
        how = "Newcombe's interval, Fisher's exact p"
    labels = " Right is what the labels say, some of which are wrong on purpose." if facts.corrupt else ""
    return Finding(
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        n=last.samples,
        before=base.interval.estimate,
        after=last.interval.estimate,
        p_value=p_value,
        why=f"{last.samples} training samples of the last {last.steps} step{'s' * (last.steps > 1)} against "
        f"{base.samples} of the base model ({base.source}); neither chose the example or the steps; {how}.{labels}",
    )


def reached(facts: RunFacts) -> Finding:
    """The last checkpoint against the base on held-out problems."""
    if not facts.trained:
        return _unread(facts)
    held = held_out(facts)
    return _on(facts, held, facts.base, facts.trained, f"{facts.checkpoint} and base")


def elsewhere(facts: RunFacts) -> Finding:
    """The same over the categories that are not the example's, each with the same weight."""
    if not facts.trained:
        return _unread(facts)
    if not facts.own:
        return Finding(why="The example has no category, so none is known to be another.")
    held = others(facts)
    base, trained = held.of(facts.base), held.of(facts.trained)
    if not any(row.category for row in base):
        return Finding(why=f"{facts.task} has no category but the example's ({', '.join(sorted(facts.own))}).")
    try:
        kinds = gains.by_category(base, trained)
        found = gains.average(list(kinds.values()))
    except UsageError as error:
        return Finding(why=error.message)
    how = (
        f"{facts.checkpoint} and base on {facts.task}: {len(kinds)} {'category' if len(kinds) == 1 else 'categories'} "
    )
    how += f"without {', '.join(sorted(facts.own))}"
    weight = ", each with the same weight" if len(kinds) > 1 else ""
    return _judged(found, f"{how}{weight}; {method_words(found.method)}.", _no_room(facts, base, trained))


def beyond_format(facts: RunFacts, control: RunFacts | None) -> Finding:
    """gain_reasoning, where the base was helped to a box or there is a run trained on format; see `reasoning.py`."""
    if not facts.trained:
        return _unread(facts)
    missing: list[str] = []
    found = attempt("The format gains", lambda: form_gains(facts, control, missing), dict[str, Gain](), missing)
    gain = found.get("gain_reasoning")
    tries = (eval_line(facts, "--forced-box"),)
    if gain is None:
        return Finding(why=" ".join((why_none(facts), *missing)).strip(), tries=tries)
    against = ", ".join(f"{WORDS[name]} {100 * value:.1f} %" for name, value in gain.values.items())
    untested = ", ".join(WORDS[name] for name in gain.missing)
    box = split(facts).box
    grade = "The lenient grade of " if box else ""
    how = f"{grade}{facts.checkpoint} against the best of: {against}; {method_words(gain.paired.method)}."
    how += f" Not measured: {untested}." if untested else ""
    held = held_out(facts)
    no_room = _no_room(facts, held.of(facts.base), held.of(facts.trained))
    judged = _judged(gain.paired, " ".join((how, *missing)), no_room)
    if FORCED in gain.values or FORMAT in gain.values:
        return judged
    lacks = f"Neither {WORDS[FORCED]} nor {WORDS[FORMAT]} (--control {FORMAT}) was measured"
    lacks += ", and reading leniently does not repair cut answers." if box else "."
    return replace(judged, p_value=None, why=f"{lacks} {judged.why}", tries=tries)


def beyond_control(facts: RunFacts, control: RunFacts | None) -> Finding:
    """The run's checkpoint against the control arm's, on the held-out problems."""
    if control is None and facts.control:
        return Finding(why=f"This run is itself a control arm ({facts.control}), and no other one was given.")
    if control is None:
        tries = (control_line(facts), beside_line(facts))
        return Finding(why="There is no control arm beside this run.", tries=tries)
    if not facts.trained:
        return _unread(facts)
    found = beside(facts, control)
    if found.why:
        return Finding(why=f"No control arm to compare with: {found.why}.", tries=found.tries)
    note = " One run of each: which of the two trainings is the better one takes several seeds."
    note += f" Mind that {found.note}." if found.note else ""
    arm = f"{facts.checkpoint} and the control arm {control.control} ({control.name})"
    return _on(facts, held_out(facts), found.rows, facts.trained, arm, note)


def _on(facts: RunFacts, held: Held, first: Rows, second: Rows, who: str, note: str = "") -> Finding:
    """The difference of two evaluations. Whether there is room to measure is asked of the base, whichever they are."""
    before, after = held.of(first), held.of(second)
    try:
        found = gains.paired(before, after)
    except UsageError as error:
        return Finding(why=error.message)
    why = f"{who} on {found.n} {held.what} of {facts.task}; {method_words(found.method)}.{note}"
    return _judged(found, why, _no_room(facts, held.of(facts.base), after))


def _no_room(facts: RunFacts, base: Rows, trained: Rows) -> str:
    """Why nothing can be told from chance here; empty where it can. The rule of `oneshot compare`.

    The interval before training contains what chance alone gives, or lies below it while the other reaches down to it.
    """
    floor, before, after = floor_of(facts), share(base, is_right), share(trained, is_right)
    if before.low <= floor <= before.high:
        bounds = f"{100 * before.low:.1f} to {100 * before.high:.1f} %"
        return f"No room to measure: the interval before training, {bounds}, contains chance, {100 * floor:.1f} %."
    if before.high < floor and after.low <= floor:
        return f"No room to measure: both lie at or below chance, {100 * floor:.1f} %."
    return ""


def _judged(found: gains.Paired, why: str, no_room: str) -> Finding:
    """The finding of a paired difference; without room to measure nothing is claimed."""
    return Finding(
        estimate=found.estimate,
        low=found.ci_low,
        high=found.ci_high,
        n=found.n,
        before=found.base,
        after=found.trained,
        p_value=None if no_room else found.p_value,
        detectable=found.detectable,
        why=f"{no_room} {why}".lstrip(),
    )


def _unread(facts: RunFacts) -> Finding:
    told = [sentence for sentence in facts.missing if "evaluat" in sentence]
    return Finding(
        why=" ".join(told) or "Base and trained model were not both evaluated.",
        tries=(eval_line(facts),),
    )
