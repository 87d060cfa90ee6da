"""Drift of a short run: against a brute-force KL by the models themselves, and without a trace in the run."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from oneshot.config.schema import AlgorithmConfig, EvalsConfig, ModelConfig, OptimConfig
from oneshot.model.fingerprint import fingerprint
from oneshot.record import RunFolder
from oneshot.stages import loop
from oneshot.stages.loop import TrainParts
from oneshot.stages.setup import Setup
from oneshot.stages.training import drift
from oneshot.stages.training.drift import mean_by_prompt
from oneshot.types import Problem, Sampling
from tests.tiny import save_tiny
from tests.unit.stages.setups import QUESTION, graded_by, tiny_setup

HELD = [Problem(id=f"h{i}", prompt=f"{i} + {i}?" + " Say it." * i, answer=str(2 * i)) for i in range(3)]
FAST = OptimConfig(steps=2, lr=1e-2)
EVALS = EvalsConfig(max_new_tokens=6)
NO_KL, KL = AlgorithmConfig(kl=0.0), AlgorithmConfig(kl=0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


class Begun:
    """A run whose drift is about to be measured; what was said."""

    def __init__(self, folder: Path, runs: Path, **changes: Any) -> None:
        setup = tiny_setup(folder, **{"optim": FAST, "evals": EVALS, "algorithm": NO_KL, **changes})
        self.setup: Setup = graded_by(setup, lambda response: len(response) % 2 == 0)
        self.base = copy.deepcopy(setup.policy.model)
        self.run = RunFolder.create(runs, "x", {}, [])
        self.run.start_attempt()
        self.parts: TrainParts = loop.build(self.setup, [QUESTION], self.run)
        self.said: list[str] = []
        self.measure = drift.begin(self.setup, self.run, self.parts.learner, HELD, self.said.append)

    def trained(self) -> dict[str, Any]:
        """The row after two steps."""
        loop.train(self.parts)
        self.measure(2)
        rows = self.run.drift()
        assert [row["step"] for row in rows] == [0, 2]
        return rows[-1]

    @torch.no_grad()
    def brute(self) -> tuple[list[float], list[int]]:
        """KL summed over each answer, by both whole models' own softmax in float64; and the tokens of each."""
        sums, counts = [], []
        for row in self.run.drift_answers():
            ids = torch.tensor([[*row["prompt"], *row["answer"]]])
            tokens = len(row["answer"])
            base, model = (
                m(input_ids=ids).logits[0, -tokens - 1 : -1].double().log_softmax(-1)
                for m in (self.base, self.setup.policy.model)
            )
            sums.append(float((base.exp() * (base - model)).sum()))
            counts.append(tokens)
        return sums, counts


@pytest.mark.parametrize("algorithm", [NO_KL, KL], ids=["read again", "reference"])
@pytest.mark.parametrize("packing", [True, False])
def test_it_is_the_brute_force_kl(folder: Path, tmp_path: Path, algorithm: AlgorithmConfig, packing: bool) -> None:
    begun = Begun(folder, tmp_path, algorithm=algorithm, optim=replace(FAST, packing=packing))
    assert (begun.parts.learner.reference is None) is (algorithm is NO_KL)
    row = begun.trained()
    sums, counts = begun.brute()
    assert row["kl"] == pytest.approx(sum(sums) / sum(counts), abs=1e-6, rel=1e-4)
    assert row["kl"] > 1e-3
    assert row["kl_se"] == pytest.approx(mean_by_prompt(sums, counts)[1], rel=1e-3)
    assert (row["checkpoint"], row["tokens"], row["prompts"]) == ("checkpoint-2", sum(counts), 3)
    pairs = zip(begun.setup.policy.model.parameters(), begun.base.parameters(), strict=True)
    square = sum(float((a.detach().double() - b.detach().double()).square().sum()) for a, b in pairs)
    assert row["weight_distance"] == pytest.approx(square**0.5, rel=1e-9)
    assert row["weight_distance"] > 0


def test_the_base_is_at_0_exactly_and_so_is_a_model_that_has_not_moved(folder: Path, tmp_path: Path) -> None:
    begun = Begun(folder, tmp_path, optim=replace(FAST, lr=0.0))
    first = begun.run.drift()[0]
    assert (first["checkpoint"], first["kl"], first["kl_se"], first["weight_distance"]) == ("base", 0.0, 0.0, 0.0)
    row = begun.trained()  # read and computed like any other
    assert (row["kl"], row["kl_se"], row["weight_distance"]) == (0.0, 0.0, 0.0)
    assert row["weight_norm"] == first["weight_norm"] > 0


