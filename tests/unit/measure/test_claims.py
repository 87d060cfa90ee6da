"""The five claims: each badge by hand, Holm over the page, and what is not tested and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oneshot.measure.instruments import instruments
from oneshot.measure.multiplicity import holm
from oneshot.measure.proportions import fisher_exact, newcombe
from oneshot.measure.statistics import bonett_price
from oneshot.record import RunFolder
from oneshot.types import EvalRow
from tests.unit.measure.claimed import BASE, KINDS, run_of, told
from tests.unit.measure.recorded import EXAMPLE, new_run, preflight, put, rows, steps


def test_learned_by_hand(tmp_path: Path) -> None:
    made = new_run(tmp_path)
    preflight(made, 20, 32)  # of an attempt that ended before its first step
    preflight(made, 6, 32)
    steps(made, [3, 4, 6, 9, 12, 14, 15, 16, 16])
    found = told(made)["learned"]
    # The last quarter of the eight steps after step 0: two of them, 32 of 32 right.
    interval = newcombe(32, 32, 6, 32)
    assert (found.badge, found.n, found.estimate) == ("supported", 32, 1 - 6 / 32)
    assert (found.low, found.high) == (interval.low, interval.high)
    assert found.p_value == found.p_holm == fisher_exact(32, 32, 6, 32)
    assert "32 training samples of the last 2 steps against 32 of the base model" in found.why
    assert found.sentence.startswith("In this run the model learned the example: 18.8% to 100.0%, +81.2 points")


@pytest.mark.parametrize(("last", "badge"), [(16, "supported"), (8, "inconclusive"), (0, "harmed")])
def test_learned_in_each_direction(tmp_path: Path, last: int, badge: str) -> None:
    made = new_run(tmp_path)
    preflight(made, 16, 32)
    steps(made, [8] + [last] * 8)
    assert told(made)["learned"].badge == badge


def test_the_base_rate_never_comes_from_the_probe_that_chose(tmp_path: Path) -> None:
    made = new_run(tmp_path)
    made.write_selection([{"id": EXAMPLE.id, "value": 0.5, "n": 32, "rate": 0.5}])
    steps(made, [4] + [16] * 8)
    found = told(made)["learned"]
    assert "training step 0" in found.why and found.estimate == 0.75
    only = new_run(tmp_path)
    preflight(only, 6, 32)
    steps(only, [16])  # step 0 is sampled from the base model
    assert told(only)["learned"].badge == "not tested"


def test_several_examples_are_the_unit(tmp_path: Path) -> None:
    made = new_run(tmp_path, examples=[EXAMPLE, replace(EXAMPLE, id="b")])
    made.event("preflight", value=0.25, ci_low=0.1, ci_high=0.45, n=32, rates=[0.2, 0.3], pool=2)
    steps(made, [4] + [15] * 8)
    one = told(made)["learned"]  # only one of the two was visited
    assert one.n == 32 and "MOVER" in one.why and one.badge == "supported"


def test_held_out_and_other_categories_by_hand(tmp_path: Path) -> None:
    # Problems 0, 2, 4, ... are add (the example's), the others mul. 20 are gained, all of them mul.
    after = "".join("1" if i < 10 or (i % 2 and i < 50) else "0" for i in range(60))
    found = told(run_of(tmp_path, after))
    interval = bonett_price(20, 0, 60)
    held, other = found["held_out"], found["other_categories"]
    assert (held.low, held.high, held.n, held.badge) == (interval.low, interval.high, 60, "supported")
    assert held.estimate == pytest.approx(20 / 60) and other.estimate == pytest.approx(20 / 30)
    assert (other.n, other.badge) == (30, "supported") and "1 category without add" in other.why
    assert found["learned"].badge == found["beyond_control"].badge == "not tested"


def test_the_example_itself_is_not_held_out(tmp_path: Path) -> None:
    made = new_run(tmp_path, examples=[replace(EXAMPLE, prompt=" p0? ")])
    put(made, "quiz", "base", rows(BASE))
    put(made, "quiz", "checkpoint-8", rows(BASE))
    assert told(made)["held_out"].n == 59


def test_the_ladder_of_the_built_in_task_counts_its_own_kind(tmp_path: Path) -> None:
    def graded(own: str, other: str) -> list[EvalRow]:
        near = rows("1", prefix="x", categories=("add",), rungs=["paraphrase"])
        return [
            *rows(own, categories=("add",), rungs=["own_kind"]),
            *rows(other, prefix="q", categories=("mul",), rungs=["other_kinds"]),
            *near,
        ]

    made = run_of(tmp_path, "0")
    put(made, "builtin-test", "base", graded("1" + "0" * 29, "1" * 15))
    put(made, "builtin-test", "checkpoint-8", graded("1" * 30, "0" * 15))
    found = told(made)
    assert (found["held_out"].n, found["held_out"].badge) == (30, "supported")
    assert (found["other_categories"].n, found["other_categories"].badge) == (15, "harmed")
    assert "other categories got worse" in found["other_categories"].sentence


def test_a_null_says_what_it_excludes(tmp_path: Path) -> None:
    found = told(run_of(tmp_path, BASE))["held_out"]
    assert found.badge == "inconclusive" and found.high is not None
    assert f"Gains above {100 * found.high:.1f} points are excluded" in found.why and "80 % power" in found.why
    assert "it is open whether" in found.sentence


def test_holm_over_the_page_takes_a_badge_away(tmp_path: Path) -> None:
    # 8 gained and 1 lost: p = 2 (1 + 9)/2^9 = .0391, and twice that is .0781.
    made = run_of(tmp_path, "0" + "1" * 17 + "0" * 42)
    alone = told(made)["held_out"]
    assert alone.p_value == pytest.approx(20 / 512) and alone.badge == "inconclusive"
    assert alone.low is not None and alone.low > 0
    assert f"{alone.p_holm:.3f}" in alone.why and "2 claims" in alone.why
    found = [claim for claim in told(made).values() if claim.p_value is not None]
    assert [claim.p_holm for claim in found] == holm([claim.p_value or 0.0 for claim in found])


@pytest.mark.parametrize(
    ("base", "floor", "room"),
    [("0" * 60, 0.0, False), (BASE, 0.25, False), (BASE, 0.0, True), ("1" * 30 + "0" * 30, 0.25, True)],
)
def test_no_room_to_measure(tmp_path: Path, base: str, floor: float, room: bool) -> None:
    found = told(run_of(tmp_path, "1" * 60, base, floor=floor))["held_out"]
    assert (found.badge == "supported") == room
    assert ("No room to measure" in found.why) != room and found.estimate is not None


def test_room_is_asked_of_the_base_not_of_the_control_arm(tmp_path: Path) -> None:
    made = run_of(tmp_path, "1" * 40 + "0" * 20)
    fallen = run_of(tmp_path, "0" * 60, control="random")
    assert told(made, fallen)["beyond_control"].badge == "supported"
    guessing = run_of(tmp_path, "1" * 40 + "0" * 20, "0" * 60)
    found = told(guessing, fallen)["beyond_control"]
    assert found.badge == "not tested" and "the interval before training" in found.why


def test_of_several_prompts_the_best_is_the_baseline(tmp_path: Path) -> None:
    made = run_of(tmp_path, "1" * 60)
    for name, right in (("boxed", 30), ("training", 20)):
        graded = rows("1" * right + "0" * (60 - right), categories=KINDS)
        made.write_eval("quiz", f"base+prompt-{name}", {"value": right / 60}, graded)
    assert "the best prompt of the list 50.0 %" in told(made)["beyond_format"].why


def test_raised_to_chance_is_not_measured(tmp_path: Path) -> None:
    found = told(run_of(tmp_path, "1" * 16 + "0" * 44, "1" * 2 + "0" * 58, floor=0.25))["held_out"]
    assert found.badge == "not tested" and "at or below chance" in found.why


def forced(words: str, right: int) -> list[EvalRow]:
    return [replace(row, meta={**row.meta, "forced": i < right}) for i, row in enumerate(rows(words, categories=KINDS))]


def test_beyond_format_against_a_forced_box(tmp_path: Path) -> None:
    made = new_run(tmp_path)
    put(made, "quiz", "base", forced(BASE, 15))
    put(made, "quiz", "checkpoint-8", forced("1" * 40 + "0" * 20, 40))
    found = told(made)["beyond_format"]
    assert found.badge == "supported"
    assert found.estimate == pytest.approx(25 / 60) and (found.low, found.high) == (
        bonett_price(25, 0, 60).low, bonett_price(25, 0, 60).high
    )  # fmt: skip
    assert "a forced box 25.0 %" in found.why and "Not measured: the best prompt of the list" in found.why


def test_beyond_format_is_not_tested_against_the_lenient_grade_alone(tmp_path: Path) -> None:
    made = run_of(tmp_path, "1" * 60)
    found = told(made)["beyond_format"]
    assert (found.badge, found.p_value) == ("not tested", None) and found.estimate == pytest.approx(50 / 60)
    (line,) = found.tries
    assert line.endswith("--tasks quiz --forced-box") and "(--control format)" in found.why
    arm = run_of(tmp_path, "1" * 20 + "0" * 40, control="format")
    beside = told(made, arm)["beyond_format"]
    assert beside.badge == "supported" and beside.estimate == pytest.approx(40 / 60)
    bare = [replace(row, meta={}) for row in rows(BASE, categories=KINDS)]
    put(made, "quiz", "base", bare)
    assert "graded both strictly" in told(made)["beyond_format"].why


def test_beyond_format_where_no_box_is_asked_for(tmp_path: Path) -> None:
    made = new_run(tmp_path, reward={"name": "number", "control": ""})
    put(made, "quiz", "base", forced("l" * 10 + "0" * 50, 15))
    put(made, "quiz", "checkpoint-8", forced("l" * 40 + "0" * 20, 40))
    found = told(made)["beyond_format"]
    assert found.badge == "supported" and found.estimate == pytest.approx(25 / 60)
    assert "base as it stands 16.7 %" in found.why and "lenient" not in found.why


def test_recorded_responses_of_the_base_show_no_learning(tmp_path: Path) -> None:
    arm = new_run(tmp_path, control="rft")
    preflight(arm, 6, 32)
    steps(arm, [16] * 20)
    assert told(arm)["learned"].badge == "not tested" and "recorded responses" in told(arm)["learned"].why
    assert instruments(arm)["saturation"]["step"] is None


def test_a_run_with_nothing(tmp_path: Path) -> None:
    for made in (RunFolder.create(tmp_path, "bare", {}, []), new_run(tmp_path)):
        assert {claim.badge for claim in told(made).values()} == {"not tested"}
    damaged = run_of(tmp_path, "1" * 60)
    for name in ("config.json", "metrics.jsonl", "events.jsonl", "example.jsonl", "env.json"):
        (damaged.path / name).write_text("{]\n", "utf-8")
    assert told(damaged)["held_out"].badge == "supported"
    assert "not evaluated" in told(damaged, task="other")["held_out"].why
