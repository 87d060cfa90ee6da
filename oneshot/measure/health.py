"""The health rules of a run: `examine` applies them to a run folder. Those here read the training metrics.

They know what training on one example looks like. Once the example is solved, nearly all groups have equal rewards, the
loss is about zero, and held-out accuracy may still rise: that is the phase the method is about, and no fault. Before
that, the same numbers mean that nothing is learned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from oneshot.errors import OneshotError
from oneshot.measure import health_record
from oneshot.measure.dynamics import WINDOW as WINDOW_SOLVED
from oneshot.measure.dynamics import why_unsaturated
from oneshot.measure.findings import RECENT, Finding, Machine, Rule, Seen, number
from oneshot.measure.health_seen import again, looked_at
from oneshot.measure.run_facts import IMITATES, NOT_ITS_OWN, WRONG_FORM
from oneshot.measure.statistics import wilson
from oneshot.record import RunFolder

FLOOR = 0.01
"""Nats a token. Below, sampling is greedy in all but name and explores nothing. Our own line, not the paper's."""
WINDOW = 20
"""Steps over which entropy's rate is taken."""
CUT, MOST_CUT = 0.3, 0.95
"""Shares of responses cut at the limit: above the first a run is looked at, above the second it learns nothing."""
FEW_FOUND = 0.5
EQUAL = 0.9
"""A larger share of groups with equal rewards is said to be one, before saturation."""
SOLVED = 0.9
"""Training accuracy at which groups of equal rewards are those of right answers."""
GAP = 0.02
"""Nats a token between sampler and learner, where the preflight recorded no limit of its own."""
UNLIKELY = 0.001


def examine(run: RunFolder, machine: Machine) -> list[Finding]:
    """What cannot be read, then what every rule says. Never raises for a damaged or an incomplete folder."""
    seen, damage = looked_at(run, machine)
    return [*damage, *(finding for rule in RULES for finding in _said(rule, seen))]


def _said(rule: Rule, seen: Seen) -> list[Finding]:
    """What a rule says; that it cannot be applied where the folder holds something else than a run's values."""
    try:
        return list(rule(seen))
    except (OneshotError, *WRONG_FORM) as error:
        text = f"the rule {rule.__name__!r} cannot be applied, another version may have written this run: {error!r}"
        return [Finding(rule="damage", level="warn", text=text)]


def broken(findings: Sequence[Finding]) -> bool:
    """Whether a rule says that the run is broken."""
    return any(finding.level == "bad" for finding in findings)


def success(seen: Seen) -> Iterator[Finding]:
    """Training accuracy so far; no success at all where some were due."""
    if not seen.counts:
        return
    first, last = (each[1] / each[2] for each in (seen.counts[0], seen.counts[-1]))
    right, samples = (sum(each[i] for each in seen.counts) for i in (1, 2))
    numbers = {"samples": samples, "right": right, "first": first, "last": last}
    if right:
        text = f"training accuracy {first:.0%} -> {last:.0%} in {len(seen.counts)} steps"
        yield Finding(rule="success", level="ok", text=text, numbers=numbers)
        return
    told = [event for event in seen.of_kind("preflight") if number(event.get("ci_low")) is not None]
    low = number(told[-1]["ci_low"]) or 0.0 if told and seen.examples == 1 else 0.0
    numbers |= {"base_rate_low": low, "chance": (1 - low) ** samples}
    look = f"oneshot rollouts {seen.name} --step last"
    if low and (1 - low) ** samples < UNLIKELY and not seen.control:
        yield Finding(
            rule="success", level="bad", numbers=numbers, next=look,
            text=f"no success in {samples:,} samples, where at least {low:.1%} were due: the reward or the prompt "
            "differs from the preflight's",
        )  # fmt: skip
        return
    known = f", which the base rate's lower bound of {low:.1%} allows" if low else ""
    level = "info" if seen.done < RECENT or seen.control else "warn"
    text = f"no success in {samples:,} samples{known}: without one there is nothing to reinforce yet"
    yield Finding(rule="success", level=level, text=text, numbers=numbers, next=look)


