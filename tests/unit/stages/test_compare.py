"""`oneshot compare` on folders made by hand: the numbers, the arms, and what is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import t as student

from oneshot.measure.statistics import bonett_price, wilson
from tests.unit.stages.comparing import compared, folder, object_of, put, response, run

N = 40
NOT_ALL = ("not tested beyond lenient",)
"""What a gain comes to without its baselines."""


def right(count: int, n: int = N) -> str:
    """The first ones right."""
    return "1" * count + "0" * (n - count)


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """The JSON object of a comparison that works, in a folder whose runs are below `runs`."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: object_of(lambda *given: compared(capsys, *given), *words)


def test_a_run_alone_is_base_against_its_last_checkpoint(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    put(one, "math500", "base", right(10))
    put(one, "math500", "checkpoint-4", right(40))
    put(one, "math500", "checkpoint-12", "0" * 2 + "1" * 20 + "0" * 18)
    found = told(one.path)
    assert found["schema"] == "oneshot.compare/1"
    assert [arm[0]["checkpoint"] for arm in found["arms"].values()] == ["base", "checkpoint-12"]
    task = found["tasks"]["math500"]
    base, own = wilson(10, N), task["arms"]["A"]
    assert (own["value"], own["ci_low"], own["ci_high"]) == pytest.approx((base.estimate, base.low, base.high))
    assert (task["n"], task["one_problem"], task["room"]) == (N, 1 / N, True)
    claim = task["comparisons"]["B"]
    pair, interval = claim["paired"], bonett_price(12, 2, N)
    assert (pair["gained"], pair["lost"], pair["estimate"]) == (12, 2, 0.25)
    assert (pair["ci_low"], pair["ci_high"]) == pytest.approx((interval.low, interval.high))
    assert claim["p_holm"] == pair["p_value"] == pytest.approx(2 * (1 + 14 + 91) / 2**14)
    assert (claim["claim"], claim["scope"], claim["seeds"]) == ("supported", "this run", None)
    assert claim["transitions"]["wrong"] == {"cut": 0, "none": 0, "wrong": 18, "right": 12}
    assert found["claims"] == 1


def test_arms_by_checkpoint_folder_and_name(told: Callable[..., dict[str, Any]]) -> None:
    one, other = run(Path("runs")), folder(Path("runs/eval-other"))
    for store, checkpoint, count in ((one, "checkpoint-4", 12), (one, "base+icl", 13), (other, "base", 14)):
        put(store, "math500", checkpoint, right(count))
    put(one, "math500", "base", right(11))
    found = told(f"{one.path}:base", f"{one.path.name}:checkpoint-4", f"{one.path}:base+icl", "eval-other")
    values = {letter: round(arm["value"] * N) for letter, arm in found["tasks"]["math500"]["arms"].items()}
    assert values == {"A": 11, "B": 12, "C": 13, "D": 14}
    assert found["claims"] == 3


def test_the_best_checkpoint_is_the_best_kept_one_on_dev(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"), source="builtin")
    for step, count in ((4, 30), (8, 20)):
        put(one, "builtin-dev", f"checkpoint-{step}", right(count))
        put(one, "math500", f"checkpoint-{step}", right(count))
        one.checkpoint_dir(step).mkdir(parents=True)
    put(one, "math500", "base", right(10))
    assert told(f"{one.path}:base", f"{one.path}:best")["arms"]["B"][0]["checkpoint"] == "checkpoint-4"
    assert told(f"{one.path}:base", f"{one.path}:last")["arms"]["B"][0]["checkpoint"] == "checkpoint-8"


def test_holm_is_over_tasks_and_averages(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    for task, after in (("gsm8k", 25), ("aime24", 19)):
        put(one, task, "base", right(10))
        put(one, task, "checkpoint-4", right(after))
    found = told(one.path)
    claims = {name: task["comparisons"]["B"] for name, task in {**found["tasks"], **found["averages"]}.items()}
    assert list(claims) == ["aime24", "gsm8k", "all 2 tasks"] and found["claims"] == 3
    ordered = sorted(claims.values(), key=lambda claim: claim["p_value"])
    assert ordered[0]["p_holm"] == pytest.approx(3 * ordered[0]["p_value"])
    assert ordered[-1]["p_holm"] == pytest.approx(max(ordered[-1]["p_value"], ordered[1]["p_holm"]))
    mean = found["averages"]["all 2 tasks"]
    assert mean["comparisons"]["B"]["paired"]["estimate"] == pytest.approx((15 + 9) / 2 / N)
    assert mean["arms"]["B"]["value"] == pytest.approx((25 + 19) / 2 / N)
    assert mean["tasks"] == ["aime24", "gsm8k"]


def test_an_interval_that_does_not_survive_holm_supports_nothing(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    tasks = ["gsm8k", "aime24", "amc23", "minerva_math", "olympiadbench"]
    for task in tasks:
        put(one, task, "base", right(10))
        put(one, task, "checkpoint-4", right(16 if task == "gsm8k" else 10))
    claim = told(one.path)["tasks"]["gsm8k"]["comparisons"]["B"]
    assert claim["paired"]["badge"] == "supported" and claim["p_value"] == 2 / 2**6
    assert claim["p_holm"] == 1 / 32 * 6 and claim["claim"] == "inconclusive"


def test_a_whole_suite_has_its_average(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    for task in ("math500", "aime24", "aime25", "amc23", "minerva_math", "olympiadbench"):
        for checkpoint, count in (("base", 10), ("checkpoint-4", 20)):
            put(one, task, checkpoint, right(count))
    found = told(one.path)
    assert list(found["averages"]) == ["math6"]
    assert told(one.path, "--tasks", "math6")["averages"] == found["averages"]


def test_no_room_to_measure(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    put(one, "arc_easy", "base", right(11), floor=0.25)
    put(one, "arc_easy", "checkpoint-4", right(30), floor=0.25)
    task = told(one.path)["tasks"]["arc_easy"]
    assert (task["room"], task["floor"]) == (False, 0.25)
    assert task["comparisons"]["B"]["claim"] == "no room to measure"


def test_an_average_has_no_room_where_one_of_its_tasks_has_none(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    for task, before in (("arc_easy", 11), ("arc_challenge", 20)):
        put(one, task, "base", right(before), floor=0.25)
        put(one, task, "checkpoint-4", right(38), floor=0.25)
    found = told(one.path)
    assert found["tasks"]["arc_challenge"]["comparisons"]["B"]["claim"] == "supported"
    mean = found["averages"]["reasoning"]
    assert (mean["room"], mean["comparisons"]["B"]["claim"]) == (False, "no room to measure")
    assert list(found["averages"]) == ["reasoning"], "one task with room is no average"


def test_the_tasks_with_room_have_an_average_of_their_own(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    for task, before in (("arc_easy", 11), ("arc_challenge", 20), ("math500", 20)):
        floor = 0.0 if task == "math500" else 0.25
        put(one, task, "base", right(before), floor=floor)
        put(one, task, "checkpoint-4", right(38), floor=floor)
    found = told(one.path)
    assert list(found["averages"]) == ["reasoning", "all 3 tasks", "all 3 tasks, the 2 with room"]
    whole, able = (found["averages"][name] for name in ("all 3 tasks", "all 3 tasks, the 2 with room"))
    assert whole["comparisons"]["B"]["claim"] == "no room to measure"
    assert (able["tasks"], able["room"]) == (["arc_challenge", "math500"], True)
    assert able["comparisons"]["B"]["claim"] == "supported"
    assert able["comparisons"]["B"]["paired"]["estimate"] == pytest.approx(18 / 40)
    assert found["claims"] == 6


@pytest.mark.parametrize(("after", "claim"), [(10, "no room to measure"), (4, "no room to measure"), (30, "supported")])
def test_what_reaches_chance_from_below_is_no_gain(told: Callable[..., dict[str, Any]], after: int, claim: str) -> None:
    one = run(Path("runs"))
    put(one, "arc_easy", "base", "1" * 2 + "n" * 38, floor=0.25)
    put(one, "arc_easy", "checkpoint-4", right(after), floor=0.25)
    task = told(one.path)["tasks"]["arc_easy"]
    assert task["room"] is True  # the base can be told from chance: it lies below
    assert task["comparisons"]["B"]["claim"] == claim and task["comparisons"]["B"]["room"] is (claim == "supported")
    assert {gain["claim"] for gain in task["comparisons"]["B"]["gains"].values()} <= {
        "no room to measure" if after < 30 else "supported, this run", *NOT_ALL,
    }  # fmt: skip


def test_several_samples_and_new_seeds(told: Callable[..., dict[str, Any]]) -> None:
    runs = [run(Path("runs"), f"s{i}", seed=i) for i in range(3)]
    for i, each in enumerate(runs):
        put(each, "math500", "base", ["10"] * N, samples=2)
        put(each, "math500", "checkpoint-4", ["11"] * (20 + 4 * i) + ["10"] * (20 - 4 * i), samples=2)
    found = told(",".join(str(each.path) for each in runs))
    claim = found["tasks"]["math500"]["comparisons"]["B"]
    assert claim["seeds"]["effects"] == pytest.approx([0.25, 0.3, 0.35])
    quantile = student.ppf(0.975, 2)
    half = quantile * 0.05 / 3**0.5
    low, high = min(claim["paired"]["ci_low"], 0.3 - half), max(claim["paired"]["ci_high"], 0.3 + half)
    assert (claim["seeds"]["ci_low"], claim["seeds"]["ci_high"]) == pytest.approx((low, high))
    se = (high - low) / 2 / quantile
    assert claim["seeds"]["detectable"] == pytest.approx((quantile + student.ppf(0.8, 2)) * se)
    assert claim["paired"]["samples"] == 2 and claim["paired"]["n"] == N
    assert (claim["scope"], claim["claim"]) == ("new seeds", "supported")
    assert sum(sum(row.values()) for row in claim["transitions"].values()) == pytest.approx(N)


def test_two_runs_are_no_seeds_and_one_base_stands_beside_all(told: Callable[..., dict[str, Any]]) -> None:
    base, runs = folder(Path("base")), [run(Path("runs"), f"s{i}", seed=i) for i in range(2)]
    put(base, "math500", "base", right(10))
    for each in runs:
        put(each, "math500", "checkpoint-4", right(30))
    claim = told("base", ",".join(str(each.path) for each in runs))["tasks"]["math500"]["comparisons"]["B"]
    assert claim["claim"] == "not tested" and "3 seeds are needed" in claim["scope"]
    assert claim["paired"]["estimate"] == claim["seeds"]["estimate"] == 0.5
    assert claim["transitions"]["wrong"]["right"] == pytest.approx(20)


def test_the_dev_set_is_left_out_where_there_is_a_test(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"), source="builtin")
    for task in ("builtin-dev", "prompt-choice-0123abcd", "math500"):
        for checkpoint, count in (("base", 10), ("checkpoint-4", 20)):
            put(one, task, checkpoint, right(count))
    put(one, "builtin-dev", "checkpoint-8", right(20))
    found = told(one.path)
    assert list(found["tasks"]) == ["math500"] and found["averages"] == {}
    assert found["arms"]["B"][0]["checkpoint"] == "checkpoint-4"
    assert any("builtin-dev" in note and "left out" in note for note in found["notes"])
    dev = told(one.path, "--tasks", "builtin-dev")
    assert dev["arms"]["B"][0]["checkpoint"] == "checkpoint-8" and dev["tasks"]["builtin-dev"]["chosen_by"] is True


def test_categories(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    for checkpoint, kinds in (("base", "0101"), ("checkpoint-4", "1110")):
        rows = [response(f"p{i}", kind, category="add" if i < 2 else "mul") for i, kind in enumerate(kinds)]
        put(one, "math500", checkpoint, rows)
    categories = told(one.path)["tasks"]["math500"]["comparisons"]["B"]["categories"]
    assert {name: pair["estimate"] for name, pair in categories.items()} == {"add": 0.5, "mul": 0}


def test_categories_of_other_names_are_told_and_left_out(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    for checkpoint, names in (("base", "xy"), ("checkpoint-4", "xz")):
        put(one, "math500", checkpoint, [response(f"p{i}", "1", category=name) for i, name in enumerate(names)])
    found = told(one.path)
    assert found["tasks"]["math500"]["comparisons"]["B"]["categories"] == {}
    assert any("call the categories of its problems otherwise" in note for note in found["notes"])


def test_a_null_says_which_gains_it_excludes(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    put(one, "math500", "base", right(10))
    put(one, "math500", "checkpoint-4", right(12))
    claim = told(one.path)["tasks"]["math500"]["comparisons"]["B"]
    assert (claim["claim"], claim["gains_excluded_above"]) == ("inconclusive", claim["paired"]["ci_high"])
    put(one, "math500", "checkpoint-4", right(38))
    assert told(one.path)["tasks"]["math500"]["comparisons"]["B"]["gains_excluded_above"] is None


def test_several_claims_need_larger_differences(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    for task in ("gsm8k", "aime24"):
        put(one, task, "base", right(10))
        put(one, task, "checkpoint-4", right(20))
    sizes = [
        told(one.path, "--tasks", which)["tasks"]["gsm8k"]["comparisons"]["B"] for which in ("gsm8k", "gsm8k,aime24")
    ]
    assert sizes[0]["paired"]["detectable"] < sizes[1]["paired"]["detectable"]
