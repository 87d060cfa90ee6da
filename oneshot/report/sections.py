"""The results of a run as the templates want them: the headline, the before/after table, the control arm beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oneshot._store.values import is_number
from oneshot.measure.differences import JUDGED
from oneshot.measure.gains import badge
from oneshot.report.arms import comparable
from oneshot.report.bars import Change
from oneshot.report.gather import Facts, part
from oneshot.report.text import percent, points

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
    """One row of a before/after table; shares in [0, 1], `low` and `high` bound the paired difference."""

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
    control: Entry | None = None
    """The control arm's own row, where one is compared."""

    def change(self, first: bool = False) -> Change:
        """What the dumbbell chart draws; `first` of its group."""
        return Change(
            label=self.label, base=self.base, trained=self.trained, estimate=self.estimate, low=self.low,
            high=self.high, n=self.n, headline=self.headline, harmed=self.badge == "harmed", first=first,
            control=self.control.trained if self.control else None,
        )  # fmt: skip

    @property
    def interval(self) -> str:
        """`+25.1 to +48.2`."""
        return f"{points(self.low)} to {points(self.high)}"


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
    ladder, paired = part(facts.summary, "ladder"), entry("", facts.summary.get("paired"))
    kind = entry("", part(facts.summary, "categories").get(facts.kind)) if facts.kind else None
    return "own_kind" in ladder or (paired is not None and kind is not None and paired.n == kind.n)


def table(facts: Facts) -> list[tuple[str, list[Entry]]]:
    """Groups of the before/after table: headline and overall, then the ladder; each with the control arm's row."""
    summary = facts.summary
    title = "The example’s own kind" if own_scope(facts) else "All problems"
    first = [entry(title, summary.get("paired"), headline=True)]
    if len(part(summary, "categories")) > 1:  # one kind alone is all there is
        first.append(entry("All kinds, equal weight", summary.get("overall")))
    # The rung of the own kind is the headline again.
    rungs = [
        entry(RUNGS.get(str(name), named(str(name))), found)
        for name, found in part(summary, "ladder").items()
        if name != "own_kind"
    ]
    groups = [("Headline", first), ("How far it reaches", rungs)]
    shown = [(name, kept) for name, found in groups if (kept := [row for row in found if row])]
    beside = _beside(table, facts)
    return [(name, [replace(row, control=beside.get(row.label)) for row in rows]) for name, rows in shown]


def categories(facts: Facts) -> list[tuple[str, list[Entry]]]:
    """One group: every kind of problem, the largest gain first, the example's own one marked."""
    found = part(facts.summary, "categories")
    if len(found) < 2:
        return []
    rows = [
        entry(named(str(kind)) + " (own kind)" * (kind == facts.kind), value, headline=kind == facts.kind)
        for kind, value in found.items()
    ]
    kept = sorted((row for row in rows if row), key=lambda row: (-row.estimate, row.label))
    if len(kept) > MOST_CATEGORIES:
        half = MOST_CATEGORIES // 2
        kept = [row for i, row in enumerate(kept) if i < half or i >= len(kept) - half or row.headline]
    beside = _beside(categories, facts)
    return [("Kind by kind", [replace(row, control=beside.get(row.label)) for row in kept])] if kept else []


def tasks(facts: Facts) -> list[tuple[str, list[Entry]]]:
    """One group: every other task with its last checkpoint."""
    rows = [entry(f"{task.title}, {task.checkpoint}", task.paired) for task in facts.held.tasks]
    kept = [row for row in rows if row]
    beside = _beside(tasks, facts)
    return [("Other tasks", [replace(row, control=beside.get(row.label)) for row in kept])] if kept else []


def _beside(rows: Any, facts: Facts) -> dict[str, Entry]:
    """The control arm's rows of the same table by label; none where it was measured on another task."""
    if facts.control is None or comparable(facts):
        return {}
    return {row.label: row for _, group in rows(facts.control) for row in group}


def headline(facts: Facts) -> tuple[str, str]:
    """The summary's first sentence and its others; without one, or where the badge says another word, the numbers."""
    said = str(facts.summary.get("headline") or "").strip()
    if said and not _contradicted(facts):
        first, *others = re.split(r"(?<=[.!?])\s+(?=[A-Z])", said, maxsplit=1)
        return first, "".join(others)
    found = entry("", facts.summary.get("paired"))
    if found:
        kind = " of the example’s own kind" if own_scope(facts) else ""
        moved = f"from {percent(found.base)} to {percent(found.trained)}"
        difference = f"{points(found.estimate)} points, 95 % interval {found.interval}"
        so_far = f"So far, with {facts.held.checkpoint}, on" if facts.state == "running" else "On"
        return f"{so_far} {found.n} held-out problems{kind}, accuracy went {moved}: {difference}.", ""
    accuracy = [row["train/accuracy"] for row in facts.metrics if is_number(row.get("train/accuracy"))]
    if not accuracy:
        return "Nothing was measured in this run yet.", ""
    first, last = percent(accuracy[0], 0), percent(accuracy[-1], 0)
    steps = f"In {len(accuracy)} training steps" if len(accuracy) > 1 else "In 1 training step"
    return f"{steps}, accuracy on the training samples went from {first} to {last}.", ""


def _contradicted(facts: Facts) -> bool:
    """Whether the summary's sentence judges held-out problems and the badge does otherwise.

    The badge is adjusted for all claims of the page, and asks whether there was room to measure at all.
    """
    word = str(part(facts.summary, "paired").get("badge") or "")
    badge_of = {claim.name: claim.badge for claim in facts.claims}
    return word in JUDGED and badge_of.get("held_out", word) != word


def badges(rows: Sequence[Entry]) -> dict[str, int]:
    """How often each badge occurs."""
    return {word: sum(row.badge == word for row in rows) for word in MARKS}
