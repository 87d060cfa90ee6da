"""`build` turns a run folder into one HTML page that needs nothing else: no network, no script, no second file.

The page runs no JavaScript at all (filters are radio buttons and CSS), so its Content-Security-Policy can forbid
everything but its own stylesheet, which is named by its hash. Text of models and files is escaped by the templates and
passes `text.visible`; the only ready-made markup is that of `charts`, `bars`, `text.model_text` and `text.typeset`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import oneshot
from oneshot.record import RunFolder
from oneshot.report import about, figures, samples, sections, sources, text
from oneshot.report.gather import Facts, gather

NAME = "report.html"
MOST_BYTES = 2_000_000


def write(run: RunFolder) -> Path:
    """Build the page and put it into the run folder as `report.html`, replacing an older one. Returns its path."""
    run.write_text(NAME, build(run))
    return run.path / NAME


def build(run: RunFolder) -> str:
    """The whole page as HTML, at most 2 MB, from what the run folder holds; sections without data say so.

    A page that would be larger shows fewer and shorter responses.
    """
    facts = gather(run)
    page = render(facts)
    for pairs, limit in ((24, 1500), (12, 600), (4, 200)):
        if len(page.encode("utf-8", "replace")) <= MOST_BYTES:
            break
        page = render(facts, pairs=pairs, limit=limit)
    return page


def render(facts: Facts, *, pairs: int = 24, limit: int = 3000) -> str:
    """The page with at most `pairs` held-out problems and `limit` characters of each response."""
    css = _static("page.css")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    context = _results(facts) | _responses(facts, pairs) | _about(facts)
    template = _environment().get_template("page.html")
    return template.render(
        facts=facts, css=Markup(css), policy=policy, limit=limit, version=oneshot.__version__, **context
    )


def _results(facts: Facts) -> dict[str, Any]:
    groups = sections.table(facts)
    entries = [row for _, rows in groups for row in rows]
    return {
        "headline": sections.headline(facts),
        "claims": sections.claims(facts),
        "example": _example(facts),
        "training": figures.training(facts),
        "small": figures.small_multiples(facts),
        "groups": groups,
        "marks": sections.MARKS,
        "counts": sections.badges(entries),
        "changes": figures.changes([row.change(i == 0) for _, rows in groups for i, row in enumerate(rows)]),
        "counting": sources.counting(facts),
        "sampled": sources.sampled(facts),
        "outcomes": figures.outcomes(facts),
        "outcome_words": figures.OUTCOME_WORDS,
        "decompositions": sources.decompositions(facts),
        "operations": sources.operations(facts),
        "transitions": sources.transitions(facts),
        "states": sources.STATES,
    }


def _example(facts: Facts) -> dict[str, Any]:
    """Texts of the training example and how often the untrained model solved it."""
    found = facts.example
    rate = found.get("base_rate")
    return {
        "prompt": str(found.get("prompt") or ""),
        "answer": str(found.get("answer") or ""),
        "kind": sections.named(facts.kind) if facts.kind else "",
        "rate": rate if isinstance(rate, dict) and text.is_number(rate.get("value")) else None,
        "suffix": str(facts.config.get("data", {}).get("suffix") or ""),
    }


def _responses(facts: Facts, most: int) -> dict[str, Any]:
    found = samples.pairs(facts)
    chosen = samples.choose(found, most)
    return {
        "pairs": chosen,
        "flips": [(f, sum(p.flip == f for p in chosen), sum(p.flip == f for p in found)) for f in samples.FLIPS],
        "rollouts": [(step, len(rows), samples.training_samples(rows)) for step, rows in facts.rollouts.items()],
    }


def _about(facts: Facts) -> dict[str, Any]:
    shown, earlier = about.events(facts)
    return {
        "events": shown,
        "earlier_events": earlier,
        "times": about.times(facts),
        "costs": about.costs(facts),
        "limits": about.limits(facts),
        "command": about.command(facts),
        "versions": about.versions(facts),
        "config_json": json.dumps(dict(facts.config), indent=2, ensure_ascii=False),
        "data_link": about.data_link(facts),
    }


def _static(name: str) -> str:
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
    }
    environment.tests["formula"] = text.has_formula
    return environment
