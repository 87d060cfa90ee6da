"""`oneshot grade FILE.jsonl`: a verdict on every row, in the file's order, one row in memory at a time. Loads no torch.

A row is a JSON object with a reference (`gold`, `answer`, `reference` or `ground_truth`) and a `response` (or
`completion`). The file is checked as it streams: the first bad row ends the work with exit 4, after the verdicts on the
rows before it and their summary. An empty reference is a legal row; it matches nothing and has status `empty`.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from oneshot.config.request import Request
from oneshot.data.responses import Row, read_responses
from oneshot.errors import BelowThreshold, DataError, UsageError
from oneshot.measure.statistics import Interval, wilson
from oneshot.rollout.collect import graded
from oneshot.stages import graders
from oneshot.types import Verdict, Verifier

STDIN = "-"
NAMED_ROWS = 5
"""Rows named where the grader disagrees with `expected`."""


@dataclass
class Tally:
    """What all verdicts so far have in common; its size does not grow with the rows."""

    rows: int = 0
    correct: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, 0)
    """Seconds and line."""
    scores: int = 0
    score: float = 0.0
    labelled: int = 0
    false_accepts: int = 0
    false_refusals: int = 0
    disagree: list[int] = field(default_factory=list)
    """The first lines where `expected` says otherwise."""

    def add(self, row: Row, verdict: Verdict) -> None:
        """Count one verdict."""
        self.rows += 1
        self.correct += verdict.correct
        self.statuses[verdict.status] += 1
        self.slowest = max(self.slowest, (verdict.seconds, row.line), key=lambda pair: pair[0])
        if verdict.score is not None:
            self.scores += 1
            self.score += verdict.score
        if row.expected is not None:
            self.labelled += 1
            self.false_accepts += verdict.correct and not row.expected
            self.false_refusals += row.expected and not verdict.correct
            if verdict.correct != row.expected and len(self.disagree) < NAMED_ROWS:
                self.disagree.append(row.line)


def main(request: Request) -> int:
    """Verdicts (with --json, one a line) or a table on stdout. Exit 4 at the first bad row, 6 below --fail-under.

    Raises:
        UsageError: E102 unknown grader, E103 a threshold for a named task, E106 no such file.
        DataError: E301 a bad row, with its line; E305 the user's function failed on a row.
        BelowThreshold: E601.
    """
    (source,) = request.positional
    least = _least(request)
    verify = graders.build(
        str(request.verb_flags.get("grader", graders.DEFAULT)), timeout=request.config.reward.timeout
    )  # fmt: skip
    tally, began, name = Tally(), time.perf_counter(), "standard input" if source == STDIN else source
    failed: DataError | None = None
    try:
        with _opened(source) as lines:
            for row in read_responses(lines, name):
                verdict = graded(verify, row.response, row.reference, f"{name}, line {row.line}")
                tally.add(row, verdict)
                if request.json:
                    print(json.dumps(_told(row, verdict)), flush=source == STDIN)
    except DataError as error:
        kept = f"The {tally.rows} rows before it were graded." if tally.rows else "No row was graded."
        failed = DataError(error.message, code=error.code, tries=error.tries, kept=kept)
    if tally.rows:
        text = summary(tally, verify, time.perf_counter() - began)
        if not request.json:
            print(text)
        elif not request.quiet:
            print(text, file=sys.stderr)
    if failed:
        raise failed
    return _judge(request, tally, least)


def _least(request: Request) -> float | None:
    """The value of --fail-under; there is one task here, and it has no name."""
    given: Mapping[str, float] = request.verb_flags.get("fail_under", {})
    if named := sorted(set(given) - {""}):
        value = given[named[0]]
        raise UsageError(
            f"--fail-under {named[0]}={value}: oneshot grade has one task, without a name.",
            code="E103",
            tries=(f"--fail-under {value}",),
        )
    return given.get("")


def _judge(request: Request, tally: Tally, least: float | None) -> int:
    share = tally.correct / tally.rows
    if least is None or share >= least:
        return 0
    below = BelowThreshold(f"{share:.4f} of the responses are right, below --fail-under {least}.")
    if not request.json:
        raise below
    print(below.render(), file=sys.stderr)  # stdout holds verdicts only
    return below.exit_code


def _told(row: Row, verdict: Verdict) -> dict[str, Any]:
    """One line of the output; score and message only where there are any."""
    told: dict[str, Any] = {"row": row.line} | ({} if row.id is None else {"id": row.id})
    told |= {"correct": verdict.correct, "extracted": verdict.extracted, "method": verdict.method}
    told |= {"status": verdict.status, "seconds": round(verdict.seconds, 6)}
    told |= {} if verdict.score is None else {"score": verdict.score}
    return told | ({"message": verdict.message} if verdict.message else {})


def summary(tally: Tally, verify: Verifier, seconds: float) -> str:
    """The figures of a tally, one a line."""
    slowest, line = tally.slowest
    statuses = ", ".join(f"{name} {count:,}" for name, count in tally.statuses.most_common())
    lines = [("grader", verify.name)]
    if called := graders.convention(verify):
        lines.append(("convention", called))
    lines += [
        ("right", f"{tally.correct:,} of {tally.rows:,} = {_share(wilson(tally.correct, tally.rows))}"),
        ("status", statuses),
        ("slowest", f"row {line}: {slowest:.4f} s"),
        ("speed", f"{tally.rows / max(seconds, 1e-9):,.0f} rows/s"),
    ]
    if tally.scores:
        lines.insert(-3, ("mean score", f"{tally.score / tally.scores:.4f}"))
    if tally.labelled:
        agreed = tally.labelled - tally.false_accepts - tally.false_refusals
        text = f"{agreed:,} of {tally.labelled:,} with `expected`"
        text += f"; {tally.false_accepts} false accepts, {tally.false_refusals} false refusals"
        if tally.disagree:
            more = ", ..." if tally.false_accepts + tally.false_refusals > len(tally.disagree) else ""
            text += f" (rows {', '.join(map(str, tally.disagree))}{more})"
        lines.append(("agreement", text))
    return "\n".join(f"{name:<12}{value}" for name, value in lines)


def _share(interval: Interval) -> str:
    return f"{interval.estimate:.1%}, 95 % interval {interval.low:.1%} to {interval.high:.1%}"


@contextmanager
def _opened(source: str) -> Iterator[IO[bytes]]:
    """The lines of a file, or of standard input."""
    if source == STDIN:
        yield sys.stdin.buffer
        return
    try:
        file = open(Path(source).expanduser(), "rb")  # noqa: SIM115  (what the body raises is not this file's)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise UsageError(
            f"{source} cannot be read: {why}.", code="E106", tries=("oneshot grade FILE.jsonl", "oneshot grade -")
        ) from error
    with file:
        yield file
