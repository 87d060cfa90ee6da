"""What `oneshot eval` prints and puts into its JSON object, from rows that are written down here."""

from __future__ import annotations

import math

import pytest

from oneshot.stages.evals.claims import judge, macro
from oneshot.stages.evals.output import text
from oneshot.stages.evals.results import entry
from tests.unit.stages.measured import ALL, HALF, ZERO, lines, measured, rows


def test_a_run() -> None:
    found = measured("held", base=rows(ZERO), checkpoint_60=rows(HALF))
    told = entry(found, "checkpoint-60")
    assert (told["value"], told["base"]["value"], told["checkpoint"]) == (0.5, 0.0, "checkpoint-60")
    assert (told["paired"]["gained"], told["paired"]["lost"], told["recorded_as"]) == (5, 0, "held-1234abcd")
    assert "checkpoints" not in told
    shown = lines({"held": told})
    assert shown[:3] == [
        "held: 10 problems x 1 response",
        "  base: 0 of 10 = 0.0%, 95 % interval 0.0% to 27.8%",
        "  checkpoint-60: 5 of 10 = 50.0%, 95 % interval 23.7% to 76.3%",
    ]
    assert shown[3].startswith("  paired difference +50.0 points, 95 % interval ")
    assert shown[4].startswith("    no room to measure; 5 gained, 0 lost, p = 0.0625; detectable: ")
    assert [line.split() for line in shown[5:8]] == [
        ["strict", "lenient", "forced", "found", "cut", "repeated", "tokens"],
        ["base", "0.0%", "0.0%", "0.0%", "100.0%", "0.0%", "0.0%", "12,345"],
        ["checkpoint-60", "50.0%", "50.0%", "50.0%", "100.0%", "0.0%", "0.0%", "12,345"],
    ]
    assert "  no room to measure: the interval holds what guessing reaches (0.0%)" in shown
    assert shown[-1] == "  one problem is 10.0 points"


def test_claims_of_one_table_are_adjusted_together() -> None:
    tasks = {
        name: entry(measured(name, base=rows(ZERO), checkpoint_1=rows(trained)), "checkpoint-1")
        for name, trained in (("a", HALF), ("b", ALL))
    }
    judge(tasks)
    assert tasks["a"]["paired"]["p_value"] == pytest.approx(2 / 2**5)
    assert tasks["b"]["paired"]["p_value"] == pytest.approx(2 / 2**10)
    assert tasks["a"]["paired"]["p_holm"] == pytest.approx(2 / 2**5)
    assert tasks["b"]["paired"]["p_holm"] == pytest.approx(4 / 2**10)
    assert "p = 0.0625, 0.0625 by Holm" in "\n".join(lines(tasks))


def test_all_checkpoints_and_baselines_in_one_table() -> None:
    found = measured(
        "a-rather-long-name-of-a-file", base=rows(ZERO), base__prompt_four_shot=rows(HALF),
        checkpoint_10=rows(HALF), checkpoint_20=rows(ALL), checkpoint_12345=rows(HALF),
    )  # fmt: skip
    told = entry(found, "checkpoint-12345")
    judge({"a": told})
    assert list(told["checkpoints"]) == ["checkpoint-10", "checkpoint-20", "checkpoint-12345"]
    baseline = told["baselines"]["base+prompt-four-shot"]
    assert (baseline["over_base"]["estimate"], baseline["trained_over"]["estimate"]) == (0.5, 0.0)
    assert told["best_on_test"]["step"] == 20
    shown = lines({found.name: told})
    assert "  base+prompt-four-shot - base +50.0 points, 95 % interval" in "\n".join(shown)
    assert "  checkpoint-12345 - base+prompt-four-shot +0.0 points" in "\n".join(shown)


def test_what_was_stopped_has_no_value_of_its_own() -> None:
    told = entry(measured("held", base=rows(HALF)), "checkpoint-60")
    assert "value" not in told
    assert told["base"]["value"] == 0.5
    assert lines({"held": told}, failed={"held": {"code": ""}})[:2] == [
        "held: 10 problems x 1 response",
        "  base: 5 of 10 = 50.0%, 95 % interval 23.7% to 76.3%",
    ]
    told = entry(measured("held", base=rows(HALF), checkpoint_2=rows(ALL)), "checkpoint-60")
    assert ("value" not in told, list(told["checkpoints"])) == (True, ["checkpoint-2"])
    assert lines({"held": told})[2].startswith("  checkpoint-2: 10 of 10")


def test_several_responses() -> None:
    found = measured("held", base=rows([[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], parts=30))
    told = entry(found, "base")
    assert told["pass_at_k"]["4"]["estimate"] == pytest.approx(2 / 3)
    shown = lines({"held": told}, ks=(1, 4))
    assert shown[0].startswith("held: avg@4 41.7% of 3 problems, 95 % interval ")
    passes = next(line for line in shown if line.startswith("  pass "))
    assert passes.startswith("  pass @1 41.7% (")
    assert "@4 66.7% (" in passes
    assert "@2" not in passes
    assert "@2" in "\n".join(lines({"held": told}))


def test_parts_are_listed_up_to_a_dozen() -> None:
    told = entry(measured("held", base=rows([[1]] * 30, parts=15)), "base")
    shown = lines({"held": told})
    assert sum("a rather long part" in line for line in shown) == 12
    assert "    and 3 more (--json shows all)" in shown
    one = entry(measured("held", base=rows(HALF, parts=1)), "base")
    assert "  categories" not in lines({"held": one})


def test_the_mean_of_tasks_has_equal_weights() -> None:
    found = [measured("a", base=rows(HALF)), measured("b", base=rows([[1], [0], [0], [0]] * 25))]
    mean = macro(found, "base")
    assert mean is not None
    assert (mean["value"], mean["tasks"], mean["n"]) == (0.375, 2, 110)
    se = math.sqrt(0.25 / 10 + 0.1875 / 100) / 2  # sqrt(sum of the squared standard errors) / 2
    assert mean["ci_high"] - mean["ci_low"] == pytest.approx(2 * 1.96 * se, rel=0.2)
    assert mean["ci_low"] < 0.375 < mean["ci_high"]
    assert macro(found[:1], "base") is None
    assert macro(found, "checkpoint-1") is None
    shown = lines({each.name: entry(each, "base") for each in found}, macro=mean)
    assert shown[-1].startswith("mean of 2 tasks, equal weight: 37.5%, 95 % interval ")


def test_texts_cannot_move_the_cursor() -> None:
    told = entry(measured("held", base=rows(HALF)), "base")
    assert "\x1b" not in text({"tasks": {"he\x1b[2Jld": told}})
