"""`oneshot doctor RUN`: the health rules on a run folder, each with its numbers and what to do. Loads no torch."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.config.request import Request
from oneshot.errors import HealthAbort, OneshotError, UsageError
from oneshot.measure import health
from oneshot.measure.findings import LEVELS, Finding, Machine
from oneshot.record import RunFolder
from oneshot.report.text import visible
from oneshot.stages.watching.run_process import process_of, written

SCHEMA = "oneshot.run-health/1"
HEALTHY, WARNED, BROKEN = "healthy", "warnings", "broken"


def main(request: Request) -> int:
    """Print what every rule says of a run; 5 when a rule says that it is broken, else 0, with warnings or without.

    Raises:
        UsageError: E104 no such run folder, E105 `--fetch`, which is about this machine.
    """
    if request.verb_flags.get("fetch"):
        raise UsageError(
            "--fetch prepares this machine; with a run, doctor only looks at the run.",
            code="E105",
            tries=("oneshot doctor --fetch", f"oneshot doctor {shlex.quote(request.positional[0])}"),
        )
    run = RunFolder.open(request.positional[0], Path(request.config.save.runs))
    findings = health.examine(run, machine_of(run))
    broken = health.broken(findings)
    if request.json:
        print(files.dumps(told(run, findings)))
    else:
        print("\n".join(lines(findings)))
        if not request.quiet:
            print(verdict(run, findings), file=sys.stderr)
    return HealthAbort.exit_code if broken else 0


def machine_of(run: RunFolder) -> Machine:
    """What has to be asked of the machine."""
    try:
        status = run.status()
    except (OneshotError, OSError):  # a damaged file, which is a finding
        status = {}
    free = None
    with suppress(OSError):  # the folder goes in this moment
        free = shutil.disk_usage(run.path).free
    return Machine(now=time.time(), process=process_of(status), written=written(run), free=free)


def told(run: RunFolder, findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as one JSON-able object."""
    counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    return {
        "schema": SCHEMA,
        "run": str(run.path),
        "verdict": _word(findings),
        "healthy": _word(findings) == HEALTHY,
        "counts": counts,
        "findings": [finding.as_dict() for finding in findings],
    }


def lines(findings: Sequence[Finding]) -> list[str]:
    """One line a finding; what to do about it stands under it and can be pasted."""
    out = []
    for finding in findings:
        out.append(f"{finding.level:<5} {_one_line(finding.text)}")
        if finding.next:
            out.append(f"      -> {_one_line(finding.next)}")
    return out


def verdict(run: RunFolder, findings: Sequence[Finding]) -> str:
    """One sentence under the table: healthy is what nothing warns of."""
    bad, warn = (_rules(findings, level) for level in ("bad", "warn"))
    name, warned = _one_line(run.path.name), f"{len(warn)} warning{'s' if len(warn) > 1 else ''}"
    broken, about = (", ".join(dict.fromkeys(rules)) for rules in (bad, warn))
    if bad:
        return f"{name}: broken ({broken})" + (f", and {warned} ({about})" if warn else "")
    return f"{name}: not broken, {warned} to look at ({about})" if warn else f"{name}: healthy"


def _word(findings: Sequence[Finding]) -> str:
    """The verdict in a word."""
    return BROKEN if _rules(findings, "bad") else WARNED if _rules(findings, "warn") else HEALTHY


def _rules(findings: Sequence[Finding], level: str) -> list[str]:
    """The rule of each finding of a level."""
    return [finding.rule for finding in findings if finding.level == level]


def _one_line(text: str) -> str:
    return visible(text).replace("\n", " ")
