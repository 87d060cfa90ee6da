"""Recorded rollouts give the pinned losses. `make golden` computes the pins anew from the same rollouts."""

from __future__ import annotations

import json

import pytest

from tests.golden.replay import INPUTS, recorded, replay

PINNED = ("loss", "policy", "kl", "entropy", "grad_norm")
FILE = INPUTS / "pinned.json"


def compare(found: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    assert len(found) == len(expected) == 3
    for step, (seen, pinned) in enumerate(zip(found, expected, strict=True)):
        assert sorted(pinned) == sorted(PINNED)
        for name, value in pinned.items():
            assert seen[name] == pytest.approx(value, rel=1e-4, abs=1e-9), f"step {step}: {name}"


def test_losses_are_the_pinned_ones(update_golden: bool) -> None:
    found = replay()
    if update_golden:
        rows = [{name: row[name] for name in PINNED} for row in found]
        FILE.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    compare(found, json.loads(FILE.read_text()))


@pytest.mark.parametrize("layout", [{"packed": False}, {"micro_tokens": 1}])
def test_another_layout_gives_them_too(layout: dict[str, int]) -> None:
    compare(replay(**layout), json.loads(FILE.read_text()))


def test_the_replayed_weights_are_those_that_sampled() -> None:
    """The recorded log-probs are of the sampler on the way; the replay takes the same way."""
    assert all(row["mismatch/logprob"] < 1e-3 for row in replay())


def test_the_recording_has_what_it_must_pin() -> None:
    groups = [group for step in recorded() for group in step]
    assert len({len(c.tokens) for g in groups for c in g.completions}) > 4
    mixed = [0 < sum(c.reward for c in g.completions) < len(g.completions) for g in groups]
    assert {True, False} == set(mixed)
    assert len({g.prompt_tokens for g in groups}) == 2
    pinned = json.loads(FILE.read_text())
    assert pinned[0]["kl"] == 0.0
    assert min(pinned[1]["kl"], pinned[2]["kl"]) > 1e-3