def signal(seen: Seen) -> Iterator[Finding]:
    """Groups with equal rewards: expected after saturation, a loss of signal before. Says nothing of control arms."""
    equal, accuracy = seen.recent("frac_reward_zero_std"), seen.recent("train/accuracy")
    if equal is None or accuracy is None or seen.control:
        return
    size = int(number(seen.setting("rollout.group_size")) or 0)
    due = accuracy**size + (1 - accuracy) ** size if size else None
    numbers = {"equal_groups": equal, "accuracy": accuracy, "saturated": seen.saturated, "due_at_this_rate": due}
    text = f"{equal:.0%} of groups have equal rewards"
    examples = "one example" if seen.examples == 1 else f"{seen.examples} examples"
    if seen.saturated is not None:
        text += f": expected after saturation with {examples}; entropy and KL still act"
        yield Finding(rule="signal", level="info", text=text, numbers=numbers)
    elif equal <= EQUAL:
        yield Finding(rule="signal", level="ok", text=text, numbers=numbers)
    elif accuracy >= SOLVED:
        text += f": the samples are nearly all right ({accuracy:.0%}), which leads into saturation"
        yield Finding(rule="signal", level="info", text=text, numbers=numbers)
    else:
        text += f" before saturation ({accuracy:.0%} of the samples are right): hardly anything is learned from"
        more = again(seen, "rollout.group_size", str(2 * size)) if size else ""
        yield Finding(rule="signal", level="warn", text=text, numbers=numbers, next=more)


def entropy(seen: Seen) -> Iterator[Finding]:
    """Entropy near its floor, on the way there, or running away."""
    points = seen.series("entropy")
    if len(points) < 4:
        return
    first, last = points[-WINDOW:][0], points[-1]
    now, slope = _mean(points[-3:]), _slope(points[-WINDOW:])
    before, start = _mean(points[-WINDOW:][:3]), _mean(points[:3])
    over = f"entropy {before:.2g} -> {now:.2g} nats a token over the last {last[0] - first[0] + 1} steps"
    reach = last[0] + (now - FLOOR) / -slope if slope < 0 else math.inf
    numbers = {"before": before, "now": now, "slope": slope, "floor": FLOOR}
    coefficient = number(seen.setting("algorithm.entropy")) or 0.0
    raised = again(seen, "algorithm.entropy", f"{2 * coefficient if coefficient > 0 else 0.001:g}")
    if seen.control in ("entropy", "confidence"):  # it is what they train
        yield Finding(rule="entropy", level="info", text=over, numbers=numbers)
        return
    level = "warn"
    if now <= FLOOR:
        text = f"{over}: at or below {FLOOR:g}, all samples are nearly the same"
        yield Finding(rule="entropy", level=level, text=text, numbers=numbers, next=raised)
    elif now < before / 2 and reach < max(seen.steps, last[0]):
        text = f"{over}; at this rate the floor ({FLOOR:g}) is reached at step {math.ceil(reach)}"
        numbers["floor_at"] = math.ceil(reach)
        yield Finding(rule="entropy", level=level, text=text, numbers=numbers, next=raised)
    elif now > max(2 * start, start + 1):
        text = f"entropy {start:.2g} -> {now:.2g} nats a token since the start: responses dissolve into noise"
        lower = again(seen, "algorithm.entropy", f"{coefficient / 2:g}")
        yield Finding(rule="entropy", level=level, text=text, numbers=numbers | {"start": start}, next=lower)
    else:
        yield Finding(rule="entropy", level="ok", text=over, numbers=numbers)


def _mean(points: Sequence[tuple[int, float]]) -> float:
    return math.fsum(value for _, value in points) / len(points)


def _slope(points: Sequence[tuple[int, float]]) -> float:
    """Least squares, a step. Drawn and extrapolated, never tested: the steps of one run are a random walk."""
    middle, mean = math.fsum(x for x, _ in points) / len(points), _mean(points)
    spread = math.fsum((x - middle) ** 2 for x, _ in points)
    return math.fsum((x - middle) * (y - mean) for x, y in points) / spread if spread else 0.0


