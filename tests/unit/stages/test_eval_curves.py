"""`--k` shows exactly the k that are asked for, in the table and in the object; and the best needs equal conditions."""

from __future__ import annotations

from oneshot.measure.pass_at_k import pass_at_k
from oneshot.measure.scores import curves
from oneshot.stages.evals.output import text
from oneshot.stages.evals.results import entry
from tests.unit.stages.measured import ALL, HALF, ZERO, lines, measured, rows

MANY = [[1] * (i % 4) + [0] * (70 - i % 4) for i in range(12)]
"""70 responses to each of 12 problems, 0 to 3 of them right."""


def test_any_k_up_to_the_number_of_responses() -> None:
    found = measured("held", base=rows(MANY))
    own = entry(found, "base")
    assert list(own["pass_at_k"]) == ["1", "2", "4", "8", "16", "32", "64", "70"]
    told = entry(found, "base", ks=(3, 65, 70))
    assert list(told["pass_at_k"]) == list(told["maj_at_k"]) == ["3", "65", "70"]
    expected = sum(pass_at_k(70, i % 4, 65) for i in range(12)) / 12
    assert told["pass_at_k"]["65"]["estimate"] == expected
    assert told["pass_at_k"]["70"] == own["pass_at_k"]["70"]
    assert told["maj_at_k"]["70"] == own["maj_at_k"]["70"]
    shown = "\n".join(lines({"held": told}, (3, 65, 70)))
    assert f"@65 {expected:.1%} (" in shown
    assert "@64" not in shown and "@1 " not in shown


def test_a_single_k_is_shown_too() -> None:
    told = entry(measured("held", base=rows(MANY)), "base", ks=(65,))
    shown = text({"tasks": {"held": told}}, (65,))
    assert shown.count("@65 ") == 2, "pass and maj"
    once = entry(measured("held", base=rows(HALF)), "base", ks=(1,))
    assert "pass @1 50.0%" in text({"tasks": {"held": once}}, (1,))


def test_of_a_task_with_fewer_responses_nothing_is_made_up() -> None:
    told = entry(measured("held", base=rows(HALF)), "base", ks=(8,))
    assert (told["pass_at_k"], told["maj_at_k"]) == ({}, {})
    shown = lines({"held": told}, (8,))
    assert not any("@" in line for line in shown)
    assert curves([], [1]) == {"pass_at_k": {}, "maj_at_k": {}}


def test_every_checkpoint_and_baseline_has_them() -> None:
    found = measured("held", base=rows(MANY), base__icl=rows(MANY), checkpoint_1=rows(MANY), checkpoint_2=rows(MANY))
    told = entry(found, "checkpoint-2", ks=(5,))
    parts = [told, told["base"], *told["checkpoints"].values(), *told["baselines"].values()]
    assert [list(part["pass_at_k"]) for part in parts] == [["5"]] * 5


def test_checkpoints_that_were_measured_otherwise_have_no_best() -> None:
    found = measured("held", base=rows(ZERO), checkpoint_1=rows(HALF), checkpoint_2=rows(ALL), checkpoint_3=rows(HALF))
    assert entry(found, "checkpoint-3")["best_on_test"]["step"] == 2
    for name in found.results:
        found.results[name]["protocol"] = {"dtype": "bfloat16" if name == "checkpoint-2" else "float32"}
    told = entry(found, "checkpoint-3")
    assert "best_on_test" not in told
    assert told["no_best_on_test"] == (
        "none is called the best: checkpoint-2 was measured otherwise than checkpoint-1: dtype 'float32' and 'bfloat16'"
    )
    told["base"] = told["base"] | {"room": False}
    shown = " ".join(" ".join(lines({"held": told})).split())
    assert "none is called the best: checkpoint-2 was measured otherwise" in shown
    assert "split-half" not in shown
