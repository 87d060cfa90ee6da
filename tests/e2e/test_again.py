"""Dynamic sampling, activations computed again, and fast paths that are wrong: whole runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from oneshot.data import packing
from oneshot.model import memory
from oneshot.record import RunFolder
from oneshot.types import MicroBatch
from tests.e2e.conftest import OneShot, one_in
from tests.e2e.stopping import SAME, during_step, resume, to_the_byte, weights

DYNAMIC = ("--rollout.dynamic", "--rollout.max-rounds", "3")


def test_groups_are_sampled_again_and_the_run_goes_on_to_the_bit(
    train: OneShot, oneshot: OneShot, graded: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    graded(one_in(6))
    whole = train("--steps", "5", *SAME, *DYNAMIC).run
    rows = whole.metrics()
    assert {row["rollout/rounds"] for row in rows} <= {1, 2, 3}
    assert max(row["rollout/rounds"] for row in rows) > 1
    for row in rows:
        assert row["rollout/responses"] == 8 + 4 * row["rollout/dropped_groups"]
        assert row["signal"] == 1 - row["rollout/equal_groups"] / 2
        assert len(whole.rollouts(row["step"])) == 8  # what is learned from
    visits = [json.loads(line) for line in whole.history_path.read_text().splitlines()]
    assert [visit["samples"] for visit in visits] == [row["rollout/responses"] for row in rows]
    assert [visit["successes"] for visit in visits] == [
        round(row["train/accuracy"] * row["rollout/responses"]) for row in rows
    ]

    def crash() -> None:
        raise RuntimeError("the machine went away")

    with monkeypatch.context() as patch:
        during_step(patch, 3, crash)
        assert train("--steps", "5", *SAME, *DYNAMIC, "--save.every", "1").code == 1
    run = RunFolder.open("latest", Path("runs"))
    assert resume(oneshot, run).code == 0
    assert to_the_byte(run) == to_the_byte(whole)


def test_a_solved_example_takes_every_round_and_says_so_once(train: OneShot, graded: Callable[..., None]) -> None:
    graded(lambda response, reference: True)
    told = train("--steps", "3", *SAME, *DYNAMIC)
    assert told.code == 0, told.err
    assert [row["rollout/rounds"] for row in told.run.metrics()] == [3, 3, 3]
    assert [event["step"] for event in told.run.events() if event["kind"] == "rounds"] == [0, 1, 2]
    assert told.err.count("warning: after 3 rounds of sampling step 1 still has 2 groups with equal rewards") == 1
    assert told.err.count("warning: rollout.dynamic with one example") == 1


def test_plain_runs_have_no_such_metrics(train: OneShot) -> None:
    (row,) = train("--steps", "1", *SAME).run.metrics()
    assert not [name for name in row if name.startswith("rollout/")]


def test_activations_computed_again_give_the_same_run_to_the_bit(train: OneShot) -> None:
    plain = train("--steps", "3", *SAME).run
    again = train("--steps", "3", *SAME, "--optim.checkpointing", "on").run
    assert to_the_byte(again) == to_the_byte(plain)
    assert weights(again, 3) == weights(plain, 3)


def test_they_are_chosen_where_only_that_fits(
    train: OneShot, oneshot: OneShot, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--rollout.max-new-tokens", "300", "--optim.micro-tokens", "4096")
    dry = oneshot("plan", "--no-step", "--json", "--model", tiny, *words, "--rollout.groups", "2").json
    free = dry["memory"]["total"] - dry["memory"]["activations"] // 4
    monkeypatch.setattr(memory, "available_memory", lambda: free)
    told = train("--steps", "1", *SAME, *words, "--rollout.group-size", "8")
    assert told.code == 0, told.err
    assert told.err.count("memory: activations are computed again in the backward pass") == 1
    assert told.run.config()["optim"]["checkpointing"] == "on"
    plan = oneshot("plan", "--no-step", "--model", tiny, *words, "--rollout.groups", "2")
    assert "memory: activations are computed again" in plan.out
    refused = train("--steps", "1", *SAME, *words, "--rollout.group-size", "8", "--optim.checkpointing", "off")
    assert refused.code == 3
    assert "try: --optim.checkpointing on " in refused.err


def test_wrong_packing_is_found_out_said_and_left(train: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    right = train("--steps", "2", *SAME, "--optim.packing", "false").run
    original = packing._packed

    def goes_on_counting(part: Sequence[Any]) -> MicroBatch:
        made = original(part)
        return replace(made, position_ids=torch.arange(made.input_ids.shape[1])[None])

    monkeypatch.setattr(packing, "_packed", goes_on_counting)
    told = train("--steps", "2", *SAME)
    assert told.code == 0, told.err
    assert told.err.count("warning: padded micro-batches instead of packed micro-batches, because their numbers") == 1
    (event,) = [event for event in told.run.events() if event["kind"] == "fallback"]
    assert event["what"] == "padded micro-batches"
    assert to_the_byte(told.run) == to_the_byte(right)


@pytest.mark.usefixtures("on_any_processor")
def test_what_was_compared_is_recorded(train: OneShot, oneshot: OneShot) -> None:
    run = train("--steps", "1", *SAME).run
    (event,) = [event for event in run.events() if event["kind"] == "checked"]
    assert event["paths"].keys() == {
        "log-probs in chunks",
        "beginnings of prompts run once",
        "attention over prefix trees",
        "packed micro-batches",
    }
    assert resume(oneshot, run, "--steps", "2").code == 0
    assert len([event for event in run.events() if event["kind"] == "checked"]) == 2
