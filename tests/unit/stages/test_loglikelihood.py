"""Choices by likelihood: against a plain loop over single sequences, the boundary of tokens, rows, and resuming."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from oneshot.data.tasks.task import CHOICES, LOGLIKELIHOOD, Protocol
from oneshot.errors import DataError
from oneshot.model.policy import Policy
from oneshot.stages.evals import loglikelihood
from oneshot.stages.evals.loglikelihood import log_likelihoods, pairs_of, row_of
from oneshot.stages.evals.sampling import measure_task
from oneshot.stages.setup import Setup
from oneshot.types import Problem
from tests.unit.stages.evaluating import asked_for, folder, samples_of
from tests.unit.stages.setups import tiny_setup

RANKED = Protocol(kind=LOGLIKELIHOOD, grader="choice", max_new_tokens=0)


def question(number: int, texts: Sequence[str], prompt: str = "", answer: str = "A") -> Problem:
    choices = [{"label": label, "text": text} for label, text in zip("ABCDE", texts, strict=False)]
    asked = prompt or f"Question: what of {'x' * number}?\nAnswer:"
    return Problem(id=f"q{number}", prompt=asked, answer=answer, meta={CHOICES: choices})


QUESTIONS = (
    question(0, ["a rock", "a bird", "air"]),
    question(9, ["red", "green", "a very long answer of many words", "blue"]),
    question(3, ["1", "2", "3", "4", "5"]),
    question(2, ["same", "same", "other"]),
)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return tiny_setup(tmp_path_factory.mktemp("model"))


def plain(policy: Policy, prompt: Sequence[int], choice: Sequence[int]) -> float:
    """One sequence alone, with transformers' own logits."""
    ids = torch.tensor([[*prompt, *choice]])
    with torch.no_grad():
        logp_LV = policy.model(input_ids=ids).logits[0].double().log_softmax(-1)
    return sum(float(logp_LV[len(prompt) - 1 + place, token]) for place, token in enumerate(choice))


@pytest.mark.parametrize("tokens", [1, 256, 4096])
def test_sums_are_those_of_single_sequences(setup: Setup, tokens: int) -> None:
    pairs = [pairs_of(setup.policy, q) for q in QUESTIONS]
    assert [len(choices) for _, choices in pairs] == [3, 4, 5, 3]
    found = log_likelihoods(setup.policy, pairs, tokens=tokens)
    for (prompt, choices), sums in zip(pairs, found, strict=True):
        alone = [plain(setup.policy, prompt, choice) for choice in choices]
        assert sums == pytest.approx(alone, rel=1e-6, abs=1e-5)
    assert found[3][0] == pytest.approx(found[3][1], rel=1e-6, abs=1e-5)
    assert abs(found[3][0] - found[3][2]) > 0.1


