"""From a run on a pool to its history, to the ranked pool, to a run on the picks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import SMALL, OneShot, one_in, write_pool

POOL = [{"problem": f"How much is {i}?", "answer": str(i)} for i in range(4)]


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return write_pool(tmp_path / "pool.jsonl", POOL)


@pytest.fixture
def start(oneshot: OneShot, tiny: Path) -> OneShot:
    words = ("train", "--model", tiny, "--reward", "number", "--allow-unsolved", "--rollout.group-size", "4")
    return lambda *more: oneshot(*words, *SMALL, *more)


def test_train_select_train(
    start: OneShot, oneshot: OneShot, pool: Path, graded: Callable[[Callable[[str, str], bool]], None]
) -> None:
    graded(one_in(3))
    told = start("--data", pool, "--steps", "6", "--rollout.groups", "2")
    assert told.code == 0, told.err
    rows = [json.loads(line) for line in told.run.history_path.read_text("utf-8").splitlines()]
    chosen = oneshot("select", pool, "--run", told.run.path, "--top", "2", "--out", "picks.jsonl", "--json")
    assert chosen.code == 0, chosen.err
    found = chosen.json
    assert found["history"]["visited"] == len({row["problem_id"] for row in rows})
    assert sum(row["visits"] for row in oneshot("select", pool, "--run", told.run.path, "--json").json["rows"]) == len(
        rows
    )
    again = start("--data", "picks.jsonl", "--steps", "1", "--rollout.groups", "2")
    assert again.code == 0, again.err
    picked = [json.loads(line) for line in Path("picks.jsonl").read_text("utf-8").splitlines()]
    assert [row["prompt"] for row in again.run.example()] == [row["problem"] for row in picked]
    assert [row["id"] for row in again.run.example()] == [row["id"] for row in picked]


def test_probe_then_train(
    start: OneShot,
    oneshot: OneShot,
    tiny: Path,
    pool: Path,
    graded: Callable[[Callable[[str, str], bool]], None],
) -> None:
    graded(one_in(2))
    words = ("select", pool, "--model", tiny, *SMALL[:4], "--reward", "number", "--probe", "8")
    told = oneshot(*words, "--top", "1", "--out", "picks.jsonl", "--json")
    assert told.code == 0, told.err
    (pick,) = told.json["rows"]
    assert (pick["rank"], pick["visits"]) == (1, 1)
    assert pick["score"] == pytest.approx(abs(pick["mean_accuracy"] - 0.5))
    assert pick["ci_low"] <= pick["score"] <= pick["ci_high"]
    assert (pick["mean_accuracy"] * 32).is_integer(), "the shown rate is of the 32 fresh samples"
    assert 0 < told.json["probe"]["samples"] <= 8 * len(POOL)
    again = start("--data", "picks.jsonl", "--steps", "1", "--rollout.groups", "2")
    assert again.code == 0, again.err
    assert [row["prompt"] for row in again.run.example()] == [pick["problem"]]


def test_probe_by_the_answers(
    oneshot: OneShot, tiny: Path, pool: Path, graded: Callable[[Callable[[str, str], bool]], None]
) -> None:
    graded(one_in(2))
    words = ("select", pool, "--model", tiny, *SMALL[:4], "--reward", "number", "--probe", "8")
    told = oneshot(*words, "--score", "distinct-answers", "--top", "2", "--out", "picks.jsonl", "--json")
    assert told.code == 0, told.err
    assert told.json["probe"]["samples"] == 8 * len(POOL)
    assert told.json["probe"]["decided"] is None
    for row in told.json["rows"]:
        assert row["fresh_samples"] == 32
        assert (row["score"] * 32).is_integer(), "of the fresh samples"
