"""A ranking as a small table with a sparkline of each history. Loads no torch."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from oneshot.stages.display import BLOCKS, printable
from oneshot.stages.selecting.candidates import Choice

SHOWN = 20
"""Rows at most; the file has them all."""
BINS = 24
"""Characters of a sparkline."""
PROBLEM = 36
"""Characters of the question."""
PLAIN = "_.:-=+*#"
"""Eight levels for a terminal that cannot show blocks."""


def sparkline(accuracies: Sequence[float], blocks: str = BLOCKS, bins: int = BINS) -> str:
    """A history as a row of blocks, the mean of equal stretches of visits where there are more than `bins`."""
    count = min(bins, len(accuracies))
    edges = [round(i * len(accuracies) / count) for i in range(count + 1)] if count else []
    means = [fmean(accuracies[a:b]) for a, b in pairwise(edges)]
    return "".join(blocks[min(int(mean * len(blocks)), len(blocks) - 1)] for mean in means)


def table(choices: Sequence[Choice], blocks: str = BLOCKS) -> list[str]:
    """The first rows of a ranking. `=` after a rank: others have it too; `~` after a mean: no fresh samples."""
    head = ("rank", "index", "score", "95 % of score", "of rank", "corrected", "mean", "visits", "history", "problem")
    rows = [head, *(_cells(choice, blocks) for choice in choices[:SHOWN])]
    unused = {column for column in range(len(head)) if not any(row[column] for row in rows[1:])}
    kept = [[cell for column, cell in enumerate(row) if column not in unused] for row in rows]
    widths = [max(map(len, column)) for column in zip(*kept, strict=True)]
    texts = {head.index(name) for name in ("history", "problem")}
    left = {place for place, column in enumerate(c for c in range(len(head)) if c not in unused) if column in texts}
    lines = ["  ".join(_padded(cell, widths[i], i in left) for i, cell in enumerate(row)).rstrip() for row in kept]
    if len(choices) > SHOWN:
        lines.append(f"... and {len(choices) - SHOWN:,} more")
    return lines


def _padded(cell: str, width: int, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)


def _cells(choice: Choice, blocks: str) -> tuple[str, ...]:
    text = printable(" ".join(choice.candidate.problem.prompt.split()))
    return (
        f"{choice.rank}{'=' if choice.tie_last > choice.tie_first else ' '}",
        printable(str(choice.candidate.index))[:12],
        _number(choice.score),
        f"{_number(choice.low)} to {_number(choice.high)}" if not math.isnan(choice.low) else "",
        f"{choice.rank_low:.0f} to {choice.rank_high:.0f}" if not math.isnan(choice.rank_low) else "",
        _number(choice.corrected),
        _mean(choice),
        str(choice.visits),
        sparkline(choice.accuracies, blocks) if len(choice.accuracies) > 1 else "",
        text if len(text) <= PROBLEM else text[: PROBLEM - 3] + "...",
    )


def _mean(choice: Choice) -> str:
    """With `~` where it is the rate that a probe chose by."""
    return "" if math.isnan(choice.mean) else f"{choice.mean:.3f}{'~' if choice.fresh == 0 else ''}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def show(lines: Sequence[str]) -> None:
    """Print on stdout; what its encoding cannot hold becomes `?`."""
    encoding = sys.stdout.encoding or "ascii"
    print("\n".join(lines).encode(encoding, "replace").decode(encoding))


def blocks_for(encoding: str | None) -> str:
    """The levels of a sparkline that an encoding can show."""
    try:
        BLOCKS.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN
    return BLOCKS
