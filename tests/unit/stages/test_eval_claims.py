"""What `oneshot eval` claims: interval, Holm, room and choice; averages; and what one model alone can tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.measure.pairing import by_problem
from oneshot.measure.scores import accuracy
from oneshot.stages.evals.claims import judge, macro, why_no_mean
from oneshot.stages.evals.output import text
from oneshot.stages.evals.results import entry
from tests.unit.stages.measured import HALF, lines, measured, rows


def change(gained: int, lost: int = 0, n: int = 40, right: int = 10) -> tuple[list[list[int]], list[list[int]]]:
    """Grades before (`right` of `n`) and after: `gained` wrong ones are right then, and `lost` right ones wrong."""
    after = [0] * lost + [1] * (right - lost + gained) + [0] * (n - right - gained)
    return [[1]] * right + [[0]] * (n - right), [[grade] for grade in after]


def entries(count: int, *, floor: float = 0.0) -> dict[str, dict[str, Any]]:
    before, after = change(6)
    found = [measured(f"t{i}", floor=floor, base=rows(before), checkpoint_1=rows(after)) for i in range(count)]
    return {each.name: entry(each, "checkpoint-1") for each in found}


def test_a_claim_needs_its_interval_and_holm() -> None:
    for count, claim in ((1, "supported"), (5, "inconclusive")):
        tasks = entries(count)
        judge(tasks)
        pair = tasks["t0"]["paired"]
        assert (pair["p_value"], pair["p_holm"]) == (2 / 2**6, count * 2 / 2**6)
        assert pair["ci_low"] > 0  # the interval alone would say it of each
        assert (pair["claim"], pair["scope"], pair["claims"]) == (claim, "this run", count)
        assert "badge" not in pair
    shown = "\n".join(lines(entries(5)))
    assert "inconclusive; 6 gained, 0 lost, p = 0.0312, 0.1562 by Holm;" in shown
    assert "supported" not in shown
    shown = "\n".join(lines(entries(1)))
    assert "supported, this run; 6 gained, 0 lost, p = 0.0312; detectable" in shown
    assert "Holm" not in shown


def test_nothing_is_claimed_where_base_may_be_guessing() -> None:
    shown = "\n".join(lines(entries(1, floor=0.25)))
    assert "  no room to measure; 6 gained, 0 lost" in shown.replace("    ", "  ")
    assert "supported" not in shown


def test_problems_that_chose_the_checkpoint_claim_nothing() -> None:
    before, after = change(12)
    found = measured("held", base=rows(before), checkpoint_2=rows(after))
    chosen = {"dev": "held", "checkpoint": "checkpoint-2", "problems": 40, "of": 40}
    told = entry(found, "checkpoint-2", chosen)
    shown = lines({"held": told})
    assert told["chosen_by"] == chosen
    assert told["paired"]["claim"] == "chosen by these problems"
    assert "  checkpoint-2 was chosen by 40 of these problems (dev set held): its value on" in shown
    assert "supported" not in "\n".join(shown)
    few = entry(found, "checkpoint-2", {**chosen, "problems": 3})
    assert "too high" in "\n".join(lines({"held": few}))
    assert few["paired"]["claim"] == "supported"


def test_the_average_of_paired_differences_is_a_claim_of_the_table() -> None:
    found = []
    for name, gained in (("a", 12), ("b", 6)):
        before, after = change(gained)
        found.append(measured(name, base=rows(before), checkpoint_1=rows(after)))
    tasks, mean = {each.name: entry(each, "checkpoint-1") for each in found}, macro(found, "checkpoint-1")
    assert mean is not None
    judge(tasks, mean)
    pair = mean["paired"]
    assert pair["estimate"] == pytest.approx((0.3 + 0.15) / 2)
    assert pair["ci_low"] < pair["estimate"] < pair["ci_high"]
    assert (pair["claim"], pair["claims"], mean["room"]) == ("supported", 3, True)
    shown = lines(tasks, macro=mean)
    assert shown[-3].startswith("  paired, mean of the tasks +22.5 points, 95 % interval ")
    assert shown[-2].startswith("    supported, this run; 18 gained, 0 lost, p = ")
    assert "paired" not in (macro(found, "base") or {"paired": 0})


def test_an_average_is_of_independent_tasks_of_more_than_one_problem() -> None:
    one, two = (measured(name, base=rows(HALF)) for name in ("arc_easy", "arc_easy-loglikelihood"))
    assert macro([one, two], "base") is None
    said = why_no_mean([one, two])
    assert said.startswith("no mean over the tasks: arc_easy and arc_easy-loglikelihood ask the same problems")
    assert said in " ".join(lines({"a": entry(one, "base")}, no_macro=said)).replace("    ", "")
    single = [measured("a", base=rows(HALF)), measured("b", base=rows([[1]]))]
    assert macro(single, "base") is None
    assert "b has a single problem" in why_no_mean(single)
    assert why_no_mean([measured("a", base=rows(HALF)), measured("b", base=rows(HALF))]) == ""


def test_unequal_numbers_of_responses_are_said() -> None:
    told = entry(measured("held", base=rows([[1, 0, 0, 0, 0, 0, 0, 1], [1], [0, 1]])), "base")
    first = lines({"held": told})[0]
    assert first.startswith("held: mean of 1 to 8 responses 58.3% of 3 problems, 95 % interval ")
    assert "avg@" not in first


def test_the_size_that_one_model_alone_can_tell() -> None:
    told = entry(measured("held", base=rows(HALF)), "base")
    size = f"{100 * told['detectable_unpaired']:.1f}"
    assert lines({"held": told})[-2:] == [
        "  one problem is 10.0 points",
        f"  detectable against a model that agrees with this one by chance alone: {size}",
    ]


def test_from_below_chance_to_chance_is_no_gain() -> None:
    before, after = change(8, right=2)
    told = entry(measured("held", floor=0.25, base=rows(before), checkpoint_1=rows(after)), "checkpoint-1")
    assert (told["base"]["room"], told["base"]["ci_high"] < 0.25) == (True, True)
    judge({"held": told})
    assert told["paired"]["p_value"] < 0.01
    assert (told["paired"]["claim"], told["paired"]["room"]) == ("no room to measure", False)


def test_copies_of_a_problem_are_counted_once_in_an_average() -> None:
    copies = [replace(row, prompt="the same") for row in rows([[1]] * 10)]
    found = measured("held", base=copies)
    assert found.interval("base") == accuracy(by_problem(copies))
    assert found.interval("base").n == 1


def test_what_was_measured_differently_is_not_paired() -> None:
    found = [measured(name, base=rows(HALF), checkpoint_1=rows([[1]] * 10), base__icl=rows(HALF)) for name in "ab"]
    for each in found:
        each.folder = Path("runs/a run/evals/a")
        for name, results in each.results.items():
            results["protocol"] = {"dtype": "float32", "prompt": name, "data": {"digest": "d"}}
        each.results["checkpoint-1"]["protocol"]["prompt"] = "base"
    assert "paired" in entry(found[0], "checkpoint-1")
    found[0].results["checkpoint-1"]["protocol"]["dtype"] = "bfloat16"
    told = {each.name: entry(each, "checkpoint-1") for each in found}
    assert "paired" not in told["a"]
    assert told["a"]["not_paired"] == (
        "checkpoint-1 is not paired with base, which was measured differently: dtype 'float32' and 'bfloat16'. A "
        "difference would not be one of the models alone; to measure both alike: mv 'runs/a run/evals/a' "
        "'runs/a run/a.old', then the same command again"
    )
    assert {"over_base", "not_paired"} <= told["a"]["baselines"]["base+icl"].keys()
    assert "trained_over" not in told["a"]["baselines"]["base+icl"]
    assert "paired" in told["b"]  # another prompt is what a baseline is
    mean = macro(found, "checkpoint-1")
    assert mean is not None
    assert "paired" not in mean
    assert mean["not_paired"] == told["a"]["not_paired"]
    judge(told, mean)
    assert told["b"]["paired"]["claims"] == 4  # b's own, its two of the baseline, and that baseline over base in a
    shown = " ".join(text({"tasks": {"a": told["a"]}, "macro": mean}).split())
    assert "checkpoint-1 is not paired with base" in shown
    assert "paired difference" not in shown
