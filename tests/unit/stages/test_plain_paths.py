"""The plain paths: the same learning up to rounding; attention over trees is left where it is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from oneshot.model import attention
from oneshot.rollout import prefill
from oneshot.rollout.collect import collect
from oneshot.stages import loop
from oneshot.stages.setup import Setup
from oneshot.stages.training.fast_paths import settle
from oneshot.types import Sampling
from tests.unit.stages.setups import QUESTION, graded_by, tiny_setup

pytestmark = pytest.mark.usefixtures("on_any_processor")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.mark.parametrize("name", ["packed", "head"])
def test_a_run_on_plain_paths_learns_the_same_up_to_rounding(folder: Path, tmp_path: Path, name: str) -> None:
    steps = []
    for plain in (frozenset[str](), frozenset({name})):
        setup = replace(graded_by(tiny_setup(folder), lambda response: len(response) % 2 == 0), plain=plain)
        run = loop.RunFolder.create(tmp_path, "x", {}, [])
        parts = loop.build(setup, [QUESTION], run)
        assert parts.packed == (name != "packed" or not plain)
        groups = collect(
            setup.engine, [QUESTION], setup.render, setup.names.verify, Sampling(max_new_tokens=8), 0, group_size=6
        )  # fmt: skip
        steps.append(loop.learn(parts, groups, loop.Clock(), 1024))
    assert steps[0]["grad_norm"] > 1e-3
    assert steps[0]["grad_norm"] == pytest.approx(steps[1]["grad_norm"], rel=1e-4)
    assert steps[0]["loss"] == pytest.approx(steps[1]["loss"], rel=1e-4, abs=1e-7)


@pytest.fixture
def setup(folder: Path) -> Setup:
    made = tiny_setup(folder)
    assert attention.installed(made.policy.model)
    return made


def settled(setup: Setup) -> tuple[Setup, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    found = settle(
        setup, setup.render(QUESTION), event=lambda kind, **more: events.append({"kind": kind, **more}), note=len
    )  # fmt: skip
    return found, events


def test_attention_over_trees_differs_by_rounding(setup: Setup) -> None:
    found, (checked,) = settled(setup)
    assert not found.plain
    assert 0 < checked["paths"]["attention over prefix trees"] < 1e-5
    assert attention.installed(found.policy.model)


@pytest.mark.parametrize("part", ["values", "gradient"])
def test_wrong_attention_over_trees_is_left_and_packing_kept(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    original = attention.over_tree

    def broken(query: Tensor, key: Tensor, value: Tensor, *rest: Any) -> Tensor:
        if part == "gradient":
            return original(query, key.detach(), value, *rest)
        return 1.1 * original(query, key, value, *rest)

    monkeypatch.setattr(attention, "over_tree", broken)
    found, (fallback, checked) = settled(setup)
    assert found.plain == {"tree"}
    assert (fallback["kind"], fallback["what"]) == ("fallback", "masked attention")
    assert not attention.installed(found.policy.model)
    assert checked["paths"].keys() == {
        "log-probs in chunks",
        "beginnings of prompts run once",
        "packed micro-batches",
    }


def test_beginnings_that_are_read_wrongly_are_not_shared(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    original = prefill._visible

    def hidden(start_P: torch.Tensor, head: int, width: int) -> torch.Tensor:
        return original(start_P - 1, head, width)  # the last token of each beginning

    monkeypatch.setattr(prefill, "_visible", hidden)
    found, (fallback, _) = settled(setup)
    assert found.plain == {"shared"}
    assert (setup.engine.share, setup.eval_engine.share) == (False, False)
    assert (fallback["kind"], fallback["what"]) == ("fallback", "each prompt run whole")