def test_a_model_whose_layers_see_a_part_only_is_scored_padded(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [pairs_of(setup.policy, q) for q in QUESTIONS]
    shared = log_likelihoods(setup.policy, pairs)
    monkeypatch.setattr(loglikelihood, "attends_to_everything", lambda policy: False)
    for tokens in (1, 512):
        for sums, expected in zip(log_likelihoods(setup.policy, pairs, tokens=tokens), shared, strict=True):
            assert sums == pytest.approx(expected, rel=1e-6, abs=1e-5)


def merging(*merges: tuple[str, str]) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with merges that may join the end of a prompt with what follows."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: i for i, token in enumerate([*alphabet, *("".join(pair) for pair in merges)])}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=list(merges)))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def test_the_boundary_is_where_the_prompt_alone_ends(setup: Setup) -> None:
    """`:` and the space become one token: the continuation begins after as many tokens as the prompt alone has."""
    policy = replace(setup.policy, tokenizer=merging((":", "\u0120")))
    one = question(1, ["ab", "c"], prompt="Q:")
    prompt, choices = pairs_of(policy, one)
    ids = policy.tokenizer
    assert list(prompt) == ids("Q:")["input_ids"]
    assert ids("Q: ab")["input_ids"][1] == ids(": ")["input_ids"][0] == 256
    assert [list(c) for c in choices] == [ids("ab")["input_ids"], ids("c")["input_ids"]]
    plain_policy = replace(setup.policy, tokenizer=merging())
    assert pairs_of(plain_policy, one)[1][0] == tuple(merging()(" ab")["input_ids"])


def test_white_space_at_the_end_of_a_prompt_belongs_to_the_continuation(setup: Setup) -> None:
    prompt, choices = pairs_of(setup.policy, question(1, ["a", "b"], prompt="Q:\n"))
    ids = setup.policy.tokenizer
    assert list(prompt) == ids("Q:")["input_ids"]
    assert list(choices[0]) == ids("\n a")["input_ids"]


def test_rows() -> None:
    """The sum says B; by character the long C: −9 / 1, −8 / 2, −10 / 10."""
    problem = question(1, ["x", "xy", "abcdefghij"], answer="C")
    row = row_of(problem, ([-9.0, -8.0, -10.0], [1, 2, 10]))
    assert (row.response, row.extracted, row.correct, row.tokens, row.cut, row.status) == (
        "xy",
        "B",
        False,
        2,
        False,
        "ok",
    )
    assert (row.meta["correct_norm"], row.meta["chosen_norm"]) == (True, "C")
    assert row.meta["loglikelihoods"] == [-9.0, -8.0, -10.0]
    assert row_of(problem, ([-8.0, -8.0, -80.0], [1, 2, 10])).extracted == "A", "the first of equal ones"


def test_a_whole_task(setup: Setup, tmp_path: Path) -> None:
    asked, store = asked_for(QUESTIONS, RANKED), folder(tmp_path / "e")
    rows = measure_task(setup, asked, store, "base")
    assert [r.id for r in rows] == ["q0", "q9", "q3", "q2"]
    results, read = store.read_eval("sums", "base")
    assert read == rows
    assert results["acc_norm"]["correct"] == sum(r.meta["correct_norm"] for r in rows)
    assert (results["correct"], results["n"]) == (sum(r.correct for r in rows), 4)
    assert results["protocol"]["prompt"] == "Question: what of ?\nAnswer:"
    assert (results["protocol"]["grader"], results["protocol"]["grader_version"]) == ("", "")
    for row in rows:
        sums = row.meta["loglikelihoods"]
        assert all(s < 0 and math.isfinite(s) for s in sums)
        assert row.extracted == "ABCDE"[sums.index(max(sums))]
    assert measure_task(setup, asked, store, "base") == rows


def test_it_goes_on_where_it_was_killed(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_for([replace(question(i % 7, ["one", "two", "three"]), id=f"r{i}") for i in range(80)], RANKED)
    whole, killed = folder(tmp_path / "whole"), folder(tmp_path / "killed")
    measure_task(setup, asked, whole, "base")
    counts: list[int] = []

    def counting(policy: Policy, pairs: Sequence[tuple[tuple[int, ...], list[tuple[int, ...]]]]) -> list[list[float]]:
        counts.append(len(pairs))
        if len(counts) == 3:
            raise KeyboardInterrupt
        return log_likelihoods(policy, pairs)

    monkeypatch.setattr(loglikelihood, "log_likelihoods", counting)
    with pytest.raises(KeyboardInterrupt):
        measure_task(setup, asked, killed, "base")
    measure_task(setup, asked, killed, "base")
    assert counts == [32, 32, 16, 16]
    assert samples_of(killed, asked) == samples_of(whole, asked)


@pytest.mark.parametrize(
    ("problem", "what"),
    [
        (Problem(id="q", prompt="Q:", answer="A"), "no choices"),
        (question(1, ["a"], prompt=" "), "empty prompt"),
        (question(1, ["a", "b" * 600]), "made for 512 positions"),
    ],
)
def test_what_cannot_be_compared(setup: Setup, problem: Problem, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        pairs_of(setup.policy, problem)
    assert caught.value.code == "E301"


def test_a_choice_that_the_prompt_swallows(setup: Setup) -> None:
    policy = replace(setup.policy, tokenizer=merging((":", "\u0120"), (":\u0120", "a")))
    with pytest.raises(DataError, match="a choice without tokens"):
        pairs_of(policy, question(1, ["a", "b"], prompt="Q:"))
