"""Settings with which training would be wrong or could not run: refused with the reason, before anything is done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from oneshot.record import RunFolder
from tests.e2e.conftest import OneShot
from tests.e2e.stopping import SAME, resume
from tests.e2e.test_bad_input import check, no_run


def latest() -> RunFolder:
    return RunFolder.open("latest", Path("runs"))


def test_one_response_a_group_only_where_none_is_compared(train: OneShot) -> None:
    for name in ("grpo", "rloo", "gspo", "max_rl"):
        told = train("--rollout.group-size", "1", "--algorithm", name)
        check(told, 2, "E105", "leaves nothing to compare", f"{name} measures each response against the others")
        assert "try: --rollout.group-size 8\n" in told.err
    assert no_run()
    told = train("--rollout.group-size", "1", "--algorithm", "reinforce_pp", "--steps", "1", *SAME)
    assert told.code == 0, told.err


@pytest.mark.parametrize(
    ("words", "told", "line"),
    [
        (("--rollout.temperature", "0"), "greedy responses of a group are all the same", "--rollout.temperature 1.0"),
        (("--rollout.temperature", "-1"), "must be above 0", "--rollout.temperature 1.0"),
        (("--rollout.max-new-tokens", "0"), "must be at least 1", "--rollout.max-new-tokens 64"),
        (("--rollout.max-rounds", "0"), "must be at least 1", "--rollout.max-rounds 4"),
        (("--optim.checkpointing", "maybe"), "must be one of: auto, on, off", '--optim.checkpointing "auto"'),
    ],
)
def test_a_value_out_of_range_names_a_line_that_works(
    train: OneShot, words: tuple[str, ...], told: str, line: str
) -> None:
    seen = train(*words)
    check(seen, 2, "E103", told, f"(flag {words[0]})")
    assert f"try: {line} " in seen.err
    assert no_run()


@pytest.mark.parametrize("flag", ["--rollout.top-p", "--top-p", "--rollout.top-k", "--rollout.min-p"])
def test_filters_are_refused_in_training_with_the_reason(train: OneShot, tmp_path: Path, flag: str) -> None:
    why = "the log-probabilities the learner computes would not be those of the policy that sampled"
    check(train(flag, "0.9"), 2, "E105", f"{flag} is refused", why, "try: --rollout.temperature 0.7")
    recipe = tmp_path / "mine.toml"
    recipe.write_text("[rollout]\ntop_p = 0.9\n", "utf-8")
    check(train("-c", recipe), 2, "E105", f"{recipe} line 2: rollout.top_p is refused", why)
    assert no_run()


def test_k1_in_the_loss_is_refused_with_the_reason(train: OneShot) -> None:
    told = train("--algorithm.kl-kind", "k1")
    check(told, 2, "E105", "has an expected gradient of zero", "--algorithm.kl-in-reward 0.001")
    told = train("--algorithm.kl", "0", "--algorithm.kl-in-reward", "0.001", "--steps", "1", *SAME)
    assert told.code == 0, told.err


def test_a_response_limit_over_the_models_positions(train: OneShot, tiny: Path) -> None:
    """The tiny model was made for 512, and the prompt has 17 tokens."""
    told = train("--rollout.max-new-tokens", "512", "--steps", "1")
    check(told, 2, "E105", f"{tiny} was made for 512 positions", "try: --rollout.max-new-tokens 511", "Nothing was")
    assert no_run()
    told = train("--rollout.max-new-tokens", "496", "--steps", "1")
    check(told, 2, "E105", "and a prompt of 17 tokens make 513", "try: --rollout.max-new-tokens 495")
    assert latest().status()["state"] == "failed"
    told = train("--evals.source", "builtin", "--evals.max-new-tokens", "512")
    check(told, 2, "E105", "evals.max_new_tokens = 512 and a prompt of 1 token make 513")


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that may be spoilt."""
    return Path(shutil.copytree(tiny, tmp_path / "copied"))


def edited(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(file.read_text("utf-8"))
    edit(values)
    file.write_text(json.dumps(values), "utf-8")


def test_a_model_that_names_no_end_of_a_response(train: OneShot, copied: Path) -> None:
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        edited(copied / name, lambda values: (values.pop("eos_token_id", None), values.pop("eos_token", None)))
    told = train("--model", copied, "--steps", "1")
    check(told, 4, "E304", "names no end-of-sequence token", "generation_config.json")
    assert no_run()


def test_an_end_of_a_response_that_is_no_word_of_the_model(train: OneShot, copied: Path, oneshot: OneShot) -> None:
    edited(copied / "generation_config.json", lambda values: values.update(eos_token_id=4000))
    told = train("--model", copied, "--steps", "1")
    check(told, 4, "E304", f"no token of {copied} ends a response", "(4000) are not among its 260 words")
    check(oneshot("eval", copied, "--data", "builtin"), 4, "E304", "(4000)")
    assert no_run()


def test_another_model_under_the_same_name_is_no_reference(train: OneShot, oneshot: OneShot, copied: Path) -> None:
    run = train("--model", copied, "--steps", "2", *SAME).run
    file = copied / "model.safetensors"
    good, other = file.read_bytes(), load_file(file)
    save_file({name: tensor + 0.01 for name, tensor in other.items()}, file, metadata={"format": "pt"})
    before = (run.path / "config.json").read_bytes(), run.metrics()
    told = resume(oneshot, run, "--steps", "3")
    check(told, 2, "E107", f"the weights of {copied} are not those that {run.path.name} began with", "Nothing was")
    assert ((run.path / "config.json").read_bytes(), run.metrics()) == before
    file.write_bytes(good)
    told = resume(oneshot, run, "--steps", "3")
    assert told.code == 0, told.err


def test_the_steps_of_a_schedule_cannot_change(train: OneShot, oneshot: OneShot) -> None:
    for words in (("--optim.schedule", "cosine"), ("--algorithm.entropy-schedule", "linear")):
        run = train("--steps", "3", *SAME, *words, "--save.every", "1").run
        told = resume(oneshot, run, "--steps", "6")
        check(told, 2, "E107", "optim.steps was 3 in", "cannot become 6", "runs over all steps", "--steps 6")


def test_another_estimator_in_a_resumed_run_is_refused_by_name(train: OneShot, oneshot: OneShot) -> None:
    run = train("--steps", "1", *SAME).run
    for flag, value, name in (
        ("--algorithm.kl-kind", "k2", 'algorithm.kl_kind was "" in'),
        ("--rollout.temperature", "0.5", "rollout.temperature was 1.0 in"),
        ("--rollout.dynamic", "true", "rollout.dynamic was false in"),
        ("--optim.schedule", "linear", 'optim.schedule was "constant" in'),
    ):
        check(resume(oneshot, run, "--steps", "2", flag, value), 2, "E107", name, f"--resume {run.path}")


def test_sampling_again_needs_groups(train: OneShot) -> None:
    words = ("--rollout.dynamic", "--rollout.group-size", "1", "--algorithm", "reinforce_pp")
    check(train(*words), 2, "E105", "which those of a single response never do", "--rollout.dynamic false")
    assert no_run()
