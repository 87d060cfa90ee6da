"""What a study still has to do: counted from its settings, and timed by cells that ended in its folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.errors import MachineError
from oneshot.stages.studies import cells as study_cells
from oneshot.stages.studies import forecast
from oneshot.stages.studies.folder import DONE, RUNNING, Cell
from tests.unit.stages.studying import TEXT, cell, right, study_in

MODEL = 'model.name = "smollm2-135m"\n'


def ended(*seconds: float) -> list[Cell]:
    return [Cell(arm="full", seed=i, state=DONE, seconds=each) for i, each in enumerate(seconds)]


def test_without_a_finished_cell_no_time_is_told() -> None:
    assert forecast.time_left([Cell(arm="full", seed=0, state=RUNNING, seconds=50.0)], 3) is None
    assert forecast.time_left(ended(0.0), 3) is None  # it ended while nobody looked


def test_the_time_is_that_of_the_median_cell_with_its_range() -> None:
    found = forecast.time_left(ended(300.0, 4400.0, 360.0), 4)  # one on a machine that did other things
    assert found is not None
    assert (found.left, found.shortest, found.longest, found.cells) == (1440.0, 300.0, 4400.0, 3)
    assert found.sentence() == "about 24:00 by the 3 cells that ended here (5:00 to 1:13:20 each)"
    one = forecast.time_left(ended(300.0), 1)
    assert one is not None
    assert one.sentence() == "about 5:00 by the one cell that ended here (5:00)"


def test_work_is_counted_from_the_settings(tmp_path: Path) -> None:
    text = TEXT.replace("optim.steps = 4", "optim.steps = 5\nrollout.groups = 3\nrollout.group_size = 8")
    plan = study_in(tmp_path, text).plan
    work = forecast.work_of(plan, "full")
    assert (work.steps, work.batch, work.responses, work.evaluations) == (5, 24, 120, 3)  # after 2, 4 and 5
    limit = plan.arms["full"].rollout.max_new_tokens
    assert work.sentence() == f"5 steps x 24 responses of at most {limit} tokens; 3 checkpoints are evaluated"
    blind = study_in(tmp_path / "b", TEXT.replace('evals.source = "held.jsonl"\n', "")).plan
    assert forecast.work_of(blind, "full").sentence().endswith("; nothing is evaluated")


def test_the_arm_that_imitates_samples_once(tmp_path: Path) -> None:
    text = TEXT.replace('"algorithm.kl" = 0.0', '"reward.control" = "rft"').replace("[0, 1, 2]", "[0]")
    folder = study_in(tmp_path, text)
    work, other = (forecast.work_of(folder.plan, arm) for arm in ("pg", "full"))
    assert (work.once, work.responses, other.once) == (512, 512, 0)
    said = work.sentence()
    assert said.startswith("4 steps that imitate the right ones of at most 512 responses, sampled once, of at most ")
    assert said.endswith(" tokens; 2 checkpoints are evaluated")
    told = forecast.told(folder.plan, folder.cells(), folder.cells())
    assert told["responses"] == 2 * other.responses + 512
    assert [forecast._sampled_once(n) for n in (1, 3, 16, 100)] == [512, 576, 512, 3200]


def test_arms_that_do_other_work_are_told_apart(tmp_path: Path) -> None:
    folder = study_in(tmp_path, TEXT.replace('"algorithm.kl" = 0.0', '"optim.steps" = 8'))
    said = forecast.lines(folder.plan, folder.cells(), folder.cells())
    assert said[0].startswith("each cell of full, shuffled: 4 steps x ")
    assert said[1].startswith("each cell of pg: 8 steps x ")
    assert said[2].startswith(f"all that are left: {3 * (4 + 8 + 4)} steps, ")
    assert said[-1] == f"time: {forecast.UNMEASURED}"
    assert forecast.lines(folder.plan, folder.cells(), []) == ["nothing is left to run"]


def test_weights_that_are_kept_add_up_and_those_that_are_not_count_once(tmp_path: Path) -> None:
    text = TEXT.replace("[base]\n", f"[base]\n{MODEL}save.keep = 1\nsave.best = false\n")
    kept = study_in(tmp_path / "a", text)
    loose = study_in(tmp_path / "b", "keep_weights = false\n" + text)
    one = forecast._one(kept.plan.arms["full"], 0)
    assert one is not None
    many, few = (forecast.disk_of(each.plan, each.cells()) for each in (kept, loose))
    assert many is not None
    assert few is not None
    assert few.after == 9 * one.rollouts  # 3 arms x 3 seeds, each response to its limit
    assert many.after == few.after + 9 * one.checkpoint
    assert few.most == few.after + one.checkpoint + one.optimizer + one.spare
    assert many.most == many.after + one.optimizer + one.spare
    assert "NOT ENOUGH" in replace(few, free=few.most - 1).sentence(weights=False)
    assert "NOT ENOUGH" not in replace(few, free=few.most).sentence(weights=False)


def test_a_model_of_unknown_size_has_no_disk_forecast(tmp_path: Path) -> None:
    folder = study_in(tmp_path, TEXT.replace("[base]\n", '[base]\nmodel.name = "nobody/knows"\n'))
    said = forecast.lines(folder.plan, folder.cells(), folder.cells())
    assert any(line.startswith("disk: not known") for line in said)
    assert forecast.told(folder.plan, folder.cells(), folder.cells())["disk"] is None


def test_the_dry_run_counts_no_task_that_is_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(*given: object) -> dict[str, int]:
        raise MachineError("the Hub", code="E203")

    def dry(source: str) -> tuple[int, str, Any]:
        (tmp_path / "s.toml").write_text(TEXT.replace('evals.source = "held.jsonl"\n', source), encoding="utf-8")
        code, told = main(["study", "s.toml", "--dry-run"]), capsys.readouterr().out
        main(["study", "s.toml", "--dry-run", "--json"])
        out = capsys.readouterr().out
        return code, told, json.loads(out).get("problems", "refused")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("oneshot.stages.study.go_offline", lambda: None)
    code, told, count = dry('evals.tasks = "nowhere.jsonl"\n')
    assert "\nreads: not counted, since a task is not on this machine (E106)\n" in told
    assert (code, count) == (0, None)
    code, told, count = dry("")
    assert "\nreads: nothing\n" in told
    assert (code, count) == (0, {})
    assert dry('evals.source = "nowhere.jsonl"\n') == (2, "", "refused")  # a plan refuses that too
    monkeypatch.setattr("oneshot.stages.study._of_dev", absent)
    assert "\nreads: not counted, since a task is not on this machine (E203)\n" in dry("")[1]


def test_the_dry_run_tells_it_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = TEXT.replace('evals.source = "held.jsonl"\n', "").replace("[base]\n", f"test_per_kind = 1\n[base]\n{MODEL}")
    folder = study_in(tmp_path, text)
    offline: list[bool] = []
    monkeypatch.setattr("oneshot.stages.study.go_offline", lambda: offline.append(True))
    assert main(["study", "s.toml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert offline == [True]
    assert "9 of 9 cells are left to run\neach cell: 4 steps x " in out
    assert f"\ntime: {forecast.UNMEASURED}\n" in out
    assert not any(folder.path.iterdir())
    cell(folder, "full", 0, {4: right(12)})  # of one second
    assert main(["study", "s.toml", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["forecast"]
    assert (told["cells"], told["steps"], told["evaluations"]) == (8, 32, 16)
    assert told["time"] == {"left": 8.0, "shortest": 1.0, "longest": 1.0, "cells": 1}
    heading = study_cells._heading(folder, folder.cells()[1], folder.cells()[1:])
    assert heading == "seed 0, arm 2 of 3 (pg): 8 cells to run, about 0:08 by the one cell that ended here (0:01)"
