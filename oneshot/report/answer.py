"""The first screen: one sentence, five badges, the gain, and what the control arm gained beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oneshot.measure.claims import Claim
from oneshot.report import sections
from oneshot.report.arms import comparable
from oneshot.report.gather import Facts, part
from oneshot.report.text import points

TITLES = {
    "learned": "Learned the example",
    "held_out": "Transfers to held-out problems",
    "other_categories": "Transfers to other categories",
    "beyond_format": "Beyond format repair",
    "beyond_control": "Beyond the control arm",
}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One claim as the page writes it."""

    title: str
    claim: Claim
    tries: Sequence[str]
    """Lines that would make it testable, where they do not stand above already."""

    @property
    def numbers(self) -> str:
        """`+35.0 points (95 %: +22.9 to +46.0), n 120 problems`; empty where nothing was estimated."""
        claim = self.claim
        if claim.estimate is None or claim.low is None or claim.high is None:
            return ""
        what = "samples" if claim.name == "learned" else "problems"
        interval = f"95 %: {points(claim.low)} to {points(claim.high)}"
        return f"{points(claim.estimate)} points ({interval}), n {claim.n:,} {what}"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What stands beside the gain: the control arm's own, or why it is not there and the lines to get it."""

    row: sections.Entry | None
    name: str
    label: str
    why: str
    lines: Sequence[str]


def view(facts: Facts) -> dict[str, Any]:
    """What `answer.html` prints."""
    first, arm = next((rows[0] for _, rows in sections.table(facts)), None), beside(facts)
    above, claims = list(arm.lines if arm is not None and first is not None else ()), list[Shown]()
    for claim in facts.claims:
        tries = [line for line in claim.tries if line not in above]
        claims.append(Shown(title=TITLES.get(claim.name, claim.name), claim=claim, tries=tries))
        above += tries
    return {
        "headline": sections.headline(facts),
        "claims": claims,
        "model": str(facts.summary.get("model") or part(facts.config, "model").get("name") or ""),
        "first": first,
        "control": arm,
    }


def beside(facts: Facts) -> Beside | None:
    """The control arm beside the gain; None where the run is itself a control arm."""
    if facts.arm.name:
        return None
    control, why = facts.control, comparable(facts)
    row = next((rows[0].control for _, rows in sections.table(facts)), None)
    if not why and row is None:
        why = "the control arm was not measured on the same problems"
    return Beside(
        row=None if why else row,
        name=control.name if control else "",
        label=control.arm.label if control else "",
        why=why,
        lines=_lines(facts) if why else (),
    )


def _lines(facts: Facts) -> Sequence[str]:
    """Lines that make the control arm's gain known: those of the claim, else those that train an arm."""
    known = next((claim.tries for claim in facts.claims if claim.name == "beyond_control"), ())
    return known or facts.control_lines
