from __future__ import annotations

import io
import math
import sys

import pytest

from oneshot.stages.selecting.candidates import Candidate, Choice
from oneshot.stages.selecting.table import PLAIN, PROBLEM, SHOWN, blocks_for, show, sparkline, table
from oneshot.types import Problem


def choice(rank: int = 1, prompt: str = "How much?", **changes: object) -> Choice:
    candidate = Candidate(index=rank, id="x", problem=Problem(id="x", prompt=prompt, answer="1"))
    numbers = {"score": 0.25, "low": 0.2, "high": 0.3, "mean": 0.5, "visits": 3, "tie_first": rank, "tie_last": rank}
    rest = {"accuracies": (0.0, 0.5, 1.0), "rank_low": 1.0, "rank_high": 9.0, "corrected": -0.01}
    return Choice(**{"candidate": candidate, "rank": rank, **numbers, **rest, **changes})  # type: ignore[arg-type]


def test_a_sparkline_has_a_block_a_visit_or_the_means_of_stretches() -> None:
    assert sparkline([0, 0.5, 1]) == "▁▅█"
    assert sparkline([0, 1] * 24, bins=4) == "▅▅▅▅"
    assert len(sparkline([0.5] * 100)) == 24
    assert sparkline([]) == ""
    assert sparkline([0, 1], PLAIN) == "_#"


def test_a_row_tells_score_intervals_and_history() -> None:
    head, row = table([choice()])
    assert " ".join(head.split()) == "rank index score 95 % of score of rank corrected mean visits history problem"
    assert " ".join(row.split()) == "1 1 0.2500 0.2000 to 0.3000 1 to 9 -0.0100 0.500 3 ▁▅█ How much?"


def test_columns_without_anything_are_left_out() -> None:
    nan = math.nan
    head, _ = table([choice(low=nan, rank_low=nan, corrected=nan, mean=nan, accuracies=())])
    assert head.split() == ["rank", "index", "score", "visits", "problem"]


def test_long_tables_and_long_or_hostile_texts() -> None:
    lines = table([choice(rank, "a \x1b[31m\n" + "long " * 20) for rank in range(1, SHOWN + 4)])
    assert lines[-1] == "... and 3 more"
    assert len(lines) == SHOWN + 2
    assert "\x1b" not in "".join(lines)
    assert all(line.endswith("...") and len(line.partition("█")[2].strip()) == PROBLEM for line in lines[1:-1])


def test_a_terminal_without_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert blocks_for("utf-8") != blocks_for("ascii") == blocks_for(None) == PLAIN
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    show(["naïve"])
    sys.stdout.flush()
    assert raw.getvalue() == b"na?ve\n"
