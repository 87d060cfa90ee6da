"""The arms of `pick.py` in numbers: paired differences on dev, and a table of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oneshot.measure import gains
from oneshot.types import EvalRow, Problem


def compared(problems: Sequence[Problem], before: str, after: str, kind: str) -> dict[str, Any]:
    """`overall` (every kind with equal weight) and `own` (the example's kind): paired differences on dev."""
    base_rows, trained_rows = graded(problems, before), graded(problems, after)
    return {
        "overall": gains.overall(base_rows, trained_rows).as_dict(),
        "own": gains.by_category(base_rows, trained_rows)[kind].as_dict(),
    }


def graded(problems: Sequence[Problem], marks: str) -> list[EvalRow]:
    """The rows that `read` made, as far as its marks tell."""
    return [
        EvalRow(
            id=p.id, category=p.category, prompt=p.prompt, answer=p.answer, response="", extracted=None,
            correct=mark == "1", status="ok", cut=False, tokens=0,
        )
        for p, mark in zip(problems, marks, strict=True)
    ]  # fmt: skip


def table(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """All numbers, an arm a line, and what the random ones range over."""
    shown = [f"{'arm':9} {'kind':9} {'base rate':>9}  {'training':12}  own kind, change and 95 %             overall"]
    for line in lines:
        rate, curve = line["successes"] / line["samples"], line["accuracy"]
        shown.append(
            f"{line['arm']:9} {line['problem']['category']:9} {rate:9.3f}  {curve[0]:.3f}->{curve[-1]:.3f}  "
            f"{change(line['own'])}  {change(line['overall'])}"
        )
    for sort in ("random", "mixed"):
        for what in ("own", "overall"):
            if found := [line[what]["estimate"] for line in lines if line["arm"].startswith(sort)]:
                mean = sum(found) / len(found)
                shown.append(
                    f"{len(found)} {sort}, {what}: mean {mean:+.3f}, {min(found):+.3f} to {max(found):+.3f}; "
                    f"the pick {lines[0][what]['estimate']:+.3f}"
                )
    return shown


def change(of: Mapping[str, Any]) -> str:
    """`.312 -> .500  +.188 [-.041, +.372]`."""
    interval = f"[{of['ci_low']:+.3f}, {of['ci_high']:+.3f}]"
    return f"{of['base']:.3f}->{of['trained']:.3f} {of['estimate']:+.3f} {interval}"
