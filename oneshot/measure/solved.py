"""How often the example was solved: by the base model in fresh samples, and in the last training steps. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from oneshot._store.values import is_number, section
from oneshot.measure.pass_at_k import harmonic
from oneshot.measure.repeated import mean_score
from oneshot.measure.run_facts import RunFacts
from oneshot.measure.statistics import Interval, wilson

LAST = 10
"""Training steps at the end that are counted, at most."""
SHARE = 0.25
"""... and at most this share of the steps after the first."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Right ones among samples of the example, or of several."""

    successes: int
    samples: int
    interval: Interval
    rates: tuple[float, ...] = ()
    """Of each example, where there are several; the interval is then over examples."""
    steps: int = 0
    source: str = ""


def preflight_rate(events: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The last `preflight` event that has a rate (`value`, `n`).

    An attempt that ended before its first checkpoint samples again when it is continued, and trains on what that gave;
    one that ended within the preflight may have none.
    """
    told = [event for event in events if event.get("kind") == "preflight"]
    rated = [event for event in told if is_number(event.get("value")) and is_number(event.get("n"))]
    return rated[-1] if rated else None


def base_rate(facts: RunFacts) -> Samples | None:
    """Of the base model: the preflight's fresh samples, which did not choose the example; else those of step 0.

    A rate from the probe that chose the example would be too high or too near one half (the winner's curse), so it is
    never used. Step 0 samples before it updates, from the base model.
    """
    known = [preflight_rate(facts.events) or {}, section(section(facts.summary, "example"), "base_rate")]
    for found in known:
        made = _recorded(found)
        if made is not None:
            return made
    first = [count for count in facts.counts() if count.step == 0 and count.samples]
    if not first or len(facts.examples) > 1:
        return None
    rate = wilson(first[0].successes, first[0].samples)
    return Samples(
        successes=first[0].successes,
        samples=first[0].samples,
        interval=rate,
        source="training step 0, before any update",
    )


def _recorded(found: Mapping[str, Any]) -> Samples | None:
    value, n, low, high = (found.get(key) for key in ("value", "n", "ci_low", "ci_high"))
    if not all(isinstance(number, (int, float)) for number in (value, n, low, high)) or not n:
        return None
    assert value is not None and low is not None and high is not None
    count, rates = int(n), tuple(float(rate) for rate in found.get("rates") or ())
    return Samples(
        successes=round(float(value) * count),
        samples=count,
        interval=Interval(estimate=float(value), low=float(low), high=float(high), n=count, method="recorded"),
        rates=rates,
        source="fresh samples before training",
    )


def last_samples(facts: RunFacts) -> Samples | None:
    """Of the last steps: a quarter of those after step 0, at most `LAST`; None where there is none.

    The rule looks at no outcome. Within a step samples are independent given the weights; over steps the weights move,
    which makes the binomial variance err to the safe side.
    """
    later = [count for count in facts.counts() if count.step > 0 and count.samples]
    if not later:
        return None
    steps = {count.step for count in later[-min(LAST, math.ceil(SHARE * len(later))) :]}
    successes = sum(count.successes for count in later if count.step in steps)
    samples = sum(count.samples for count in later if count.step in steps)
    rates, sizes = _by_example(facts, steps)
    several = len(facts.examples) > 1 and len(rates) > 1
    return Samples(
        successes=successes,
        samples=samples,
        interval=mean_score(rates, harmonic(sizes)) if several else wilson(successes, samples),
        rates=rates if several else (),
        steps=len(steps),
    )


def _by_example(facts: RunFacts, steps: set[int]) -> tuple[tuple[float, ...], list[int]]:
    """(share right of each example in these steps, its samples)."""
    sums: dict[str, list[int]] = {}
    for row in facts.visits:
        if int(row["step"]) in steps:
            own = sums.setdefault(str(row["problem_id"]), [0, 0])
            own[0] += int(row["successes"])
            own[1] += int(row["samples"])
    return tuple(right / n for right, n in sums.values()), [n for _, n in sums.values()]
