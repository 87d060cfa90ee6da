"""The fair baselines as they are asked and measured: the example in the prompt, the best prompt of the list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oneshot.config.schema import ModelConfig, RolloutConfig
from oneshot.data.tasks.task import Protocol
from oneshot.errors import UsageError
from oneshot.model.fingerprint import fingerprint
from oneshot.stages.evals.baselines import add_baselines, in_context
from oneshot.stages.evals.sampling import measure_task
from tests.tiny import save_tiny
from tests.unit.stages.prompting import (
    EXAMPLE,
    OTHER,
    QUESTIONS,
    asked_of,
    dev_file,
    kept,
    never,
    prompts,
    quiet,
    response,
    run_of,
    setup_of,
    speaking,
)


def test_the_example_stands_before_the_question_as_the_template_has_it(tmp_path: Path) -> None:
    setup, _ = speaking(setup_of(tmp_path / "model"), never)
    run = run_of(tmp_path, setup, [response("7."), response("It is \\boxed{7}."), response("3 + 4 makes \\boxed{7}")])
    asked, said = asked_of(), list[str]()
    (made,) = add_baselines(setup, asked, icl=run, best_prompt=False, say=said.append, store=kept(tmp_path))
    assert prompts(setup, made) == [
        "<|user|>What is 3 + 4? Box it.<|end|><|assistant|>It is \\boxed{7}.<|end|>"
        f"<|user|>What is {i} + 1? Now.<|end|><|assistant|>"
        for i in range(3)
    ]
    assert (made.name, made.under("base"), made.protocol) == ("sums", "base+icl", asked.protocol)
    assert made.data["in_context"] == {
        "run": run.path.name,
        "examples": [
            {
                "id": "pi", "answer": "7", "solution": "It is \\boxed{7}.", "tokens": 16, "right": 3, "responses": 3,
                "source": "first step",
            }
        ],
        "left_out": [],
    }  # fmt: skip
    assert said == [
        "in-context example pi: the base model's own solution of median length, 16 tokens, of 3 right ones in 3 "
        "responses (first step)"
    ]


def test_the_tasks_own_system_text_comes_first(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model")
    run = run_of(tmp_path, setup, [response("7.")])
    asked = asked_of(protocol=Protocol(max_new_tokens=16, system="Be brief."))
    assert prompts(setup, in_context(setup, asked, run, say=quiet))[0] == (
        "<|system|>Be brief.<|end|><|user|>What is 3 + 4? Box it.<|end|><|assistant|>7.<|end|>"
        "<|user|>What is 0 + 1?<|end|><|assistant|>"
    )


def test_without_a_chat_template_it_is_a_text(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model")
    setup.policy.tokenizer.chat_template = None
    run = run_of(tmp_path, setup, [response(" It is \\boxed{7}.\n")])
    made = in_context(setup, asked_of(), run, say=quiet)
    assert prompts(setup, made)[2] == (
        "Problem:\nWhat is 3 + 4? Box it.\n\nSolution: It is \\boxed{7}.\n\nProblem:\nWhat is 2 + 1? Now.\n\nSolution:"
    )
    assert made.verify("\\boxed{3}\n\nProblem:\n\\boxed{4}", "3").correct


def test_several_examples_stand_in_the_runs_order(tmp_path: Path) -> None:
    setup, _ = speaking(setup_of(tmp_path / "model"), lambda prompt, sample: "\\boxed{8}")
    run = run_of(tmp_path, setup, [response("7.")], examples=[EXAMPLE, OTHER])
    made = in_context(setup, asked_of(), run, say=quiet)
    assert prompts(setup, made)[0] == (
        "<|user|>What is 3 + 4? Box it.<|end|><|assistant|>7.<|end|>"
        "<|user|>What is 4 + 4? Box it.<|end|><|assistant|>\\boxed{8}<|end|>"
        "<|user|>What is 0 + 1? Now.<|end|><|assistant|>"
    )
    assert [row["source"] for row in made.data["in_context"]["examples"]] == ["first step", "sampled"]


def test_a_task_that_asks_the_example_is_said(tmp_path: Path) -> None:
    setup, said = setup_of(tmp_path / "model"), list[str]()
    run = run_of(tmp_path, setup, [response("7.")])
    in_context(setup, asked_of([*QUESTIONS, EXAMPLE]), run, say=said.append)
    assert said[-1].startswith("warning: sums asks 1 of the examples in the prompt")


def test_an_example_too_long_for_the_model_is_refused_with_the_numbers(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model")
    run = run_of(tmp_path, setup, [response("7" * 460)])
    with pytest.raises(UsageError, match=r"with 1 worked example has 5[0-9][0-9] tokens; with 16 for") as caught:
        in_context(setup, asked_of(), run, say=quiet)
    assert caught.value.code == "E105"


def test_another_models_solution_is_refused(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model")
    save_tiny(tmp_path / "other", seed=1)
    other = setup_of(tmp_path / "other")
    run = run_of(tmp_path, setup, [response("7.")])
    with pytest.raises(UsageError, match="has other weights") as caught:
        in_context(other, asked_of(), run, say=quiet)
    assert caught.value.code == "E105"
    # The same weights under another name are the same model, once a run has recorded them.
    run.event("model", name="elsewhere", sha256=fingerprint(other.policy.model))
    assert in_context(other, asked_of(), run, say=quiet).variant == "icl"
    with pytest.raises(UsageError):  # and others under the same name are not
        in_context(setup, asked_of(), run, say=quiet)


def test_of_an_adapter_or_rounded_weights_the_name_decides(tmp_path: Path) -> None:
    """Their fingerprint is of other tensors than the plain model's."""
    setup = setup_of(tmp_path / "model")
    config = replace(setup.config, model=replace(setup.config.model, lora_rank=2))
    run = run_of(tmp_path, setup, [response("7.")], config=config)
    run.event("model", name=config.model.name, sha256="0" * 64)
    assert in_context(setup, asked_of(), run, say=quiet).variant == "icl"
    elsewhere = replace(setup, policy=replace(setup.policy, name="checkpoint-3"))
    with pytest.raises(UsageError, match="checkpoint-3 has other weights"):
        in_context(elsewhere, asked_of(), run, say=quiet)


def test_both_with_the_model_itself(tmp_path: Path) -> None:
    """No script: the sampler of the tiny model, from the choice to the results."""
    setup = setup_of(
        tmp_path / "model",
        evals=replace(dev_file(tmp_path), batch=16),
        rollout=RolloutConfig(groups=2, group_size=4, max_new_tokens=8),
        model=ModelConfig(name=str(tmp_path / "model"), threads=1),
    )
    run = run_of(tmp_path, setup, [response("It is \\boxed{7}.")])
    asked = asked_of(protocol=Protocol(max_new_tokens=8))
    made = add_baselines(setup, asked, icl=run, best_prompt=True, say=quiet, store=run)
    assert made[0].variant == "icl"
    for each in made:
        measure_task(setup, each, run, "base", say=quiet, progress=None)
    assert ("sums", "base+icl") in run.evals()
    assert ("sums", f"base+{made[1].variant}") in run.evals()