def test_with_an_adapter_the_base_is_the_model_without_it(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    begun = Begun(folder, tmp_path, model=ModelConfig(name=str(folder), threads=1, lora_rank=2))
    row = begun.trained()
    sums, counts = begun.brute()  # the copy was made while B was 0
    assert row["kl"] == pytest.approx(sum(sums) / sum(counts), abs=1e-6, rel=1e-4)
    assert row["kl"] > 0
    assert 0 < row["weight_distance"] < row["weight_norm"]


@pytest.mark.parametrize("algorithm", [NO_KL, KL], ids=["no reference", "reference"])
def test_behind_a_bfloat16_copy_the_masters_are_measured(
    folder: Path, tmp_path: Path, algorithm: AlgorithmConfig
) -> None:
    """The copy's KL, whose logits are rounded in the brute force only; the masters' distance."""
    begun = Begun(
        folder,
        tmp_path,
        model=ModelConfig(name=str(folder), threads=1, dtype="bfloat16"),
        algorithm=algorithm,
        optim=replace(FAST, lr=3e-3),
    )
    first = {p: m.clone() for p, m in begun.setup.masters.items()}
    assert begun.setup.policy.head.dtype == torch.bfloat16
    row = begun.trained()
    sums, counts = begun.brute()
    assert row["kl"] == pytest.approx(sum(sums) / sum(counts), rel=0.25)
    square = sum(float((begun.setup.masters[p] - m).double().square().sum()) for p, m in first.items())
    assert row["weight_distance"] == pytest.approx(square**0.5, rel=1e-6)


def test_the_answers_are_sampled_once_and_greedily(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    begun = Begun(folder, tmp_path)
    rows = begun.run.drift_answers()
    assert [row["id"] for row in rows] == ["h0", "h1", "h2"]
    assert all(1 <= len(row["answer"]) <= 6 for row in rows)
    assert "all 3 dev problems; 32 are usual" in begun.said[0]
    monkeypatch.setattr(begun.setup.eval_engine, "generate", None)  # a later attempt samples nothing
    again = drift.begin(begun.setup, begun.run, begun.parts.learner, HELD, begun.said.append)
    assert len(begun.said) == 1
    loop.train(begun.parts)
    begun.measure(2)
    kept = begun.run.drift()
    again(2)  # recorded already
    assert begun.run.drift() == kept


def test_at_most_32_problems_and_512_tokens_are_used(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    setup = tiny_setup(folder, evals=EvalsConfig(max_new_tokens=4000))
    setup, run = replace(setup, render_eval=lambda problem: (1, 2)), RunFolder.create(tmp_path, "x", {}, [])
    asked: list[tuple[int, int]] = []

    def generate(prompts: list[Any], sampling: Sampling, streams: object) -> None:
        asked.append((len(prompts), sampling.max_new_tokens))
        raise KeyboardInterrupt

    monkeypatch.setattr(setup.eval_engine, "generate", generate)
    learner = loop.build(setup, [QUESTION], run).learner
    with pytest.raises(KeyboardInterrupt):
        drift.begin(setup, run, learner, HELD * 20, lambda text: None)
    assert asked == [(32, 512)]


@pytest.mark.parametrize(("evals", "held"), [(replace(EVALS, drift=False), HELD), (EVALS, [])])
def test_nothing_is_measured_that_is_not_asked_for(
    folder: Path, tmp_path: Path, evals: EvalsConfig, held: list[Problem]
) -> None:
    setup = tiny_setup(folder, evals=evals)
    run = RunFolder.create(tmp_path, "x", {}, [])
    parts = loop.build(setup, [QUESTION], run)
    drift.begin(setup, run, parts.learner, held, lambda text: None)(0)
    assert not run.drift() and not run.drift_answers()


def test_initial_weights_that_do_not_fit_are_an_event_and_no_row(
    folder: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    begun = Begun(folder, tmp_path)
    monkeypatch.setattr(drift, "_free", lambda device: 1000)
    loop.train(begun.parts)
    begun.measure(1)
    begun.measure(2)
    assert [row["step"] for row in begun.run.drift()] == [0]
    told = [event for event in begun.run.events() if event["kind"] == "drift"]
    assert [event["step"] for event in told] == [1, 2]
    assert "beside the run" in told[0]["why"]
    assert sum("drift is not measured in full" in said for said in begun.said) == 1


def test_with_a_reference_only_the_masters_distance_is_missing(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    model = ModelConfig(name=str(folder), threads=1, dtype="bfloat16")
    begun = Begun(folder, tmp_path, model=model, algorithm=KL)
    monkeypatch.setattr(drift, "_free", lambda device: 1000)
    row = begun.trained()
    assert row["weight_distance"] is None
    assert row["kl"] > 0


def test_other_weights_under_the_same_name_are_not_taken(tmp_path: Path) -> None:
    own = save_tiny(tmp_path / "model")
    begun = Begun(own, tmp_path / "runs")
    loop.train(begun.parts)
    save_tiny(own, seed=5)
    begun.measure(2)
    assert len(begun.run.drift()) == 1
    assert "other weights now" in begun.run.events()[-1]["why"]


@pytest.mark.parametrize("algorithm", [NO_KL, KL])
def test_it_leaves_no_trace(folder: Path, tmp_path: Path, algorithm: AlgorithmConfig) -> None:
    begun = Begun(folder, tmp_path, algorithm=algorithm)
    model, learner = begun.setup.policy.model, begun.parts.learner
    loop.train(begun.parts)
    grads = [None if p.grad is None else p.grad.clone() for p in learner.parameters]
    before, counted = fingerprint(model), (learner.version, learner.batches)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    begun.measure(2)
    assert torch.equal(torch.rand(4), expected)
    assert fingerprint(model) == before
    assert (learner.version, learner.batches) == counted
    for p, g in zip(learner.parameters, grads, strict=True):
        assert p.grad is None if g is None else torch.equal(p.grad, g)


def test_the_mean_and_its_error_by_hand() -> None:
    """Sums 2 and 1 over 4 and 6 tokens: mean .3, residuals 2 − 1.2 = .8 and 1 − 1.8 = −.8; SE² = 2 · 1.28 / 100."""
    mean, error = mean_by_prompt([2.0, 1.0], [4, 6])
    assert (mean, error) == (pytest.approx(0.3), pytest.approx(math.sqrt(2 * 1.28 / 100)))
    assert mean_by_prompt([2.0], [4]) == (0.5, None)
    assert mean_by_prompt([1.0, 2.0, 4.0], [1, 2, 4]) == (1.0, 0.0)  # every prompt has the mean
    # A prompt that is there twice tells no more than once, so the error stays finite and larger than by token.
    assert mean_by_prompt([4.0, 0.0], [4, 4])[1] == pytest.approx(math.sqrt(2 * 8 / 64))
