"""A study on disk: cells of other versions, its own files, lines to paste, and other verbs that are given it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.stages.studies.arms import plan_of
from oneshot.stages.studies.file import read_study
from oneshot.stages.studies.folder import DONE, StudyFolder
from tests.unit.stages.studying import TEXT, cell, fill, right, study_in


def rewrite(folder: StudyFolder, **changes: Any) -> None:
    """Change the first cell in study.json."""
    path = folder.path / "study.json"
    told = json.loads(path.read_text("utf-8"))
    told["cells"][0] |= changes
    path.write_text(json.dumps(told), encoding="utf-8")


def test_what_a_later_version_says_of_a_cell_is_passed_over(tmp_path: Path) -> None:
    folder = study_in(tmp_path)
    cell(folder, "full", 0, {4: right(12)})
    rewrite(folder, of_later="x")
    assert (folder.cells()[0].arm, folder.cells()[0].state) == ("full", DONE)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"arm": "full"}], 'a cell in it is none: {"arm": "full"}'),
        (["full"], 'a cell in it is none: "full"'),
        ([{"arm": "full", "seed": 0, "seconds": "x"}], 'a cell in it is none: seconds = "x"'),
        ([{"arm": "full", "seed": True}], "a cell in it is none: seed = true"),
        (None, "cells = null is no list"),
        (5, "cells = 5 is no list"),
    ],
)
def test_a_damaged_cell_is_one_clear_error(tmp_path: Path, rows: Any, said: str) -> None:
    folder = study_in(tmp_path)
    cell(folder, "full", 0, {4: right(12)})
    path = folder.path / "study.json"
    told = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(told | {"cells": rows}), encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        folder.cells()
    assert (refused.value.code, refused.value.message) == ("E106", f"{path} is damaged: {said}.")
    assert refused.value.tries == (f"oneshot study s.toml --out {tmp_path / 'runs'} --name hand-2",)
    with pytest.raises(UsageError, match=r"is a study and not one run\."):
        RunFolder.open(str(folder.path), tmp_path)


def test_a_file_of_the_study_that_was_changed_is_refused(tmp_path: Path) -> None:
    text = TEXT.replace('evals.source = "held.jsonl"\n', "").replace("[base]\n", "test_per_kind = 1\n[base]\n")
    folder = study_in(tmp_path, text)
    folder.register({"problems": 8})
    folder.register({"problems": 8})
    own = folder.path / "problems.jsonl"
    own.write_bytes(own.read_bytes().replace(b"prompt", b"prompt ", 1))
    with pytest.raises(UsageError, match=r"preregistered otherwise: problems\.jsonl was") as refused:
        folder.register({"problems": 8})
    assert refused.value.code == "E107"


def test_a_line_to_paste_names_the_file_as_it_was_typed(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(TEXT, encoding="utf-8")
    study = read_study(tmp_path / "s.toml", "paper/studies/x")
    assert StudyFolder(plan_of(study, Path("runs"))).line("--table") == "oneshot study paper/studies/x --table"
    other = StudyFolder(plan_of(study, Path("out"), "again"))
    assert other.line() == "oneshot study paper/studies/x --out out --name again"
    assert other.line(name="hand") == "oneshot study paper/studies/x --out out"


@pytest.mark.parametrize(
    "words",
    [
        ("report", "STUDY"),
        ("report", "latest", "--with", "STUDY"),
        ("export", "STUDY", "--to", "hf"),
        ("export", "STUDY:best", "--to", "hf"),
        ("watch", "STUDY", "--once"),
        ("rollouts", "STUDY"),
        ("compare", "STUDY"),
        ("compare", "STUDY:checkpoint-4", "STUDY:base"),
        ("doctor", "STUDY"),
        ("regrade", "STUDY", "--grader", "math"),
    ],
)
@pytest.mark.parametrize("study", ["runs/study-hand", "study-hand"])
def test_every_verb_that_takes_a_run_says_what_a_study_is(
    words: tuple[str, ...], study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    folder = study_in(Path())
    fill(folder)
    RunFolder.create(Path("runs"), "one", {}, ())
    first = folder.cells()[0].run
    assert main([word.replace("STUDY", study) for word in words]) == 2
    told = capsys.readouterr().err
    assert "E104 " in told
    assert "runs/study-hand is a study and not one run. Name one of its run folders: " in told
    assert f"runs/study-hand/{first} (full, seed 0, done); " in told
    assert "; 3 more." in told
    assert f"try: oneshot report runs/study-hand/{first}\n" in told
    assert "try: oneshot ls --runs runs/study-hand\n" in told
    assert "try: oneshot study FILE.toml --table --out runs --name hand   (the table" in told


def test_the_lines_of_a_study_that_is_named_from_inside_or_has_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(study_in(tmp_path / "a b"))
    monkeypatch.chdir(tmp_path)
    assert main(["report", "a b/runs/study-hand"]) == 2
    told = capsys.readouterr().err
    assert "try: oneshot report 'a b/runs/study-hand/" in told
    assert "try: oneshot ls --runs 'a b/runs/study-hand'\n" in told
    assert "try: oneshot study FILE.toml --table --out 'a b/runs' --name hand   (" in told
    monkeypatch.chdir(tmp_path / "a b" / "runs" / "study-hand")
    assert main(["report", "."]) == 2
    told = capsys.readouterr().err
    assert f"try: oneshot study FILE.toml --table --out '{tmp_path.resolve()}/a b/runs' --name hand   (" in told
    study = read_study(tmp_path / "a b" / "s.toml", "a b/s.toml")
    assert StudyFolder(plan_of(study, Path("my runs"))).line() == "oneshot study 'a b/s.toml' --out 'my runs'"


def test_a_study_without_a_run_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    folder = study_in(tmp_path)
    (folder.path / "preregistration.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"is a study and not one run\. No run of it was begun yet\."):
        RunFolder.open(str(folder.path), tmp_path)
    (folder.path / "study.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match="is a study and not one run"):
        RunFolder.open(str(folder.path), tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match=r"is not a run folder: it has no status\.json"):
        RunFolder.open(str(tmp_path / "other"), tmp_path)
