"""`build` turns a run folder into one HTML page that needs nothing else: no network, no script, no second file.

The page runs no JavaScript at all (filters are radio buttons and CSS), so its Content-Security-Policy can forbid
everything but its own stylesheet, which is named by its hash. Text of models and files is escaped by the templates and
passes `text.visible`; the only ready-made markup is that of `charts`, `bars`, `plots`, `marks.marked`,
`text.model_text` and `text.typeset`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import oneshot
from oneshot.record import RunFolder
from oneshot.report import about, answer, example, limits, marks, multiples, reach, samples, sections, sources, text
from oneshot.report.figures import Figure, training
from oneshot.report.gather import Facts, gather, part

NAME = "report.html"
MOST_BYTES = 2_000_000
REFRESH = 10
"""Seconds after which a live page is read again."""


def write(run: RunFolder, *, control: RunFolder | None = None) -> Path:
    """Build the page and put it into the run folder as `report.html`, replacing an older one. Returns its path."""
    run.write_text(NAME, build(run, control=control))
    return run.path / NAME


def build(run: RunFolder, *, control: RunFolder | None = None, live: bool = False) -> str:
    """The whole page as HTML, at most 2 MB, from what the run folder holds; sections without data say so.

    A page that would be larger shows fewer and shorter responses, and fewer events. `control` is the run of a control
    arm, whose gains stand beside this run's; `live` makes a browser read the page again every few seconds, and changes
    nothing else.
    """
    return fitted(gather(run, control), live=live)


def fitted(facts: Facts, *, live: bool = False) -> str:
    """`build` of a folder that was read."""
    page = render(facts, live=live)
    for pairs, limit, events in ((24, 1500, 200), (12, 600, 60), (4, 200, 20)):
        if len(page.encode("utf-8", "replace")) <= MOST_BYTES:
            break
        page = render(facts, pairs=pairs, limit=limit, events=events, live=live)
    return page


def render(
    facts: Facts, *, pairs: int = 24, limit: int = 3000, events: int = about.MOST_EVENTS, live: bool = False
) -> str:
    """The page with at most `pairs` held-out problems, `limit` characters of each response and the last `events`."""
    css = static("page.css")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    context = answer.view(facts) | _results(facts) | _responses(facts, pairs) | _about(facts, events)
    template = _environment().get_template("page.html")
    return template.render(
        facts=facts, css=Markup(css), policy=policy, limit=limit, version=oneshot.__version__,
        refresh=REFRESH if live else 0, **context,
    )  # fmt: skip


def drawn(facts: Facts) -> list[Figure]:
    """Every figure of the page, in its order."""
    single = [
        training(facts),
        *multiples.small_multiples(facts),
        reach.dumbbell("changes", "Accuracy before and after training", sections.table(facts)),
        reach.outcomes(facts),
        reach.dumbbell("transfer", "Accuracy before and after, by category", sections.categories(facts)),
        reach.dumbbell("tasks", "Accuracy before and after, other tasks", sections.tasks(facts)),
        reach.transfer_map(facts),
        reach.pass_at_k(facts),
        reach.selection(facts),
        example.history(facts),
    ]
    return [figure for figure in single if figure is not None]


def _results(facts: Facts) -> dict[str, Any]:
    found = {figure.key: figure for figure in drawn(facts)}
    groups, kinds, others = sections.table(facts), sections.categories(facts), sections.tasks(facts)
    rows = [row for _, each in (*groups, *kinds, *others) for row in each]
    return {
        "example": example.view(facts),
        "figures": found,
        "small": [figure for key, figure in found.items() if key.startswith("small-")],
        "not_recorded": multiples.not_recorded(facts),
        "groups": groups,
        "kinds": kinds,
        "others": others,
        "beside": any(row.control for row in rows),
        "counts": sections.badges(rows),
        "tasks": facts.held.tasks,
        "counting": sources.counting(facts),
        "sampled": sources.sampled(facts),
        "form": sources.form(facts),
        "form_note": str(part(facts.measured, "format").get("note") or ""),
        "form_n": part(facts.measured, "format").get("n"),
        "decompositions": sources.decompositions(facts),
        "operations": sources.operations(facts),
        "transitions": sources.transitions(facts),
        "states": sources.STATES,
        "reflection": sources.reflection(facts),
        "labels": part(facts.measured, "labels"),
        "map_told": facts.measured.get("transfer_map") or {},
    }


def _responses(facts: Facts, most: int) -> dict[str, Any]:
    found = samples.pairs(facts)
    chosen = samples.choose(found, most)
    words = part(facts.measured, "reflection").get("words")
    return {
        "pairs": chosen,
        "flips": [(f, sum(p.flip == f for p in chosen), sum(p.flip == f for p in found)) for f in samples.FLIPS],
        "long": sum(pair.long for pair in chosen),
        "flipped": samples.flipped(facts, chosen),
        "flips_told": part(facts.measured, "flips"),
        "names": ("Base", facts.held.between[0], facts.held.checkpoint or "Trained"),
        "words": [str(word) for word in words] if isinstance(words, Sequence) and not isinstance(words, str) else [],
        "rollouts": [(step, total, rows) for step, (rows, total) in facts.rollouts.items()],
    }


def _about(facts: Facts, most: int) -> dict[str, Any]:
    shown, earlier = about.events(facts, most)
    return {
        "events": shown,
        "earlier_events": earlier,
        "health": about.health(facts),
        "times": about.times(facts),
        "costs": about.costs(facts),
        "limits": limits.limits(facts),
        "command": about.command(facts),
        "versions": about.versions(facts),
        "hashes": about.hashes(facts),
        "config_json": json.dumps(dict(facts.config), indent=2, ensure_ascii=False),
        "data_link": about.data_link(facts),
    }


def static(name: str) -> str:
    """A file of the package's `static` folder."""
    return (resources.files("oneshot.report") / "static" / name).read_text(encoding="utf-8")


def _finalize(value: Any) -> Any:
    """Every string that a template prints: control characters named, unless it is markup made here."""
    return text.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("oneshot.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "percent": text.percent,
        "points": text.points,
        "number": text.number,
        "shown": text.model_text,
        "typeset": text.typeset,
        "polished": text.polished,
        "marked": marks.marked,
    }
    environment.tests["formula"] = text.has_formula
    return environment
