"""The transfer map: known cosines, categories without a gradient, what is recorded, and nothing left behind."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from oneshot.config.schema import AlgorithmConfig, Config, EvalsConfig, ModelConfig, RewardConfig
from oneshot.errors import UsageError
from oneshot.measure.alignment import as_many_again
from oneshot.model.fingerprint import fingerprint
from oneshot.record import RunFolder
from oneshot.rollout.collect import collect
from oneshot.stages import loop
from oneshot.stages.loop import TrainParts
from oneshot.stages.resources.forecasts import MAP_GROUPS
from oneshot.stages.setup import Setup
from oneshot.stages.training import transfer_map
from oneshot.stages.training.transfer_map import NO_EXAMPLE, NO_SIGNAL, check, chosen, in_both_halves
from oneshot.types import Group, Problem, Sampling, Verdict
from tests.tiny import save_tiny
from tests.unit.stages.setups import QUESTION, tiny_setup

DEV = [
    *(Problem(id=f"s{i}", prompt=f"{i} + {i}?", answer="some", category="sums") for i in range(3)),
    *(Problem(id=f"n{i}", prompt=f"Prove {i}.", answer="never", category="never") for i in range(2)),
    Problem(id="alone", prompt="One?", answer="some", category=""),
]


class ByAnswer:
    """Right for about half of all responses, the same ones in every process; for none where the answer is `never`."""

    name = "by answer"

    def __call__(self, response: str, reference: str) -> Verdict:
        right = reference != "never" and zlib.crc32(response.encode("utf-8", "replace")) % 2 == 0
        return Verdict(correct=right, extracted=None, method="scripted")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def built(folder: Path, runs: Path, **changes: Any) -> tuple[Setup, TrainParts]:
    evals = EvalsConfig(max_new_tokens=6, transfer_map=4)
    setup = tiny_setup(folder, **{"evals": evals, "algorithm": AlgorithmConfig(kl=0.0), **changes})
    setup = replace(setup, names=replace(setup.names, verify=ByAnswer(), eval_verify=ByAnswer()))
    run = RunFolder.create(runs, "x", {}, [])
    run.start_attempt()
    return setup, loop.build(setup, [QUESTION], run)


def mapped(setup: Setup, parts: TrainParts, *, problems: Sequence[Problem] = (QUESTION,)) -> dict[str, Any]:
    transfer_map.measure(setup, parts.record, parts.learner, problems, DEV, lambda text: None)
    return parts.record.transfer_map()


def groups_of(setup: Setup, count: int = 4, step: int = 0) -> list[Group]:
    sampling = Sampling(temperature=1.0, max_new_tokens=8)
    return collect(setup.engine, [QUESTION] * count, setup.render, ByAnswer(), sampling, step, group_size=4)


def scaled(groups: Sequence[Group], factor: float) -> list[Group]:
    return [replace(g, completions=tuple(replace(c, reward=factor * c.reward) for c in g.completions)) for g in groups]


def test_the_same_samples_have_cosine_1_and_with_the_rewards_turned_round_minus_1(folder: Path, tmp_path: Path) -> None:
    setup, parts = built(folder, tmp_path)
    groups = groups_of(setup)
    example, own = transfer_map._kept(setup, parts.learner, groups)
    assert own is not None
    same = transfer_map._compared(setup, parts.learner, groups, example)
    turned = transfer_map._compared(setup, parts.learner, scaled(groups, -1.0), example)
    assert same is not None and turned is not None
    assert same.square == pytest.approx(own.square, rel=1e-6)
    assert same.cosines(own.square)[0] == pytest.approx(1.0, abs=1e-6)
    assert turned.cosines(own.square)[0] == pytest.approx(-1.0, abs=1e-6)


def test_two_equal_halves_agree_fully_and_other_samples_do_not(folder: Path, tmp_path: Path) -> None:
    setup, parts = built(folder, tmp_path)
    groups = groups_of(setup)
    twice = [replace(g, id=2 * i + half) for i, g in enumerate(groups) for half in (0, 1)]
    _, own = transfer_map._kept(setup, parts.learner, twice)
    assert own is not None
    assert own.split_half == pytest.approx(1.0, abs=1e-6)
    _, fresh = transfer_map._kept(setup, parts.learner, groups)
    assert fresh is not None and fresh.split_half is not None
    assert fresh.split_half < 0.99


def test_what_is_recorded(folder: Path, tmp_path: Path) -> None:
    setup, parts = built(folder, tmp_path)
    told: list[str] = []
    transfer_map.measure(setup, parts.record, parts.learner, [QUESTION], DEV, told.append)
    body = parts.record.transfer_map()
    assert (body["samples"], body["max_new_tokens"], body["interval"]) == (4, 8, None)
    assert body["weights"] == sum(p.numel() for p in setup.policy.model.parameters())
    assert "halves" in body["why_no_interval"]
    example, rows = body["example"], body["categories"]
    assert (example["ids"], example["n"], example["responses"]) == (["sum"], MAP_GROUPS, 4 * MAP_GROUPS)
    assert 0 < example["signal"] <= 1
    assert example["norm"] > 0
    assert -1 < example["split_half"] < 1
    assert example["as_many_again"] == as_many_again(example["split_half"])
    assert list(rows) == ["", "never", "sums"]
    assert [rows[name]["n"] for name in rows] == [1, 2, 3]
    assert -1 < rows["sums"]["cosine"] < 1
    assert None not in rows["sums"]["halves"]
    assert rows["sums"]["reason"] == ""
    never = rows["never"]
    assert (never["cosine"], never["halves"], never["signal"], never["norm"]) == (None, [None, None], 0.0, 0.0)
    assert (never["reason"], never["accuracy"]) == (NO_SIGNAL, 0.0)
    assert rows[""]["halves"][1] is rows[""]["split_half"] is None  # one problem has no second half
    assert "4 responses to each of 6 dev problems" in told[0]
    assert "no category " in told[1] and "never none" in told[1]


def test_an_example_without_signal_leaves_no_cosine_and_says_why(folder: Path, tmp_path: Path) -> None:
    body = mapped(*built(folder, tmp_path), problems=[replace(QUESTION, answer="never")])
    assert {row["reason"] for row in body["categories"].values()} == {NO_EXAMPLE}
    assert all(row["cosine"] is None for row in body["categories"].values())
    assert body["categories"]["sums"]["norm"] > 0  # which is known all the same
    assert (body["example"]["norm"], body["example"]["split_half"]) == (0.0, None)


def test_it_is_made_once_and_the_same_twice(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    first, second = (built(folder, tmp_path) for _ in range(2))
    bodies = [{**mapped(*each), "seconds": 0} for each in (first, second)]
    assert bodies[0] == bodies[1]
    monkeypatch.setattr(first[0].engine, "generate", None)
    mapped(*first)


def test_several_examples_share_the_groups(folder: Path, tmp_path: Path) -> None:
    problems = [replace(QUESTION, id=f"e{i}") for i in range(3)]
    body = mapped(*built(folder, tmp_path), problems=problems)
    assert (body["example"]["ids"], body["example"]["n"]) == (["e0", "e1", "e2"], MAP_GROUPS)


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": AlgorithmConfig(name="ppo", options={"critic": "head"}, kl=0.0, kl_in_reward=0.01)},
        {"algorithm": AlgorithmConfig(policy=0.0, entropy=0.01, kl=0.01)},
        {"algorithm": AlgorithmConfig(pooled=True, updates=2, minibatches=2)},
        {"model": "bfloat16"},
        {"model": "lora"},
    ],
    ids=["ppo", "entropy alone", "pooled", "masters", "adapter"],
)
def test_every_kind_of_run_can_have_one_and_nothing_is_left_behind(
    folder: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    if changes.get("model") == "lora":
        pytest.importorskip("peft")
    kinds = {"bfloat16": {"dtype": "bfloat16"}, "lora": {"lora_rank": 2}}
    if "model" in changes:
        changes = {"model": ModelConfig(name=str(folder), threads=1, **kinds[changes["model"]])}
    setup, parts = built(folder, tmp_path, **changes)
    before = fingerprint(setup.policy.model)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    body = mapped(setup, parts)
    assert torch.equal(torch.rand(4), expected)
    assert fingerprint(setup.policy.model) == before
    assert all(p.grad is None for p in (*setup.policy.model.parameters(), *parts.learner.optimizer.masters))
    assert not any(optimizer.adamw.state for optimizer in parts.learner.optimizers)
    assert body["example"]["norm"] > 0
    assert body["categories"]["sums"]["cosine"] is not None


@pytest.mark.parametrize(("count", "used"), [(1, 1), (2, 2), (3, 3), (8, 8), (16, 16)])
def test_both_halves_of_several_examples_hold_the_same_ones_as_far_as_there_is_room(count: int, used: int) -> None:
    problems = [replace(QUESTION, id=f"e{i}") for i in range(count)]
    ids = [problem.id for problem in in_both_halves(problems)]
    assert (len(ids), len(set(ids))) == (MAP_GROUPS, used)
    assert (sorted(ids[0::2]) == sorted(ids[1::2])) is (count <= 8)


def test_a_category_gets_an_even_share_of_the_problems() -> None:
    dev = [Problem(id=f"{c}{i}", prompt="?", answer="1", category=c) for i in range(50) for c in "abc"]
    found = chosen(dev)
    assert {name: len(members) for name, members in found.items()} == {"a": 42, "b": 42, "c": 42}
    assert [p.id for p in found["b"]][:3] == ["b0", "b1", "b2"]
    assert {name: len(members) for name, members in chosen(dev[:7]).items()} == {"a": 3, "b": 2, "c": 2}
    many = [Problem(id=str(i), prompt="?", answer="1", category=str(i)) for i in range(300)]
    assert all(len(members) == 1 for members in chosen(many).values())


@pytest.mark.parametrize(
    ("evals", "reward", "held", "code"),
    [
        (EvalsConfig(transfer_map=1), RewardConfig(), 9, "E103"),
        (EvalsConfig(transfer_map=-1), RewardConfig(), 9, "E103"),
        (EvalsConfig(transfer_map=8), RewardConfig(), 0, "E105"),
        (EvalsConfig(transfer_map=8), RewardConfig(control="rft"), 9, "E105"),
    ],
)
def test_a_map_that_cannot_be_made_is_refused(evals: EvalsConfig, reward: RewardConfig, held: int, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(Config(evals=evals, reward=reward), held)
    assert caught.value.code == code
    assert any("--evals.transfer-map 0" in line for line in caught.value.tries)


def test_without_being_asked_for_there_is_none(folder: Path, tmp_path: Path) -> None:
    setup, parts = built(folder, tmp_path, evals=EvalsConfig())
    assert mapped(setup, parts) == {}
    check(Config(), 0)
