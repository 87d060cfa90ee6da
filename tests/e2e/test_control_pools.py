"""Control arms with pools, curricula, dynamic sampling, a critic, an adapter and mini-batches."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import OneShot, write_pool
from tests.e2e.stopping import recorded, resume, weights

Graded = Callable[[Callable[[str, str], bool]], None]
SHORT = ("--model.threads", "1", "--rollout.max-new-tokens", "8", "--rollout.groups", "4", "--rollout.group-size", "4")


def by_both(response: str, reference: str) -> bool:
    """Right for about one response in four, but never for the first problem of the pool."""
    return reference != "1" and zlib.crc32((response + reference).encode("utf-8", "replace")) % 4 == 0


@pytest.fixture
def begin(oneshot: OneShot, tiny: Path, tmp_path: Path, graded: Graded) -> OneShot:
    """`oneshot train` on a pool of 18 examples, of which the first is never solved."""
    graded(by_both)
    pool = write_pool(tmp_path / "pool.jsonl", [{"prompt": f"{i}?", "answer": str(i)} for i in range(1, 19)])
    words = ("train", "--model", tiny, "--data", pool, "--reward", "number", "--optim.lr", "1e-3", *SHORT)
    return lambda *more: oneshot(*words, *more)


@pytest.mark.parametrize(
    "words",
    [
        ("--control", "random", "--rollout.dynamic", "true"),
        ("--control", "shuffled", "--algorithm", "ppo"),
        ("--control", "entropy", "--algorithm", "ppo"),
        ("--control", "majority", "--algorithm.updates", "2", "--algorithm.minibatches", "2"),
        ("--control", "rft", "--algorithm.updates", "2", "--algorithm.minibatches", "2"),
        ("--control", "random", "--data.curriculum", "mopps"),
        ("--control", "noop", "--model.dtype", "bfloat16"),
    ],
)
def test_an_arm_goes_with_other_settings(begin: OneShot, words: tuple[str, ...]) -> None:
    told = begin(*words, "--steps", "2")
    assert told.code == 0, told.err
    assert len(told.run.metrics()) == 2
    assert told.run.summary()["control"]["name"] == words[1]


@pytest.mark.parametrize("name", ["wrong", "rft"])
def test_what_a_pool_needs_is_found_for_each_example_and_resumed(begin: OneShot, oneshot: OneShot, name: str) -> None:
    whole = begin("--control", name, "--steps", "5").run
    half = begin("--control", name, "--steps", "3").run
    told = resume(oneshot, half, "--steps", "5", yes=False)
    assert told.code == 0, told.err
    assert recorded(half) == recorded(whole)
    assert weights(half, 5) == weights(whole, 5)
    trained = {row["answer"] for step in range(5) for row in whole.rollouts(step)}
    (event,) = [e for e in whole.events() if e["kind"] == "control"]
    if name == "wrong":  # of all 18, though the preflight samples 16
        assert len(event["labels"]) == 18
        assert "1" in trained
    else:
        assert event["examples"] == len(json.loads((whole.path / "rft.json").read_text())["responses"]) == 17
        assert "1" not in trained
