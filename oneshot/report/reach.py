"""Figures of how far a change reaches and where it comes from: dumbbells, outcomes, transfer map, pass@k, selection."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from oneshot._store.values import is_number
from oneshot.measure import gains
from oneshot.report.arms import comparable
from oneshot.report.bars import dumbbells, stacked
from oneshot.report.charts import Frame, Series, line_chart
from oneshot.report.figures import NARROW, WIDE, Figure, whole_percent
from oneshot.report.gather import Facts, part
from oneshot.report.plots import Dot, histogram, scatter
from oneshot.report.sections import Entry, named
from oneshot.report.text import number, percent, points

BAND = (
    "The band is the 95 % interval of the paired difference, laid from the base and cut at 0 and 100 %. "
    "At the right, the difference in points."
)
SIZES = (("wide", WIDE), ("narrow", NARROW))


def dumbbell(key: str, title: str, groups: Sequence[tuple[str, Sequence[Entry]]]) -> Figure | None:
    """Before and after, a row each."""
    rows = [(row, i == 0) for _, group in groups for i, row in enumerate(group)]
    if not rows:
        return None
    beside = any(row.control for row, _ in rows)
    words = " ".join(
        f"{r.label}: {percent(r.base)} to {percent(r.trained)}, {points(r.estimate)} points, n {r.n}"
        + (f"; control arm {points(r.control.estimate)}." if r.control else ".")
        for r, _ in rows
    )
    changes = [row.change(first) for row, first in rows]
    frames = [Frame(key=f"{key}-{name}", title=title, text=words, width=width) for name, width in SIZES]
    legend = [("dot base", "base"), ("dot trained", "trained"), ("dot interval", "95 % interval of the change")]
    return Figure(
        key=key,
        title=title,
        caption=BAND,
        wide=dumbbells(frames[0], changes),
        narrow=dumbbells(frames[1], changes),
        legend=[*legend, ("diamond", "control arm, trained")] if beside else legend,
    )


OUTCOME_WORDS = {"right": "right", "wrong": "wrong answer", "none": "no answer found", "cut": "cut at the limit"}


def outcomes(facts: Facts) -> Figure | None:
    """How responses ended, base and trained, for the own kind and for all problems, the control arm beside."""
    held, bars = facts.held, list[tuple[str, Mapping[str, int]]]()
    if held.base and held.trained:
        both = [("base", held.base), ("trained", held.trained)]
        if facts.control is not None and not comparable(facts) and facts.control.held.trained:
            both.append(("control arm", facts.control.held.trained))
        bars += [(f"own, {name}", gains.outcome_states(facts.own(rows))) for name, rows in both]
        bars += [(f"all, {name}", gains.outcome_states(rows)) for name, rows in both]
        bars = [(name, counts) for name, counts in bars if sum(counts.values())]
    if not bars:
        return None
    words = " ".join(f"{name}: {', '.join(f'{counts[k]:g} {OUTCOME_WORDS[k]}' for k in OUTCOME_WORDS)}."
                     for name, counts in bars)  # fmt: skip
    frames = [
        Frame(key=f"outcomes-{name}", title="How responses ended", text=words, width=width) for name, width in SIZES
    ]
    return Figure(
        key="outcomes",
        title="How responses ended",
        caption=f"Own: the example’s kind. Shares of the same problems of {held.task}, counts in the table.",
        wide=stacked(frames[0], bars),
        narrow=stacked(frames[1], bars),
        legend=[(f"box {kind}", words) for kind, words in OUTCOME_WORDS.items()],
        head=["", *OUTCOME_WORDS.values(), "n"],
        rows=[[name, *(f"{c[k]:g}" for k in OUTCOME_WORDS), f"{sum(c.values()):g}"] for name, c in bars],
    )


def transfer_map(facts: Facts) -> Figure | None:
    """Cosine of the example's gradient with each category's against the category's observed gain."""
    found = facts.measured.get("transfer_map")
    kinds = part(found, "categories") if isinstance(found, Mapping) else {}
    gained = part(part(facts.measured, "transfer"), "categories") or part(facts.summary, "categories")
    dots, rows = [], []
    for kind, told in kinds.items():
        cosine = told.get("cosine") if isinstance(told, Mapping) else None
        gain = gained.get(kind)
        if not is_number(cosine) or not isinstance(gain, Mapping):
            continue
        known = [gain.get(key) for key in ("estimate", "ci_low", "ci_high")]
        if not all(is_number(v) for v in known):
            continue
        y, low, high = (float(v) for v in known if is_number(v))
        own = kind == facts.kind
        dots.append(Dot(label=named(str(kind)), x=float(cosine), y=y, low=low, high=high, own=own))
        interval = f"{points(low)} to {points(high)}"
        rows.append([named(str(kind)) + " (own kind)" * own, f"{cosine:+.3f}".replace("-", "−"), points(y), interval,
                     number(gain.get("n"))])  # fmt: skip
    if not dots:
        return None
    words = " ".join(f"{row[0]}: cosine {row[1]}, gain {row[2]} points." for row in rows)
    frames = [
        Frame(key=f"map-{name}", title="Transfer map", text=words, width=width, height=height, y_format=points_axis,
              x_label="cosine of the category’s gradient with the example’s, at the base model")
        for name, width, height in (("wide", WIDE, 400.0), ("narrow", NARROW, 340.0))
    ]  # fmt: skip
    label = "observed gain, points"
    return Figure(
        key="map",
        title="Transfer map",
        caption="One dot is a category; whiskers are 95 % intervals of the observed gain. The cosines were measured "
        "before step 0 on dev problems. A pattern of a few dots is a description, not a test.",
        wide=scatter(frames[0], dots, label, cosine_axis),
        narrow=scatter(frames[1], dots, label, cosine_axis),
        head=["category", "cosine", "gain, points", "95 % interval", "n"],
        rows=rows,
    )


