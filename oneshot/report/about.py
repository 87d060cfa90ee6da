"""What the page says about the run itself: cost, health log, limits, and how to do it again."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from oneshot.report.figures import SMALL, thinned, values
from oneshot.report.gather import Facts
from oneshot.report.sections import table
from oneshot.report.text import duration, is_number, number

MOST_EVENTS = 200
MOST_DATA = 500_000
PHASES = {"time/rollout": "sampling", "time/score": "scoring", "time/update": "updating"}
_BOOKKEEPING = {"time", "attempt", "kind"}


def times(facts: Facts) -> list[tuple[str, str, float]]:
    """(phase, duration, share of the total): the summary's phases, else the sums of what the steps recorded."""
    found = facts.summary.get("times")
    seconds = {str(k): float(v) for k, v in found.items() if is_number(v)} if isinstance(found, Mapping) else {}
    if not seconds:
        sums = {name: sum(y for _, y in values(facts.metrics, key)) for key, name in PHASES.items()}
        seconds = {f"training: {name}": total for name, total in sums.items() if total}
    phases = {k: v for k, v in seconds.items() if k != "total"}
    total = sum(phases.values())
    rows = [(name.replace("_", " "), duration(s), s / total if total else 0.0) for name, s in phases.items()]
    return [*rows, ("together", duration(total), 1.0)] if rows else []


def costs(facts: Facts) -> list[tuple[str, str]]:
    """Tokens, memory, responses: (what, how much)."""
    lengths, each = values(facts.metrics, "completions/mean_length"), facts.responses_a_step
    rows = []
    if each and facts.metrics:
        rows.append(("training responses", f"{each * len(facts.metrics):,}"))
    if each and lengths:
        rows.append(("response tokens sampled in training", f"{round(each * sum(y for _, y in lengths)):,}"))
    answered = [row.tokens for row in (*facts.base, *facts.trained)]
    if answered:
        rows.append((f"response tokens of the evaluation {facts.task}", f"{sum(answered):,}"))
    peak = facts.summary.get("peak_memory_gib")
    rows.append(("peak memory", f"{number(peak)} GiB" if is_number(peak) else "not measured"))
    return rows


def events(facts: Facts) -> tuple[list[tuple[str, str, str]], int]:
    """((time since the start, kind, details) of the last events, how many earlier ones are left out)."""
    start = facts.env.get("created")
    shown = facts.events[-MOST_EVENTS:]
    rows = []
    for event in shown:
        when = event.get("time")
        after = duration(max(0.0, float(when) - float(start))) if is_number(when) and is_number(start) else ""
        details = [f"{k}: {v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}"
                   for k, v in event.items() if k not in _BOOKKEEPING]  # fmt: skip
        rows.append((after, str(event.get("kind", "")), "\n".join(details)))
    return rows, len(facts.events) - len(shown)


def limits(facts: Facts) -> list[str]:
    """The summary's sentences and those that follow from the numbers alone."""
    said = facts.summary.get("limits")
    out = [str(sentence) for sentence in said] if isinstance(said, list | tuple) else []
    groups = table(facts)
    out.append(
        "One training run: every interval and badge speaks about this run on other problems of the same kind. Another "
        "seed can come out differently, and nothing here compares training methods."
    )
    if groups and groups[0][1]:
        first = groups[0][1][0]
        out.append(
            f"The headline rests on {first.n} problems, one greedy answer each: one problem is "
            f"{100 / first.n:.2g} points."
        )
        small = [row for _, rows in groups for row in rows if row.n < 30]
        if small:
            least = min(row.n for row in small)
            out.append(
                f"{len(small)} rows of the table have fewer than 30 problems (down to {least}, where one problem is "
                f"{100 / least:.2g} points); read their intervals, not their estimates."
            )
        blunt = [row for row in (groups[0][1]) if row.badge == "inconclusive" and row.detectable]
        for row in blunt:
            change = f"a true change below {100 * (row.detectable or 0):.1f} points would mostly go unseen"
            out.append(f"{row.label}: {change} (80 % power).")
        rows = sum(len(found) for _, found in groups)
        out.append(
            f"The table holds {rows} intervals and none is corrected for their number; the first was the question."
        )
    elif not facts.base:
        out.append("No held-out evaluation of the untrained and the trained model: whether it learned is not measured.")
    if facts.task and not facts.task.endswith("test"):
        out.append(f"{facts.task} was also read during the run, so it is not an untouched test set.")
    if facts.state and facts.state != "done":
        out.append(f"The run’s state is “{facts.state}”: the page shows what was recorded so far.")
    return list(dict.fromkeys([*out, *facts.notes]))


def command(facts: Facts) -> str:
    """The command line as it can be pasted."""
    argv = [str(word) for word in facts.env.get("argv") or []]
    if argv and PurePath(argv[0]).name in {"oneshot", "oneshot-rlvr", "__main__.py"}:
        argv = argv[1:]
    return shlex.join(["oneshot", *argv]) if argv else ""


def versions(facts: Facts) -> list[tuple[str, str]]:
    """Python, packages, platform, commit and seeds: (what, which)."""
    env, packages = facts.env, facts.env.get("packages")
    rows = [("python", env.get("python"))]
    rows += list(packages.items()) if isinstance(packages, Mapping) else []
    rows += [("platform", env.get("platform")), ("usable CPU cores", env.get("cpu_usable")),
             ("commit", env.get("git_commit"))]  # fmt: skip
    seeds = facts.summary.get("seeds")
    if not isinstance(seeds, Mapping):
        seeds = {"run": facts.config.get("seed"), "task": facts.config.get("data", {}).get("task_seed")}
    rows += [(f"{name} seed", value) for name, value in seeds.items()]
    return [(str(name), str(value)) for name, value in rows if value is not None]


def data(facts: Facts) -> dict[str, Any]:
    """What can be downloaded from the page: the numbers behind it, without responses."""
    keys = ("step", "train/accuracy", "reward", "frac_reward_zero_std", *(row[0] for row in SMALL))
    rows = [{key: row[key] for key in keys if key in row} for row in facts.metrics]
    curves = {
        label: [{"step": r.step, **r.accuracy.as_dict()} for r in readings] for label, readings in facts.curves.items()
    }
    found = {
        "schema": "oneshot.report-data/1",
        "run": facts.name,
        "summary": dict(facts.summary),
        "config": dict(facts.config),
        "env": dict(facts.env),
        "held_out": curves,
        "metrics": rows,
    }
    size = len(json.dumps(found))
    if size > MOST_DATA:  # a run of thousands of steps: the page stays small, the run folder has them all
        found["metrics"] = thinned(rows, max(1, len(rows) * MOST_DATA // (2 * size)))
        found["metrics_note"] = f"{len(found['metrics'])} of {len(rows)} steps; metrics.jsonl has all of them"
    return found


def data_link(facts: Facts) -> str:
    """`data` as a link target. Base64 leaves nothing that HTML could read as markup."""
    body = json.dumps(data(facts), indent=1, ensure_ascii=True)
    return "data:application/json;base64," + base64.b64encode(body.encode()).decode()
