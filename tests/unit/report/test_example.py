"""The example on the page: its base rate while a run goes on, its place in a selection, its own history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot.history import History
from oneshot.record import RunFolder
from oneshot.report import example, page
from oneshot.report.gather import gather
from oneshot.types import Problem
from tests.unit.report.test_page import Page

PICK = {"rank": 3, "score": 0.1541, "ci_low": 0.12, "ci_high": 0.19, "mean_accuracy": 0.25, "visits": 57,
        "tie_first": 2, "tie_last": 5}  # fmt: skip
EXAMPLE = Problem(id="a", prompt="What is 1 + 1?", answer="2")


def run_of(root: Path, *examples: Problem, **told: Any) -> RunFolder:
    run = RunFolder.create(root, "x", {}, [])
    run.start_attempt()
    run.write_example(examples or [EXAMPLE])
    run.event("preflight", value=6 / 32, ci_low=0.089, ci_high=0.353, n=32, **told)
    return run


def test_a_run_that_goes_on_shows_what_the_preflight_measured(tmp_path: Path) -> None:
    text = Page(page.build(run_of(tmp_path))).text
    assert "Solved by the base model 18.8\u202f% of its samples (95 %: 9\u202f% to 35\u202f%, n 32)" in text
    assert "Rank in its selection" not in text


def test_the_rate_of_several_examples_is_of_all_of_them(tmp_path: Path) -> None:
    run = run_of(tmp_path, EXAMPLE, replace(EXAMPLE, id="b"), rates=[0.125, 0.25], pool=2)
    text = Page(page.build(run)).text
    assert "18.8\u202f% of the samples of 2 of 2 examples together" in text
    assert "The first of 2 training examples" in text


def test_of_several_preflights_the_last_counts(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.event("preflight", value=8 / 32, ci_low=0.1, ci_high=0.4, n=32)  # of the attempt that trained
    run.event("preflight", prompt_tokens=9)  # of one that ended before it sampled
    rate = example.base_rate(gather(run))
    assert rate is not None and rate["value"] == 0.25


def test_an_older_run_without_a_preflight_says_not_measured(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, [])
    run.write_example([EXAMPLE])
    assert example.base_rate(gather(run)) is None and "not measured" in Page(page.build(run)).text


def test_rank_and_score_of_a_pick_are_shown(tmp_path: Path) -> None:
    run = run_of(tmp_path, replace(EXAMPLE, meta={"source": "picks.jsonl", **PICK}))
    assert example.picked(gather(run)) == [
        ("Rank in its selection", "3 (tied, ranks 2 to 5)"),
        ("Score there", "0.154 (95 %: 0.12 to 0.19)"),
        ("Solved in the selection", "25.0\u202f% over 57 visits"),
    ]
    assert "Score there 0.154 (95 %: 0.12 to 0.19)" in Page(page.build(run)).text
    once = replace(EXAMPLE, meta={**PICK, "visits": 1})  # a probe, or a history with a single visit
    assert example.picked(gather(run_of(tmp_path, once)))[2][1] == "25.0\u202f% in one visit"
    own = {**PICK, "rank": "<b>first</b>"}  # a column of one's own data that has the same name
    assert example.picked(gather(run_of(tmp_path, replace(EXAMPLE, meta=own)))) == []


def test_the_history_of_the_example_shown_where_there_are_several(tmp_path: Path) -> None:
    history = History()
    keys = ("step", "problem_id", "successes", "samples", "answers")
    visits: list[tuple[Any, ...]] = [(0, "a", 1, 8, {}), (0, "b", 8, 8, {}), (3, "a", 6, 8, {})]
    history.load_state_dict({"rows": [dict(zip(keys, row, strict=True)) for row in visits]})
    several, one = run_of(tmp_path, EXAMPLE, replace(EXAMPLE, id="b")), run_of(tmp_path)
    for run in (several, one):
        history.save(run.history_path)
    figure = example.history(gather(several))
    assert figure is not None and figure.rows == [["0", "1", "8"], ["3", "6", "8"]]
    assert figure.latest == "12.5\u202f% → 75.0\u202f%" and "n 8 samples a visit, 2 visits" in figure.caption
    assert 'id="figure-example-history"' in page.build(several)
    assert example.history(gather(one)) is None
