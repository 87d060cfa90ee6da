"""`oneshot check REWARD`: probe a reward for what it should refuse and what it should accept. Loads no torch."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from oneshot.config.request import Request
from oneshot.errors import DataError, UsageError
from oneshot.rewards.user.hostile import REFERENCES
from oneshot.rewards.user.probes import Findings, Trial, probe
from oneshot.stages.graders import build, convention

SCHEMA = "oneshot.check/1"
MAX_RESPONSE = 80
"""Characters of a response that are shown."""
MAX_LISTED = 12
"""Kinds of probes listed under one heading of the text; --json has them all."""
CODE = "a reward file is code: it is run with your rights, and its worker process is no sandbox."


def main(request: Request) -> int:
    """Probe the reward and print what was found; 4 when something hostile earns what a right answer earns.

    REWARD is a grader's name or `file.py:function`; `--answer` probes with that reference alone. Right answers that are
    refused are told and are no failure: a strict reward is safe. Nor is a reward that raises on odd input, which stops
    a run, unless it gives no right answer a score.

    Raises:
        UsageError: E102 unknown grader, E103 an empty answer, E106 no such file.
        DataError: E305 the reward cannot be loaded or can be exploited.
    """
    (name,) = request.positional
    answer = request.verb_flags.get("answer")
    if answer is not None and not answer.strip():
        raise UsageError("--answer is empty; an empty reference never matches anything.", code="E103")
    verify = build(name, timeout=request.config.reward.timeout, flag="oneshot check")
    with ExitStack() as stack:
        if close := getattr(verify, "close", None):
            stack.callback(close)
        called, signature = convention(verify), getattr(verify, "signature", "")
        if called and not request.quiet:
            print(f"note: {CODE}\nnote: {name} is called as {called}: {signature}", file=sys.stderr)
        references = (answer,) if answer else REFERENCES
        findings = probe(verify, references)
    error = unusable(name, findings)
    print(json.dumps(told(name, called, references, findings)) if request.json else "\n".join(lines(name, findings)))
    if error is None:
        return 0
    if not request.json:
        raise error
    print(error.render(), file=sys.stderr)  # stdout holds the one object already
    return error.exit_code


def unusable(name: str, findings: Findings) -> DataError | None:
    """The error of a reward that can be exploited, or that gives no right answer a score."""
    tries = (f"oneshot check {name} --json   (every probe)", f"oneshot check {name} --answer YOUR_ANSWER")
    holes = findings.holes
    if holes:
        counts = Counter(trial.probe.name for trial in holes)
        listed = "; ".join(f"{probe} ({count})" if count > 1 else probe for probe, count in counts.items())
        return DataError(
            f"the reward {name} accepts {len(holes)} responses that it should refuse: {listed}.",
            code="E305",
            tries=tries,
            kept="In training, a model would learn to give these.",
        )
    if findings.unusable:
        message = f"the reward {name} gives no right answer a score: {findings.failures[0].verdict.message}"
        return DataError(message, code="E305", tries=tries)
    return None


def told(name: str, called: str, references: Sequence[str], findings: Findings) -> dict[str, Any]:
    """Everything as one JSON-able object; seconds are of one call."""
    median, worst = findings.seconds
    lowest, highest = findings.scores or (None, None)
    return {
        "schema": SCHEMA,
        "reward": name,
        "convention": called,
        "references": list(references),
        "probes": findings.planned,
        "tried": len(findings.trials),
        "exploitable": bool(findings.holes),
        "accepts_wrong": [row(trial) for trial in findings.holes],
        "refuses_right": [row(trial) for trial in findings.refusals],
        "partial_credit": [row(trial) for trial in findings.partial],
        "failures": [row(trial) for trial in findings.failures],
        "differs_when_asked_twice": [row(trial) for trial in findings.unsteady],
        "accepts_no_right_answer": findings.blind,
        "score": {"lowest": lowest, "highest": highest, "accepted_from": findings.enough},
        "seconds": {"p50": median, "worst": worst},
    }


def row(trial: Trial) -> dict[str, Any]:
    """One probe with the verdict on it."""
    verdict = trial.verdict
    return {
        "probe": trial.probe.name,
        "reference": trial.probe.reference,
        "response": shown(trial.probe.response),
        "score": trial.score,
        "extracted": None if verdict.extracted is None else shown(verdict.extracted),
        "method": verdict.method,
        "status": verdict.status,
        "message": verdict.message,
        "executed": trial.executed,
        "seconds": trial.seconds,
    }


def shown(text: str) -> str:
    """The start of a text in printable ASCII, at most `MAX_RESPONSE` characters."""
    escaped = text[:MAX_RESPONSE].encode("unicode_escape").decode("ascii").replace(r"\\", "\\")
    whole = len(text) <= MAX_RESPONSE and len(escaped) <= MAX_RESPONSE
    return escaped if whole else f"{escaped[: MAX_RESPONSE - 3]}..."


def lines(name: str, findings: Findings) -> list[str]:
    """The findings as text."""
    median, worst = findings.seconds
    told = [f"{name}: {len(findings.trials)} of {findings.planned} probes tried"]
    told += _listed("accepts what it should refuse", name, findings.holes)
    told += _listed("refuses what it should accept", name, findings.refusals)
    told += _listed("gives no score (in training this stops the run)", name, findings.failures)
    told += _listed("pays in part for wrong answers", name, findings.partial)
    told += _listed("differs when asked twice", name, findings.unsteady)
    if findings.blind:
        told.append(
            r"warning: no right answer in a \boxed{} was accepted, so the refusals say little; if it grades "
            "another kind of answer, name one with --answer."
        )
    if findings.scores:
        told.append("scores {:g} to {:g}; accepted from {:g} on".format(*findings.scores, findings.enough))
    told.append(f"time a call: median {1000 * median:.2f} ms, worst {1000 * worst:.2f} ms")
    return told


def _listed(heading: str, name: str, trials: Sequence[Trial]) -> list[str]:
    """A heading with a count, and under it each kind of probe, or each reason of a failure, with the first response."""
    told = [f"{heading}: {len(trials)}"]
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.verdict.message if trial.failed else trial.probe.name, []).append(trial)
    for group in list(groups.values())[:MAX_LISTED]:
        first = group[0]
        said = first.verdict.message.removeprefix(f"{name} ") if first.failed else f"score {first.score:g}"
        said += ", and the code in it was executed" if first.executed else ""
        references = shown(first.probe.reference) + (f", and {len(group) - 1} more" if len(group) > 1 else "")
        told.append(f"  {first.probe.name}, reference {references}: {said}: {shown(first.probe.response)}")
    if len(groups) > MAX_LISTED:
        told.append(f"  and {len(groups) - MAX_LISTED} more kinds; --json lists all")
    return told
