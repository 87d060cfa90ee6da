"""What a study announced and what it may claim of it; cells that are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.errors import UsageError
from oneshot.stages.studies import text as study_text
from oneshot.stages.studies.folder import DONE, Cell
from oneshot.stages.studies.registration import preregistration
from oneshot.stages.studies.results import told
from oneshot.stages.studies.table import announced, table_of
from tests.unit.stages.studying import TASK, TEXT, cell, right, study_in


def test_before_all_announced_seeds_are_there_nothing_is_claimed(tmp_path: Path) -> None:
    folder = study_in(tmp_path, TEXT.replace("[0, 1, 2]", "[0, 1, 2, 3]"))
    drift = {2: 0.1, 4: 0.2}
    for seed in (0, 1, 2):
        cell(folder, "full", seed, {4: right(18 + seed % 2)}, drift)
        cell(folder, "shuffled", seed, {4: right(2)}, drift)
    table = table_of(folder)
    (claim,) = table.tasks[0].claims
    assert claim.says == "interim: 3 of 4 announced seeds"
    assert table.tasks[0].drift is not None
    assert told(table)["tasks"][TASK]["equal_drift"]["claims"][0]["claim"] == claim.says
    # pg is not done, but its two claims were announced, so they count: three in all.
    assert claim.claim.holm == pytest.approx(min(1.0, 3 * claim.claim.p_value))
    cell(folder, "full", 3, {4: right(18)}, drift)
    cell(folder, "shuffled", 3, {4: right(2)}, drift)
    (claim,) = table_of(folder).tasks[0].claims
    assert claim.claim.holm == pytest.approx(3 * claim.claim.p_value)
    assert claim.says == "supported"


def test_a_contrast_that_turns_a_pair_round_is_the_same_claim(tmp_path: Path) -> None:
    turned = TEXT.replace('[["full", "pg"]]', '[["shuffled", "pg"], ["full", "pg"], ["pg", "full"]]')
    folder = study_in(tmp_path, turned)
    assert announced(folder) == [("full", "shuffled"), ("shuffled", "pg"), ("pg", "full")]


def test_a_cell_whose_run_was_moved_away_is_run_again(tmp_path: Path) -> None:
    folder = study_in(tmp_path)
    run = cell(folder, "full", 0, {4: right(12)})
    assert folder.cells()[0].state == DONE
    run.path.rename(folder.path.parent / "elsewhere")
    assert folder.cells()[0] == Cell(arm="full", seed=0)


def test_where_no_pair_has_a_score_at_the_common_drift_none_is_compared(tmp_path: Path) -> None:
    folder = study_in(tmp_path)
    for seed in (0, 1, 2):
        cell(folder, "full", seed, {4: right(12)}, {4: 0.2})
        run = cell(folder, "shuffled", seed, {4: right(2)}, {4: 0.1})
        run.write_drift({"checkpoint": "checkpoint-6", "step": 6, "kl": 0.2})  # a reading that is not there
    at = table_of(folder).tasks[0].drift
    assert at is not None
    assert (at.drift, at.claims) == (0.2, [])


def test_only_primary_pairs_are_claimed_and_the_others_are_described(tmp_path: Path) -> None:
    """Holm over one claim leaves its p as it is; the described pair has numbers and no claim, at equal drift too."""
    folder = study_in(tmp_path, TEXT.replace("seeds =", 'primary = [["full", "shuffled"]]\nseeds ='))
    for seed in (0, 1, 2):
        for arm, count in (("full", 18 + seed % 2), ("pg", 9), ("shuffled", 2)):
            cell(folder, arm, seed, {4: right(count)}, {2: 0.1, 4: 0.2})
    (task,) = table_of(folder).tasks
    says = {(each.arm, each.against): (each.says, each.primary) for each in task.claims}
    assert says == {
        ("full", "shuffled"): ("supported", True),
        ("pg", "shuffled"): ("described", False),
        ("full", "pg"): ("described", False),
    }
    claim = task.claims[0].claim
    assert claim.holm == pytest.approx(claim.p_value)
    assert task.drift is not None
    at = {(arm, against): task.drift.says(arm, against, each) for arm, against, _, each in task.drift.claims}
    assert at[("full", "shuffled")] == "supported"
    assert at[("full", "pg")] == "described"
    assert any("described" in line and "| -" in line for line in study_text.text(table_of(folder)))


def test_the_primary_pairs_are_announced(tmp_path: Path) -> None:
    folder = study_in(tmp_path, TEXT.replace("seeds =", 'primary = [["pg", "full"]]\nseeds ='))
    assert preregistration(folder.plan, {})["primary"] == [["pg", "full"]]
    assert announced(folder) == [("full", "shuffled"), ("pg", "shuffled"), ("pg", "full")]
    with pytest.raises(UsageError, match="primary = 'none' is no arm"):
        study_in(tmp_path / "other", TEXT.replace("seeds =", 'primary = [["none", "full"]]\nseeds ='))
