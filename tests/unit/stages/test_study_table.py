"""The table of a study from run folders made by hand: equal steps, equal drift, partial studies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from oneshot.stages.studies.dose import NOT_OVER_SEEDS
from oneshot.stages.studies.folder import DONE, StudyFolder
from oneshot.stages.studies.results import told
from oneshot.stages.studies.table import table_of
from oneshot.stages.studies.text import text
from tests.unit.stages.comparing import put
from tests.unit.stages.studying import DRIFT, TASK, cell, fill, right, study_in


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return study_in(tmp_path)


def claims_of(folder: StudyFolder) -> dict[tuple[str, str], dict[str, Any]]:
    (task,) = told(table_of(folder))["tasks"].values()
    return {(claim["arm"], claim["against"]): claim for claim in task["claims"]}


def test_three_seeds_at_equal_steps(folder: StudyFolder) -> None:
    fill(folder)
    table = table_of(folder)
    (task,) = table.tasks
    assert (task.task, task.n, task.step) == (TASK, 20, 4)
    assert task.rows["full"].base.estimate == 0.0
    assert task.rows["full"].last.estimate == pytest.approx((12 + 14 + 13) / 60)
    assert task.rows["full"].to_base.estimate == pytest.approx(39 / 60)
    claims = claims_of(folder)
    assert list(claims) == [("full", "shuffled"), ("pg", "shuffled"), ("full", "pg")]
    found = claims["pg", "shuffled"]
    assert found["effects"] == pytest.approx([6 / 20, 4 / 20, 5 / 20])
    seeds = found["seeds"]
    assert seeds["estimate"] == pytest.approx(0.25)
    mean, error = 0.25, 0.05 / 3**0.5  # the standard deviation of .3, .2, .25 is .05
    half = stats.t.ppf(0.975, 2) * error
    assert seeds["ci_low"] <= mean - half
    assert seeds["ci_high"] >= mean + half
    paired = found["paired"]  # of these runs, and the other one is never narrower
    assert seeds["ci_low"] == pytest.approx(min(paired["ci_low"], mean - half))
    assert seeds["ci_high"] == pytest.approx(max(paired["ci_high"], mean + half))
    assert claims["full", "shuffled"]["effects"] == pytest.approx([0.5, 0.5, 0.5])
    # Three p values: each Holm's is at least its own, and the smallest is three times its own.
    p_values = sorted((claim["p_value"], claim["p_holm"]) for claim in claims.values())
    assert p_values[0][1] == pytest.approx(min(1.0, 3 * p_values[0][0]))
    assert claims["full", "shuffled"]["claim"] in ("supported", "inconclusive")
    assert table.sha256 == {"abc": [run.path.name for _, run in folder.runs()]}


def test_training_numbers_stand_beside_those_of_the_baseline(folder: StudyFolder) -> None:
    fill(folder)
    lines = text(table_of(folder))
    (row,) = [line for line in lines if line.startswith("| full ") and "10.0 % -> 90.0 %" in line]
    assert "shuffled +15.0" in row
    assert "74.8 (Table 5, row 5)" in row
    assert any("| shuffled (control arm: shuffled rewards)" in line for line in lines)


def test_a_partial_study_shows_what_is_there(folder: StudyFolder) -> None:
    assert "No cell is done, so there is nothing to compare." in text(table_of(folder))
    cell(folder, "full", 0, {4: right(12)})
    cell(folder, "full", 1, {4: right(12)})
    assert "No pair of an arm and shuffled is done, so nothing is compared." in text(table_of(folder))
    cell(folder, "shuffled", 1, {4: right(2)})
    table = table_of(folder)
    (claim,) = table.tasks[0].claims
    assert (claim.arm, claim.seeds, claim.says) == ("full", (1,), NOT_OVER_SEEDS)
    assert claim.claim.effects == (0.5,)
    assert sum(map(len, table.unfinished.values())) == 6
    assert json.dumps(told(table))


def test_two_seeds_are_not_judged_and_unlike_readings_are_not_either(folder: StudyFolder) -> None:
    for seed in (0, 1):
        cell(folder, "full", seed, {4: right(20)})
        cell(folder, "shuffled", seed, {4: right(seed)})
    (claim,) = table_of(folder).tasks[0].claims
    assert claim.says == NOT_OVER_SEEDS
    assert claim.claim.seeds is not None
    run = cell(folder, "full", 2, {})
    cell(folder, "shuffled", 2, {4: right(2)})
    put(run, TASK, "checkpoint-4", right(19), max_new_tokens=99)
    (claim,) = table_of(folder).tasks[0].claims
    assert "they were read differently: response limit 64 and 99" in claim.says


def test_fewer_common_steps_are_said(folder: StudyFolder) -> None:
    cell(folder, "full", 0, {2: right(4), 4: right(12)})
    cell(folder, "shuffled", 0, {2: right(1)})
    table = table_of(folder)
    assert table.tasks[0].step == 2
    assert table.tasks[0].claims[0].claim.effects == pytest.approx((3 / 20,))
    assert any("compared after 2 steps" in note for note in table.notes)


def test_equal_drift_by_hand(folder: StudyFolder) -> None:
    fill(folder, DRIFT)  # the common drift is shuffled's .1
    table = table_of(folder)
    at = table.tasks[0].drift
    assert at is not None
    assert at.drift == pytest.approx(0.1)
    assert list(at.still) == ["pg"]
    assert list(at.doses) == ["full", "shuffled"]
    weight = (0.1**0.5 - 0.05**0.5) / (0.4**0.5 - 0.05**0.5)  # between steps 2 and 4
    for seed, (early, late) in enumerate(((6, 12), (7, 14), (6, 13))):
        dose = at.doses["full"][seed]
        assert dose.between == (2, 4)
        assert dose.value == pytest.approx(((1 - weight) * early + weight * late) / 20)
    assert [dose.value for dose in at.doses["shuffled"].values()] == pytest.approx([0.1, 0.2, 0.15])
    ((arm, against, seeds, claim),) = at.claims
    assert (arm, against, seeds) == ("full", "shuffled", (0, 1, 2))
    assert claim.effects[0] == pytest.approx(((1 - weight) * 6 + weight * 12) / 20 - 0.1)
    assert claim.seeds is not None
    assert claim.seeds.ci_low <= claim.paired.ci_low
    assert claim.seeds.ci_high >= claim.paired.ci_high
    assert any("pg hardly moved" in note for note in table.notes)
    assert any("at equal drift: 0.1 nats a token" in line for line in text(table))


def test_without_a_record_of_drift_it_is_said(folder: StudyFolder) -> None:
    fill(folder)
    table = table_of(folder)
    assert table.tasks[0].drift is None
    assert any("full has no record of its drift" in note for note in table.notes)


def test_a_cell_that_is_not_done_is_left_out(folder: StudyFolder) -> None:
    fill(folder)
    folder.update("full", 2, state="running")
    table = table_of(folder)
    assert table.arms["full"]["seeds"] == [0, 1]
    assert table.unfinished == {"running": ["full, seed 2"]}
    assert folder.cells()[0] == replace(folder.cells()[0], state=DONE)


def test_the_gain_after_saturation_over_seeds(folder: StudyFolder) -> None:
    assert table_of(folder).after == {}
    solved, late = [1.0] * 12, {2: 4, 4: 4, 6: 9, 8: 9, 10: 10, 12: 10}
    for seed in (0, 1, 2):
        words = {step: right(count + (seed if step > 8 else 0)) for step, count in late.items()}
        cell(folder, "full", seed, words, accuracy=solved)
        cell(folder, "pg", seed, {step: right(3) for step in late}, accuracy=[0.5] * 12)
    table = table_of(folder)
    assert list(table.after) == ["full"]
    found = table.after["full"]
    assert found.saturated == {0: 0, 1: 0, 2: 0}
    assert found.gain.effects == pytest.approx((6 / 20, 7 / 20, 8 / 20))
    assert found.gain.estimate == pytest.approx(7 / 20)
    assert found.holm == found.gain.p_value
    lines = text(table)
    assert any(line.startswith("| full | 0, 0, 0") and "+35.0 [" in line for line in lines)
    assert told(table)["after_saturation"]["full"]["saturated"] == {0: 0, 1: 0, 2: 0}


def test_arms_that_were_never_read_after_one_step_are_told_and_not_compared(folder: StudyFolder) -> None:
    cell(folder, "full", 0, {2: right(4)})
    cell(folder, "shuffled", 0, {4: right(1)})
    table = table_of(folder)
    assert table.tasks == []
    assert any(f"{TASK}: there is no step after which all finished cells read it" in note for note in table.notes)
    assert "The finished cells read nothing in common, so there is nothing to compare." in text(table)


def test_a_step_without_an_accuracy_has_none(folder: StudyFolder) -> None:
    cell(folder, "full", 0, {4: right(4)}, accuracy=(0.1, float("nan")))  # recorded as null
    assert table_of(folder).arms["full"]["training"] == {"first": 0.1, "last": None}