def cut(seen: Seen) -> Iterator[Finding]:
    """Responses cut at the limit never show their answer."""
    share = seen.recent("completions/clipped_ratio")
    if share is None:
        return
    limit, length = int(number(seen.setting("rollout.max_new_tokens")) or 0), seen.recent("completions/mean_length")
    numbers = {"cut": share, "limit": limit, "mean_length": length}
    told = "" if length is None else f" (limit {limit}, mean {length:.0f} tokens)"
    text = f"{share:.0%} of the responses of the last steps are cut{told}"
    longer = again(seen, "rollout.max_new_tokens", str(2 * limit)) if limit and share > CUT else ""
    hopeless = share > MOST_CUT and seen.done >= RECENT
    level = "bad" if hopeless else "warn" if share > CUT else "ok"
    yield Finding(rule="cut", level=level, text=text, numbers=numbers, next=longer)


def found(seen: Seen) -> Iterator[Finding]:
    """Responses in which the grader finds no answer."""
    share = seen.recent("found")
    if share is None:
        return
    text = f"an answer is found in {share:.0%} of the responses of the last steps"
    level = "bad" if share == 0 and seen.done >= RECENT else "warn" if share < FEW_FOUND else "ok"
    look = f"oneshot rollouts {seen.name} --wrong" if level != "ok" else ""
    yield Finding(rule="found", level=level, text=text, numbers={"found": share}, next=look)


def mismatch(seen: Seen) -> Iterator[Finding]:
    """The sampler's log-probs against the learner's."""
    gap = seen.recent("mismatch/logprob")
    if gap is None:
        return
    told = [event["gap"] for event in seen.of_kind("preflight") if isinstance(event.get("gap"), dict)]
    limit = (number(told[-1].get("limit")) if told else None) or GAP
    text = f"sampler/learner log-prob gap {gap:.2g} (limit {limit:g})"
    capped = again(seen, "algorithm.importance_cap", "2") if gap > limit else ""
    level = "warn" if gap > limit else "ok"
    yield Finding(rule="mismatch", level=level, text=text, numbers={"gap": gap, "limit": limit}, next=capped)


def finite(seen: Seen) -> Iterator[Finding]:
    """Updates that were dropped because the loss or a gradient was not finite."""
    if not seen.metrics:
        return
    flags = [bool(number(row.get("dropped"))) for row in seen.metrics]
    streak = next((i for i, dropped in enumerate(reversed(flags)) if not dropped), len(flags))
    numbers = {"dropped": sum(flags), "last_in_a_row": streak}
    text = f"{sum(flags)} of {len(flags)} updates were dropped: their loss or gradient was not finite"
    text = text if any(flags) else "the loss and the gradient of every step were finite"
    rate = number(seen.setting("optim.lr"))
    smaller = again(seen, "optim.lr", f"{rate / 2:g}") if rate and any(flags) else ""
    level = "bad" if streak >= 3 else "warn" if any(flags) else "ok"
    yield Finding(rule="finite", level=level, text=text, numbers=numbers, next=smaller)


def saturation(seen: Seen) -> Iterator[Finding]:
    """Where the example was solved, and whether held-out accuracy rose after it."""
    if seen.saturated is not None:
        yield from health_record.after_saturation(seen, seen.saturated)
    elif seen.control == IMITATES:
        yield Finding(rule="saturation", level="info", text=NOT_ITS_OWN.rstrip(".").replace("The", "the", 1))
    elif seen.counts:
        right, samples = (sum(each[i] for each in seen.counts[-WINDOW_SOLVED:]) for i in (1, 2))
        rate = wilson(right, samples)
        why = why_unsaturated([each[1] for each in seen.counts], [each[2] for each in seen.counts])
        text = f"not saturated, {rate.estimate:.0%} of the last {samples:,} samples are right (95 % {rate.low:.0%} to "
        text += f"{rate.high:.0%}): {why[0].lower()}{why[1:].rstrip('.')}"
        yield Finding(rule="saturation", level="info", text=text, numbers={"right": right, "samples": samples})


RULES: Sequence[Rule] = (
    health_record.state,
    health_record.control,
    success,
    saturation,
    signal,
    entropy,
    cut,
    found,
    mismatch,
    finite,
    health_record.verifier,
    health_record.attempts,
    health_record.grader,
    health_record.evaluations,
    health_record.arm,
    health_record.disk,
)
