"""What the page says about the run itself: cost, health log, and how to do it again."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping
from typing import Any

from oneshot._store import files
from oneshot._store.values import is_number
from oneshot.measure.control_line import words_of
from oneshot.report.figures import thinned, values
from oneshot.report.gather import Facts, part
from oneshot.report.multiples import SMALL
from oneshot.report.text import duration, number

MOST_EVENTS = 200
MOST_DATA = 500_000
PHASES = {"time/rollout": "sampling", "time/score": "scoring", "time/update": "updating"}
SHARES = {
    "grader/timeout": "verifier timeouts",
    "grader/error": "grader errors",
    "grader/undecided": "undecided grades",
}
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
    tokens, lengths = values(facts.metrics, "num_tokens"), values(facts.metrics, "completions/mean_length")
    sizes = {float(row["step"]): facts.responses(row) for row in facts.metrics}
    rows = []
    if any(sizes.values()):
        rows.append(("training responses", f"{sum(sizes.values()):,}"))
    if tokens:
        rows.append(("response tokens sampled in training", f"{round(sum(y for _, y in tokens)):,}"))
    elif any(sizes.values()) and lengths:
        rows.append(("response tokens sampled in training", f"{round(sum(sizes[x] * y for x, y in lengths)):,}"))
    steps = [y for _, y in values(facts.metrics, "step_time")]
    if steps:
        rows.append(("time of one step, median", duration(sorted(steps)[len(steps) // 2])))
    answered = [row.tokens for row in (*facts.held.base, *facts.held.trained)]
    if answered:
        rows.append((f"response tokens of the evaluation {facts.held.task}, base and trained", f"{sum(answered):,}"))
    peak = facts.summary.get("peak_memory_gib")
    rows.append(("peak memory", f"{number(peak)} GiB" if is_number(peak) else "not measured"))
    rows.append(("energy and money", "not measured"))
    return rows


def events(facts: Facts, most: int) -> tuple[list[tuple[str, str, str, str]], int]:
    """((time since the start, step, kind, details) of the last `most` events, how many earlier ones are left out)."""
    start = facts.env.get("created")
    shown = facts.events[-most:]
    rows = []
    for event in shown:
        when, step = event.get("time"), event.get("step")
        after = duration(max(0.0, float(when) - float(start))) if is_number(when) and is_number(start) else ""
        details = [f"{k}: {v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}"
                   for k, v in event.items() if k not in _BOOKKEEPING and k != "step"]  # fmt: skip
        rows.append((after, f"{step:g}" if is_number(step) else "", str(event.get("kind", "")), "\n".join(details)))
    return rows, len(facts.events) - len(shown)


def health(facts: Facts) -> list[tuple[str, str]]:
    """(what, how much): attempts, resumes, findings, and what the graders could not decide."""
    attempts = {row.get("attempt") for row in facts.metrics} | {e.get("attempt") for e in facts.events}
    count = len([a for a in attempts if is_number(a) and a > 0])
    rows = [("attempts", str(count) if count else "not recorded")]
    findings = sum(event.get("kind") == "health" for event in facts.events)
    rows.append(("health findings", str(findings)))
    sizes = {float(row["step"]): facts.responses(row) for row in facts.metrics}
    for key, name in SHARES.items():
        found = values(facts.metrics, key)
        if total := sum(sizes[x] for x, _ in found):
            rows.append((name, f"{round(sum(sizes[x] * y for x, y in found)):,} of {total:,} training responses"))
    dropped = [y for _, y in values(facts.metrics, "dropped")]
    if dropped:
        rows.append(("steps dropped (gradient not finite)", f"{sum(y > 0 for y in dropped)} of {len(dropped)}"))
    return rows


def command(facts: Facts) -> str:
    """The command line as it can be pasted."""
    argv = words_of(facts.env)
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
        seeds = {"run": facts.config.get("seed"), "task": part(facts.config, "data").get("task_seed")}
    rows += [(f"{name} seed", value) for name, value in seeds.items()]
    return [(str(name), str(value)) for name, value in rows if value is not None]


def hashes(facts: Facts) -> list[tuple[str, str]]:
    """(what, digest): the base model's weights, a preregistered claim, and of each evaluation its data and grader."""
    rows = []
    for event in facts.events:
        if event.get("kind") in {"model", "preregistered"} and event.get("sha256"):
            name = event.get("name") or event.get("study") or ""
            rows.append((f"{event['kind']} {name}".strip(), str(event["sha256"])))
    for (task, checkpoint), told in facts.held.results.items():
        protocol = part(told, "protocol")
        digests = {"data": part(protocol, "data").get("digest") or protocol.get("problems"),
                   "weights": protocol.get("weights"), "grader": protocol.get("grader_version")}  # fmt: skip
        found = [f"{name} {value}" for name, value in digests.items() if value]
        if found:
            rows.append((f"{task}, {checkpoint}", ", ".join(found)))
    return rows[:MOST_EVENTS]


def data(facts: Facts) -> dict[str, Any]:
    """What can be downloaded from the page: the numbers behind it, without responses."""
    keys = ("step", "train/accuracy", "reward", "frac_reward_zero_std", *(small.key for small in SMALL))
    rows = [{key: row[key] for key in keys if key in row} for row in facts.metrics]
    curves = {
        label: [{"step": r.step, **r.accuracy.as_dict()} for r in readings]
        for label, readings in facts.held.curves.items()
    }
    found: dict[str, Any] = {
        "schema": "oneshot.report-data/1",
        "run": facts.name,
        "summary": dict(facts.summary),
        "config": dict(facts.config),
        "env": dict(facts.env),
        "claims": [vars(claim) for claim in facts.claims],
        "held_out": curves,
        "tasks": {task.name: task.paired for task in facts.held.tasks},
        "instruments": dict(facts.measured),
        "control": {"run": facts.control.name, "summary": dict(facts.control.summary)} if facts.control else None,
        "metrics": rows,
    }
    for key in ("instruments", "control"):  # of very many problems or steps: the run folders have them
        if len(_dumped(found)) > MOST_DATA and len(_dumped(found[key])) > MOST_DATA // 4:
            found[key], found[f"{key}_note"] = None, f"left out for their size; {key} can be computed from the folder"
    size = len(_dumped(found))
    if size > MOST_DATA:  # a run of thousands of steps: the page stays small, the run folder has them all
        kept = thinned(rows, max(1, len(rows) * MOST_DATA // (2 * size)))
        found["metrics"] = kept
        found["metrics_note"] = f"{len(kept)} of {len(rows)} steps; metrics.jsonl has all of them"
    return found


def _dumped(found: object) -> str:
    return files.dumps(found)


def data_link(facts: Facts) -> str:
    """`data` as a link target. Base64 leaves nothing that HTML could read as markup."""
    return "data:application/json;base64," + base64.b64encode(_dumped(data(facts)).encode()).decode()