def points_axis(value: float) -> str:
    """A difference of shares for an axis: `+20`."""
    return points(value, 0)


def cosine_axis(value: float) -> str:
    """A cosine for an axis: `−0.2`."""
    return f"{value:.3g}".replace("-", "−")


def pass_at_k(facts: Facts) -> Figure | None:
    """pass@k of base and trained model where several samples a problem were recorded; the task with most samples."""
    curves: dict[str, dict[str, dict[int, Mapping[str, Any]]]] = {}
    last = {task.name: task.checkpoint for task in facts.held.tasks} | {facts.held.task: facts.held.checkpoint}
    for (task, checkpoint), told in facts.held.results.items():
        found = {int(k): v for k, v in part(told, "pass_at_k").items() if str(k).isdecimal() and _bounded(v)}
        if checkpoint in {"base", last.get(task)} and len(found) > 1:
            curves.setdefault(task, {})[checkpoint] = found
    whole = {task: each for task, each in curves.items() if len(each) == 2}
    if not whole:
        return None
    task = max(whole, key=lambda name: (max(whole[name]["base"]), name))
    series = [
        Series(
            label="base" if name == "base" else f"trained, {name}",
            points=[(math.log2(k), float(v["estimate"])) for k, v in sorted(found.items())],
            bounds=[(float(v["ci_low"]), float(v["ci_high"])) for _, v in sorted(found.items())],
            style="train" if name == "base" else "metric",
        )
        for name, found in sorted(whole[task].items(), key=lambda item: item[0] != "base")
    ]
    ks, n = sorted(whole[task]["base"]), facts.held.results[task, "base"].get("n")
    frames = [
        Frame(key=f"pass-{name}", title=f"pass@k on {task}", text=_at_k(whole[task]), width=width, height=height,
              x_label="k, samples a problem", y_range=(0.0, 1.0), y_format=whole_percent,
              x_ticks=[(math.log2(k), str(k)) for k in ks], what="log2 of k")
        for name, width, height in (("wide", WIDE, 320.0), ("narrow", NARROW, 280.0))
    ]  # fmt: skip
    return Figure(
        key="pass",
        title="pass@k",
        caption=f"{task}, n {number(n)} problems. Bands: 95 % intervals over problems, each curve’s own. Curves that "
        "meet at large k are what likelier known solutions would give, a trained one that stays above, problems that "
        "the base did not solve in k samples; neither is tested here.",
        wide=line_chart(frames[0], series),
        narrow=line_chart(frames[1], series),
        legend=[(s.style, s.label) for s in series],
        head=["k", *(s.label for s in series)],
        rows=[[str(k), *(_with_bounds(found.get(k)) for _, found in
                         sorted(whole[task].items(), key=lambda item: item[0] != "base"))] for k in ks],
    )  # fmt: skip


