"""The results of a run as the templates want them: the headline, claims with badges, the before/after table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneshot.measure.gains import badge
from oneshot.report.bars import Change
from oneshot.report.gather import Facts
from oneshot.report.text import is_number, percent, points

MARKS = {"supported": "▲", "harmed": "▼", "inconclusive": "◇", "not tested": "–"}
"""The badge's shape beside its word, so that it does not rest on colour."""

RUNGS = {
    "paraphrase": "The example, reworded",
    "same_wording": "Its wording, new numbers",
    "new_wording": "Wordings seen only in test",
    "own_kind": "Own kind, all",
    "other_kinds": "Other kinds, together",
}
MOST_CATEGORIES = 40


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of the before/after table; shares in [0, 1], `low` and `high` bound the paired difference."""

    label: str
    base: float
    trained: float
    estimate: float
    low: float
    high: float
    n: int
    gained: str = "–"
    lost: str = "–"
    badge: str = "inconclusive"
    detectable: float | None = None
    headline: bool = False

    def change(self, first: bool = False) -> Change:
        """What the dumbbell chart draws; `first` of its group."""
        return Change(
            label=self.label, base=self.base, trained=self.trained, estimate=self.estimate, low=self.low,
            high=self.high, n=self.n, headline=self.headline, harmed=self.badge == "harmed", first=first,
        )  # fmt: skip

    @property
    def interval(self) -> str:
        """`+25.1 to +48.2`."""
        return f"{points(self.low)} to {points(self.high)}"

    @property
    def excluded(self) -> str:
        """What an inconclusive result still rules out."""
        if self.badge != "inconclusive":
            return ""
        high = f"gains above {points(self.high)} points are excluded"
        low = f"and losses beyond {points(self.low)}"
        return f"{high} {low}" if self.low < 0 < self.high else high


def entry(label: str, found: object, headline: bool = False) -> Entry | None:
    """An entry of `summary.json` (`estimate, ci_low, ci_high, n, base, trained`, ...); None where one is missing."""
    if not isinstance(found, Mapping):
        return None
    wanted = ("estimate", "ci_low", "ci_high", "base", "trained", "n")
    if not all(is_number(found.get(key)) for key in wanted) or found["n"] <= 0:
        return None
    low, high = float(found["ci_low"]), float(found["ci_high"])
    word = str(found.get("badge") or badge(low, high))
    return Entry(
        label=label,
        base=float(found["base"]),
        trained=float(found["trained"]),
        estimate=float(found["estimate"]),
        low=low,
        high=high,
        n=int(found["n"]),
        gained=str(found.get("gained", "–")),
        lost=str(found.get("lost", "–")),
        badge=word if word in MARKS else badge(low, high),
        detectable=found["detectable"] if is_number(found.get("detectable")) else None,
        headline=headline,
    )


def named(kind: str) -> str:
    """A category's name in words: `mul_word` is `mul word`."""
    return kind.replace("_", " ") or "no category"


def own_scope(facts: Facts) -> bool:
    """Whether the summary's headline is about the example's own kind; without kinds it is about all problems."""
    ladder, paired = dict(items(facts.summary, "ladder")), entry("", facts.summary.get("paired"))
    kind = entry("", dict(items(facts.summary, "categories")).get(facts.kind)) if facts.kind else None
    return "own_kind" in ladder or (paired is not None and kind is not None and paired.n == kind.n)


def table(facts: Facts) -> list[tuple[str, list[Entry]]]:
    """Groups of the before/after table: the headline and overall, the ladder, every kind with the own one first."""
    summary = facts.summary
    title = "The example’s own kind" if own_scope(facts) else "All problems"
    first = [
        entry(title, summary.get("paired"), headline=True),
        entry("All kinds, equal weight", summary.get("overall")),
    ]
    # The rung of the own kind is the headline again.
    rungs = [
        entry(RUNGS.get(name, named(name)), found) for name, found in items(summary, "ladder") if name != "own_kind"
    ]
    kinds = sorted(items(summary, "categories"), key=lambda item: (item[0] != facts.kind, item[0]))
    rows = [entry(named(kind) + " (own kind)" * (kind == facts.kind), found) for kind, found in kinds]
    if len(rows) == 1:
        first, rows = first[:1], []  # one kind alone is all there is
    groups = [("Headline", first), ("How far it reaches", rungs), ("Kind by kind", rows[:MOST_CATEGORIES])]
    return [(name, kept) for name, found in groups if (kept := [row for row in found if row])]


def items(summary: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    """The entries of a part of the summary; none where it is absent."""
    found = summary.get(key)
    return [(str(name), value) for name, value in found.items()] if isinstance(found, Mapping) else []


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence that the run could support, what it says about it, and the numbers."""

    text: str
    badge: str
    entry: Entry | None


def claims(facts: Facts) -> list[Claim]:
    """The three questions of the first screen."""
    ladder, own = dict(items(facts.summary, "ladder")), own_scope(facts)
    asked = (
        ("Learned the example’s own kind of problem", facts.summary.get("paired") if own else None),
        ("Better at other kinds of problems", ladder.get("other_kinds")),
        ("Better overall, every kind counting the same", facts.summary.get("overall")),
    )
    found = [(text, entry(text, value)) for text, value in asked]
    return [Claim(text=text, badge=row.badge if row else "not tested", entry=row) for text, row in found]


def headline(facts: Facts) -> tuple[str, str]:
    """The summary's first sentence and its others; for a run without one, what the numbers say."""
    said = str(facts.summary.get("headline") or "").strip()
    if said:
        first, *others = re.split(r"(?<=[.!?])\s+(?=[A-Z])", said, maxsplit=1)
        return first, "".join(others)
    found = entry("", facts.summary.get("paired"))
    if found:
        kind = " of the example’s own kind" if own_scope(facts) else ""
        moved = f"from {percent(found.base)} to {percent(found.trained)}"
        difference = f"{points(found.estimate)} points, 95 % interval {found.interval}"
        return f"On {found.n} held-out problems{kind}, accuracy went {moved}: {difference}.", ""
    accuracy = [row["train/accuracy"] for row in facts.metrics if is_number(row.get("train/accuracy"))]
    if not accuracy:
        return "Nothing was measured in this run yet.", ""
    first, last = percent(accuracy[0], 0), percent(accuracy[-1], 0)
    return f"In {len(accuracy)} training steps, accuracy on the training samples went from {first} to {last}.", ""


def badges(rows: Sequence[Entry]) -> dict[str, int]:
    """How often each badge occurs."""
    return {word: sum(row.badge == word for row in rows) for word in MARKS}
