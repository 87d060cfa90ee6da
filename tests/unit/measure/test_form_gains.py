"""What strict means follows from the run's own reward, and from the grader of its evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.measure.claim_tests import beyond_format
from oneshot.measure.form_gains import form
from oneshot.measure.instruments import instruments
from oneshot.measure.run_facts import read
from oneshot.record import RunFolder
from oneshot.types import EvalRow
from tests.unit.measure.recorded import EXAMPLE, new_run, put, rows

TWICE = "strictly (boxed) and leniently"


def run_of(root: Path, reward: str, base: Sequence[EvalRow], trained: Sequence[EvalRow], **protocol: Any) -> RunFolder:
    made = new_run(root, reward={"name": reward, "control": ""})
    put(made, "quiz", "base", base, **protocol)
    put(made, "quiz", "checkpoint-8", trained, **protocol)
    return made


def bare(words: str) -> list[EvalRow]:
    """Responses with the evaluation's own grade alone."""
    return [replace(row, meta={}) for row in rows(words)]


def told(run: RunFolder) -> tuple[dict[str, Any], str]:
    """The gains, and what is missing in one text."""
    missing: list[str] = []
    return form(read(run), None, missing), " ".join(missing)


def test_a_reward_that_asks_for_no_box_has_no_gain_from_boxes(tmp_path: Path) -> None:
    made = run_of(tmp_path, "number", rows("l" * 10 + "0" * 20), rows("l" * 25 + "0" * 5))
    own = instruments(made)["format"]
    assert "gain_format" not in own and own["strict"] == "own"
    assert own["gain_total"]["paired"]["estimate"] == pytest.approx(0.5)
    assert "(number) takes an answer without a box" in own["note"] and "was not measured" in own["note"]
    boxed = new_run(tmp_path)
    for name in ("base", "checkpoint-8"):
        put(boxed, "quiz", name, made.read_eval("quiz", name)[1])
    other = instruments(boxed)["format"]
    assert (other["strict"], other["note"]) == ("box", "")
    assert other["gain_total"]["paired"]["estimate"] == 0 and "gain_format" in other


def test_a_strict_gym_reads_the_box_and_a_lenient_one_does_not(tmp_path: Path) -> None:
    for reward, strict in (("gym:chain_sum", "box"), ("gym-lenient:chain_sum", "own")):
        found, _ = told(run_of(tmp_path, reward, rows("l" * 10 + "0" * 20), rows("1" * 10 + "0" * 20)))
        assert found["strict"] == strict and ("gain_format" in found) == (strict == "box")
        assert ("takes an answer without a box" in found["note"]) == (strict == "own")


def test_of_a_users_function_it_is_not_known(tmp_path: Path) -> None:
    before, after = "l" * 10 + "0" * 20, "1" * 20 + "0" * 10
    found, _ = told(run_of(tmp_path, "reward.py:score", rows(before), rows(after)))
    assert found["strict"] == "box" and found["gain_format"]["paired"]["estimate"] == pytest.approx(1 / 3)
    plain, missing = told(run_of(tmp_path, "reward.py:score", bare(before), bare(after)))
    assert plain["strict"] == "own" and plain["gain_total"]["paired"]["estimate"] == pytest.approx(1 / 3)
    assert not missing
    for note in (found["note"], plain["note"]):
        assert "(reward.py:score), a function of your own, asks for a box is not known" in note
        assert "takes an answer without" not in note


def test_a_grader_that_needs_a_box_makes_boxing_no_gain_beyond_form(tmp_path: Path) -> None:
    # The same answers before and after: training taught the box, which the grader wants and the reward does not.
    base, trained = (
        [replace(row, correct=row.meta["boxed"]) for row in rows(words)] for words in ("l" * 30, "1" * 20 + "l" * 10)
    )
    found, _ = told(run_of(tmp_path, "number", base, trained, grader="math"))
    assert found["gain_total"]["paired"]["estimate"] == pytest.approx(2 / 3)
    assert found["gain_reasoning"]["paired"]["estimate"] == 0
    assert found["strict"] == "box" and "grader of the evaluation (math) finds no answer without a box" in found["note"]


def test_why_there_are_no_gains_is_true_of_the_run(tmp_path: Path) -> None:
    ungraded = run_of(tmp_path, "math", bare("0" * 9), bare("1" * 9))
    only = new_run(tmp_path, reward={"name": "number"}, examples=[replace(EXAMPLE, prompt="p0?")])
    for name in ("base", "checkpoint-8"):
        put(only, "quiz", name, rows("1"))
    for made, said in ((ungraded, f"every response graded both {TWICE}"), (only, "no problem but the training")):
        for text in (told(made)[1], beyond_format(read(made), None).why):
            assert said in text and (TWICE in text) == (made is ungraded)
