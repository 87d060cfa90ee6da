"""The five claims of a run's report: what it may say, by which test, with which badge. Loads no torch.

supported: the interval lies above 0 · harmed: below 0 · inconclusive: neither, or Holm's p over the tested claims of
the page is above .05 · not tested: with the reason. One run speaks of itself alone ("in this run"): other training
seeds are not in any of these intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneshot.measure import claim_tests
from oneshot.measure.claim_tests import Finding
from oneshot.measure.differences import INCONCLUSIVE, JUDGED, NOT_TESTED, badge, claimed
from oneshot.measure.multiplicity import holm
from oneshot.measure.run_facts import RunFacts, read
from oneshot.record import RunFolder

CLAIMS = ("learned", "held_out", "other_categories", "beyond_format", "beyond_control")
SCOPE = "in this run"
_SENTENCES: Mapping[str, tuple[str, str]] = {
    "learned": ("the model learned the example", "the model got worse at the example"),
    "held_out": ("what was learned reaches held-out problems", "held-out problems got worse"),
    "other_categories": ("what was learned reaches other categories", "other categories got worse"),
    "beyond_format": (
        "the gain is more than format repair",
        "the trained model does worse than the best of its baselines",
    ),
    "beyond_control": (
        "the trained model does better than its control arm",
        "the trained model does worse than its control arm",
    ),
}
"""Claim -> what is said where it is supported, and where it is harmed."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim, as it may be shown."""

    name: str
    """One of `CLAIMS`."""
    sentence: str
    badge: str
    """`supported`, `harmed`, `inconclusive` or `not tested`."""
    estimate: float | None
    """A difference of shares, with its 95 % interval; may be known where nothing is claimed."""
    low: float | None
    high: float | None
    n: int
    """Problems; of `learned` the training samples."""
    why: str
    """How it was tested, or why not; of `inconclusive` also which gains are excluded."""
    scope: str = SCOPE
    p_value: float | None = None
    """Two-sided; None where it was not tested."""
    p_holm: float | None = None
    """Adjusted over the tested claims of the page."""
    tries: tuple[str, ...] = ()
    """Lines to paste that would make it testable."""


def claims(run: RunFolder, control: RunFolder | None = None, *, task: str = "") -> list[Claim]:
    """The five claims in the order of `CLAIMS`. What is missing makes a claim `not tested`, and is its reason.

    Args:
        run: the run.
        control: a control arm of it.
        task: the evaluation to compare on; empty: see `run_facts.read`.
    """
    facts = read(run, task)
    return judged(facts, read(control, facts.task) if control is not None else None)


def judged(facts: RunFacts, arm: RunFacts | None) -> list[Claim]:
    """The same of a run, and a control arm, that were read: the control arm on the run's task."""
    findings = {
        "learned": claim_tests.learned(facts),
        "held_out": claim_tests.reached(facts),
        "other_categories": claim_tests.elsewhere(facts),
        "beyond_format": claim_tests.beyond_format(facts, arm),
        "beyond_control": claim_tests.beyond_control(facts, arm),
    }
    tested = {name: found.p_value for name, found in findings.items() if found.p_value is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    return [_claim(name, findings[name], adjusted, facts.label) for name in CLAIMS]


def _claim(name: str, found: Finding, adjusted: Mapping[str, float], arm: str) -> Claim:
    word, p_holm = NOT_TESTED, adjusted.get(name)
    if p_holm is not None and found.low is not None and found.high is not None:
        alone = badge(found.low, found.high)
        word = claimed(alone, p_holm)
    return Claim(
        name=name,
        sentence=_sentence(name, word, found, arm),
        badge=word,
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        n=found.n,
        why=found.why + (_open(found, p_holm, len(adjusted)) if word == INCONCLUSIVE else ""),
        p_value=found.p_value,
        p_holm=p_holm,
        tries=found.tries,
    )


def _sentence(name: str, word: str, found: Finding, arm: str) -> str:
    good, bad = _SENTENCES[name]
    said = {
        JUDGED[0]: good,
        JUDGED[1]: bad,
        INCONCLUSIVE: f"it is open whether {good}",
        NOT_TESTED: f"it was not tested whether {good}",
    }[word]
    where = f"In this run, which is no normal one ({arm})," if arm else "In this run"
    return f"{where} {said}{_numbers(found)}."


def _numbers(found: Finding) -> str:
    if found.estimate is None or found.low is None or found.high is None:
        return ""
    moved = "" if found.before is None or found.after is None else f"{found.before:.1%} to {found.after:.1%}, "
    bounds = f"95 % interval {100 * found.low:+.1f} to {100 * found.high:+.1f}"
    return f": {moved}{100 * found.estimate:+.1f} points ({bounds})"


def _open(found: Finding, p_holm: float | None, tested: int) -> str:
    """What an inconclusive claim still excludes, what it could not have seen, and whether Holm decided."""
    assert found.low is not None and found.high is not None
    said = f" Gains above {100 * max(0.0, found.high):.1f} points are excluded."
    if found.detectable is not None:
        said += (
            f" A true gain below {100 * found.detectable:.1f} points would mostly go unseen (80 % power, tested alone)."
        )
    if badge(found.low, found.high) in JUDGED and p_holm is not None:
        p_values = f"p is {found.p_value:.3f}, after Holm's adjustment for {tested} claims {p_holm:.3f}"
        said += f" The interval alone excludes 0, but {p_values}."
    return said
