from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from oneshot.record import RunFolder
from oneshot.report import page
from tests.unit.report.runs import CONFIG, make_run
from tests.unit.report.test_page import Page

MISSING = (
    *("summary.json", "config.json", "env.json", "status.json", "example.jsonl", "metrics.jsonl", "events.jsonl"),
    *("evals", "rollouts"),
)


def test_a_run_that_died_at_step_0(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", CONFIG, ["oneshot", "train"])
    run.start_attempt()
    run.event("failed", error="E201 not enough memory")
    run.write_status(state="failed", step=0, steps=12)
    text = Page(page.build(run)).text
    assert "Nothing was measured in this run yet." in text
    assert "The run’s state is “failed”" in text and "No training step was recorded." in text
    assert "E201 not enough memory" in text


def test_a_run_without_evaluations(tmp_path: Path) -> None:
    run = make_run(tmp_path, with_summary=False)
    shutil.rmtree(run.path / "evals")
    text = Page(page.build(run)).text
    assert "In 12 training steps, accuracy on the training samples went from" in text
    assert "Held-out accuracy before and after: not measured." in text
    assert "whether it learned is not measured" in text


@pytest.mark.parametrize("name", MISSING)
def test_every_file_may_be_missing(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path, steps=2, own=6, other=1)
    path = run.path / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "<h2>Limits</h2>" in page.build(run)


@pytest.mark.parametrize("name", [name for name in MISSING if "." in name])
@pytest.mark.parametrize("content", [b"", b"\x00\xff", b'{"a": ', b"[1, 2]", b"null", b'{"paired": 3, "evals": []}'])
def test_every_file_may_be_damaged(tmp_path: Path, name: str, content: bytes) -> None:
    run = make_run(tmp_path, steps=2, own=6, other=1)
    (run.path / name).write_bytes(content)
    assert "<h2>Limits</h2>" in page.build(run)


@pytest.mark.parametrize(
    "content", [b'{"a": ' * 100_000, b'{"n": 1' + b"0" * 400 + b"}", b'{"step": 1' + b"0" * 400 + b"}"]
)
@pytest.mark.parametrize(
    "name",
    [*(n for n in MISSING if "." in n), "drift.jsonl", "transfer_map.json", "evals/builtin-test/base/results.json"],
)
def test_depths_and_numbers_that_nothing_holds(tmp_path: Path, name: str, content: bytes) -> None:
    run = make_run(tmp_path, steps=2, own=6, other=1)
    (run.path / name).write_bytes(content)
    assert "<h2>Limits</h2>" in page.build(run)


def test_a_run_of_an_older_schema(tmp_path: Path) -> None:
    """Every key of every file is taken away, one at a time."""
    run = make_run(tmp_path, steps=2, own=6, other=1)
    for name in ("config.json", "summary.json", "env.json", "status.json"):
        whole = json.loads((run.path / name).read_bytes())
        for key in whole:
            kept = {k: v for k, v in whole.items() if k != key}
            (run.path / name).write_text(json.dumps(kept), encoding="utf-8")
            assert "<h2>Limits</h2>" in page.build(run), key
        (run.path / name).write_text(json.dumps(whole), encoding="utf-8")


@pytest.mark.parametrize(
    "pattern", ["metrics.jsonl", "evals/*/*/samples.jsonl.gz", "rollouts/*.jsonl.gz", "events.jsonl"]
)
def test_rows_of_an_older_schema(tmp_path: Path, pattern: str) -> None:
    run = make_run(tmp_path, steps=2, own=6, other=1)
    paths = sorted(run.path.glob(pattern))
    opened = [gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in paths]
    rows = [[json.loads(line) for line in data.splitlines()] for data in opened]
    for key in {key for each in rows for row in each for key in row}:
        for path, each in zip(paths, rows, strict=True):
            kept = [{k: v for k, v in row.items() if k != key} for row in each]
            data = b"".join(json.dumps(row).encode() + b"\n" for row in kept)
            path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
        assert "<h2>Limits</h2>" in page.build(run), key


def test_without_a_control_arm_the_page_says_so_beside_the_gain(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    text = Page(page.build(run)).text
    assert "Control arm’s difference not known" in text
    assert "--control shuffled" in text and f"oneshot report runs/{run.path.name} --with CONTROL_RUN" in text
    assert "over the base model alone, because no control arm was given" in text


def test_a_run_that_is_no_control_arm_does_not_stand_beside(tmp_path: Path) -> None:
    run, other = make_run(tmp_path / "a"), make_run(tmp_path / "b")
    text = Page(page.build(run, control=other)).text
    assert f"{other.path.name} is no control arm: its configuration names none" in text
    assert "Control arm’s difference not known" in text


def test_an_empty_control_arm(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    control = RunFolder.create(tmp_path / "b", "c", {"reward": {"control": "shuffled"}}, [])
    text = Page(page.build(run, control=control)).text
    assert "was compared on nothing, this run on builtin-test" in text