def _bounded(found: object) -> bool:
    return isinstance(found, Mapping) and all(is_number(found.get(key)) for key in ("estimate", "ci_low", "ci_high"))


def _with_bounds(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"{percent(found['estimate'])} ({100 * found['ci_low']:.0f} to {100 * found['ci_high']:.0f})"


def _at_k(curves: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> str:
    told = {}
    for name, found in curves.items():
        told[name] = [f"pass@{k} {percent(v['estimate'])}" for k, v in sorted(found.items())]
    return " ".join(f"{name}: {', '.join(values)}." for name, values in told.items())


SCORES = ("score", "mean_accuracy", "rate")


def selection(facts: Facts) -> Figure | None:
    """How the candidates' scores lie, and where the chosen one is among them, with its interval."""
    key = next((k for k in SCORES if sum(is_number(row.get(k)) for row in facts.selection) > 1), "")
    rows = [row for row in facts.selection if is_number(row.get(key))] if key else []
    if not rows:
        return None
    chosen = [row for row in rows if str(row.get("id")) == str(facts.example.get("id"))]
    marked = [(float(row[key]), *_interval(row, key), "chosen") for row in chosen[:1]]
    sizes = sorted({int(row["samples"]) for row in rows if is_number(row.get("samples"))})
    drawn = (
        f", {sizes[0]} to {sizes[-1]} samples each" if len(sizes) > 1 else f", {sizes[0]} samples each" if sizes else ""
    )
    label, shown = _named_score(key)
    where = f"has {shown(chosen[0][key])}" if chosen else "is not among them"
    words = f"{len(rows)} candidates; the chosen one {where}."
    frames = [
        Frame(key=f"selection-{name}", title="The candidates and the chosen one", text=words, width=width, height=240.0,
              x_label=label, y_format=shown)
        for name, width in SIZES
    ]  # fmt: skip
    scores = [float(row[key]) for row in rows]
    ranked = sorted(rows, key=lambda row: -float(row[key]))[:MOST_SHOWN]
    return Figure(
        key="selection",
        title="The candidates and the chosen one",
        caption=f"n {len(rows)} candidates{drawn}. The interval of the chosen one is of its samples in the choice, so "
        "it does not know that it was chosen; its rate above is from fresh samples.",
        wide=histogram(frames[0], scores, marked, 24),
        narrow=histogram(frames[1], scores, marked, 12),
        head=["candidate", label, "95 % interval", "samples"],
        rows=[[str(row.get("problem") or row.get("prompt") or row.get("id") or "")[:160], shown(row[key]),
               _bounds(row, shown), number(row.get("samples") if is_number(row.get("samples")) else None)]
              for row in ranked],
    )  # fmt: skip


MOST_SHOWN = 20


def _named_score(key: str) -> tuple[str, Any]:
    return ("score", number) if key == "score" else ("share of the base model’s samples that are right", whole_percent)


def _interval(row: Mapping[str, Any], key: str) -> tuple[float, float]:
    low, high = row.get("ci_low"), row.get("ci_high")
    return (float(low), float(high)) if is_number(low) and is_number(high) else (float(row[key]), float(row[key]))


def _bounds(row: Mapping[str, Any], shown: Any) -> str:
    low, high = row.get("ci_low"), row.get("ci_high")
    return f"{shown(low)} to {shown(high)}" if is_number(low) and is_number(high) else "not measured"
